"""A secret store that is down: rows 24 and 25 of the drop-in checklist."""

import contextlib

import pytest
from truefoundry_sdk import FailedDependencyError, NotFoundError, SecretInput, UpdateSecretInput
from truefoundry_sdk.core.api_error import ApiError

from canary import CANARY
from server import Server


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("fragile"), program="STRONGROOM_FAULTS_BIN") as server:
        yield server


@pytest.fixture
def sdk(fragile, sdk_to):
    return sdk_to(fragile.url, fragile.admin.token, note=fragile.note)


@pytest.fixture
def group(fragile, name):
    return fragile.admin.create(name, K=f"{CANARY}-k", J=f"{CANARY}-j")


@contextlib.contextmanager
def store_down(server):
    switch = server.data / "store-is-down"
    switch.touch()
    try:
        yield
    finally:
        switch.unlink()


def refused(sdk, call, error=FailedDependencyError):
    sdk.sent.clear()
    with pytest.raises(error) as raised:
        call()
    assert raised.value.status_code == 424 and len(sdk.sent) == 1


def test_row_24_delete_while_the_store_is_down(fragile, group, sdk):
    ids = {secret["name"]: secret["id"] for secret in group["associatedSecrets"]}
    with store_down(fragile):
        refused(sdk, lambda: sdk.secrets.delete(ids["K"]))
        refused(sdk, lambda: sdk.secret_groups.delete(group["id"]))
        assert len(sdk.secret_groups.get(group["id"]).data.associated_secrets) == 2
        assert sdk.secrets.delete(ids["K"], force_delete=True) == 1.0
        sdk.secret_groups.delete(group["id"], force_delete=True)
        with pytest.raises(NotFoundError):
            sdk.secret_groups.get(group["id"])


def test_row_24_delete_once_the_store_is_back(fragile, group, sdk):
    with store_down(fragile):
        refused(sdk, lambda: sdk.secret_groups.delete(group["id"]))
    sdk.secret_groups.delete(group["id"])
    with pytest.raises(NotFoundError):
        sdk.secret_groups.get(group["id"])


def test_row_25_create_while_the_store_is_down(fragile, name, sdk):
    def create():
        secrets = [SecretInput(key="K", value=f"{CANARY}-k"), SecretInput(key="J", value=f"{CANARY}-j")]
        return sdk.secret_groups.create(name=name, integration_id=fragile.integration["id"], secrets=secrets).data

    with store_down(fragile):
        refused(sdk, create)
        assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []
        assert fragile.admin.ok("GET", f"/audit-logs?metric=list&resourceName={name}")["data"] == []
    # The name was not taken either.
    assert len(create().associated_secrets) == 2


def test_update_and_reveal_while_the_store_is_down(fragile, group, sdk):
    secret = next(secret["id"] for secret in group["associatedSecrets"] if secret["name"] == "K")
    update = [UpdateSecretInput(key="K", value=f"{CANARY}-new"), UpdateSecretInput(key="J")]
    with store_down(fragile):
        # The SDK has no typed 424 for these two.
        refused(sdk, lambda: sdk.secret_groups.update(group["id"], secrets=update), ApiError)
        refused(sdk, lambda: sdk.secrets.get(secret), ApiError)
    read = sdk.secrets.get(secret).data
    assert read.value == f"{CANARY}-k" and [version.version for version in read.secret_versions] == [1]
