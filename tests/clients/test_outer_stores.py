"""Groups whose values are in Vault (OpenBao) and in AWS Secrets Manager (moto): rows 1 to 6, 22 to 25 and 30."""

import os
import pytest
from truefoundry_sdk import (
    AwsProviderAccount,
    DeleteSecretGroupResponse,
    FailedDependencyError,
    HashicorpProviderAccount,
    NotFoundError,
    SecretInput,
    UpdateSecretInput,
)
from truefoundry_sdk.core.api_error import ApiError

import stores as stores_module
from canary import CANARY
from server import Server
from stores import eventually

V1, V2, X = f"{CANARY}-v1", f"{CANARY}-v2", f"{CANARY}-x"
MASK = "********"
ACCOUNTS = {"aws": AwsProviderAccount, "vault": HashicorpProviderAccount}


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    with stores_module.Aws(folder) as aws, stores_module.Vault(folder) as vault:
        yield {"aws": aws, "vault": vault}


@pytest.fixture(scope="session")
def server(stores, tmp_path_factory):
    """Instead of the usual server: one that may speak with these stores."""
    settings = {
        "STRONGROOM_EGRESS_ALLOW": "127.0.0.0/8",
        "STRONGROOM_STORE_ENDPOINT_AWS_SECRETS_MANAGER": stores["aws"].url,
        "STRONGROOM_STORE_ENDPOINT_AWS_STS": stores["aws"].url,
    }
    with Server(tmp_path_factory.mktemp("outer"), settings=settings) as server:
        for store in stores.values():
            for credential in store.credentials:
                server.keep(credential)
        yield server


@pytest.fixture(params=["aws", "vault"])
def store(request, stores):
    return stores[request.param]


@pytest.fixture
def integration(name, sdk, store):
    """An integration of this test's own: what one server has learnt of a store that was down is of no concern to others."""
    manifest = ACCOUNTS[store.kind](**store.manifest(name))
    (integration,) = sdk.apply(manifest=manifest).data.integrations
    sdk.sent.clear()
    return integration


@pytest.fixture
def make(integration, name, sdk):
    """Creates a group of that name, and gives it with its secrets' ids by key."""

    def make(**values):
        secrets = [SecretInput(key=key, value=value) for key, value in values.items()]
        group = sdk.secret_groups.create(name=name, integration_id=integration.id, secrets=secrets).data
        return group, {secret.name: secret.id for secret in group.associated_secrets}

    return make


def versions(sdk, secret):
    return sorted(version.version for version in sdk.secrets.get(secret).data.secret_versions)


def keep(key):
    return UpdateSecretInput(key=key)


def put(key, value):
    return UpdateSecretInput(key=key, value=value)


def shown(store, name, key, value):
    """Direct readers get the value; where the store has versions that nobody sees yet, soon."""
    return eventually(lambda: store.direct(name, key) == value)


def test_row_01_create(integration, make, name, sdk, store):
    group, _ = make(K=V1)
    assert len(sdk.sent) == 1
    (secret,) = group.associated_secrets
    assert (secret.name, secret.value) == ("K", None)
    assert group.fqn == f"default:{name}" and secret.fqn == f"default:{name}:K"
    assert group.integration_id == integration.id and integration.fqn == store.integration_fqn(name)
    assert store.direct(name, "K") == V1


def test_row_02_get_secret(api, make, name, sdk):
    group, ids = make(K=V1, J=X)
    secret = sdk.secrets.get(ids["K"]).data
    assert secret.value == V1
    (version,) = secret.secret_versions
    assert version.version == 1 and version.fqn == f"default:{name}:K:1"
    listed = list(sdk.secrets.list(secret_fqns=[f"{group.fqn}:K", f"{group.fqn}:J"], with_value=True))
    assert {secret.name: secret.value for secret in listed} == {"K": V1, "J": X}
    assert api.referenced(f"tfy-secret://{group.fqn}:J") == X


def test_row_03_update_with_the_same_value(make, name, sdk, store):
    group, ids = make(K=V1)
    sdk.secret_groups.update(group.id, secrets=[put("K", V1)])
    assert versions(sdk, ids["K"]) == [1] and sdk.secrets.get(ids["K"]).data.value == V1
    assert store.direct(name, "K") == V1


def test_row_04_update_with_another_value(api, make, name, sdk, store):
    group, ids = make(K=V1)
    updated = sdk.secret_groups.update(group.id, secrets=[put("K", V2)]).data
    assert [(secret.id, secret.value) for secret in updated.associated_secrets] == [(ids["K"], None)]
    assert versions(sdk, ids["K"]) == [1, 2] and sdk.secrets.get(ids["K"]).data.value == V2
    shown(store, name, "K", V2)
    # Once direct readers get it, the old one can still be asked for.
    assert api.referenced(f"{group.fqn}:K") == V2 and api.referenced(f"{group.fqn}:K:1") == V1


def test_row_05_update_keeps_what_has_no_value(make, name, sdk, store):
    group, ids = make(K=V1)
    sdk.secret_groups.update(group.id, secrets=[put("K", V2)])
    updated = sdk.secret_groups.update(group.id, secrets=[keep("K"), put("J", X)]).data
    added = {secret.name: secret.id for secret in updated.associated_secrets}
    assert set(added) == {"K", "J"} and added["K"] == ids["K"]
    assert versions(sdk, ids["K"]) == [1, 2] and sdk.secrets.get(ids["K"]).data.value == V2
    assert versions(sdk, added["J"]) == [1] and sdk.secrets.get(added["J"]).data.value == X
    shown(store, name, "K", V2)
    shown(store, name, "J", X)


def test_row_06_update_drops_what_is_left_out(make, name, sdk, store):
    group, ids = make(K=V1, J=X)
    updated = sdk.secret_groups.update(group.id, secrets=[keep("J")])
    assert [secret.name for secret in updated.data.associated_secrets] == ["J"]
    with pytest.raises(NotFoundError):
        sdk.secrets.get(ids["K"])
    assert sdk.secrets.get(ids["J"]).data.value == X and store.direct(name, "J") == X
    # A key of that name is another secret, in an entry beside the old one's.
    again = sdk.secret_groups.update(group.id, secrets=[keep("J"), put("K", V2)]).data
    added = next(secret.id for secret in again.associated_secrets if secret.name == "K")
    assert added != ids["K"] and versions(sdk, added) == [1] and sdk.secrets.get(added).data.value == V2


def test_row_22_delete_a_secret(make, sdk):
    group, ids = make(K=V1, J=X)
    assert sdk.secrets.delete(ids["K"]) == 1.0
    with pytest.raises(NotFoundError):
        sdk.secrets.get(ids["K"])
    assert [secret.name for secret in sdk.secret_groups.get(group.id).data.associated_secrets] == ["J"]


def test_row_23_delete_a_group(make, name, sdk):
    group, ids = make(K=V1)
    assert isinstance(sdk.secret_groups.delete(group.id), DeleteSecretGroupResponse)
    for gone in [lambda: sdk.secret_groups.get(group.id), lambda: sdk.secrets.get(ids["K"])]:
        with pytest.raises(NotFoundError):
            gone()
    assert list(sdk.secret_groups.list(fqn=group.fqn)) == []
    again, ids = make(K=V2)
    assert again.id != group.id and sdk.secrets.get(ids["K"]).data.value == V2


def refused(sdk, call, error=FailedDependencyError):
    sdk.sent.clear()
    with pytest.raises(error) as raised:
        call()
    assert raised.value.status_code == 424 and len(sdk.sent) == 1


# What hangs takes each call's whole time limit: one kind of client is enough.
# And one engine: nothing of it is the engine's.
HANGING = [] if os.environ.get("STRONGROOM_TEST_POSTGRES") else [("sync", "hangs")]
DOWN = pytest.mark.parametrize(("kind", "how"), [("async", "refuses"), ("sync", "refuses"), *HANGING])


@DOWN
def test_row_24_delete_while_the_store_is_down(how, make, sdk, store):
    group, ids = make(K=V1, J=X)
    with store.down(how):
        refused(sdk, lambda: sdk.secrets.delete(ids["K"]))
        refused(sdk, lambda: sdk.secret_groups.delete(group.id))
        assert len(sdk.secret_groups.get(group.id).data.associated_secrets) == 2
        assert sdk.secrets.delete(ids["K"], force_delete=True) == 1.0
        sdk.secret_groups.delete(group.id, force_delete=True)
        with pytest.raises(NotFoundError):
            sdk.secret_groups.get(group.id)


@DOWN
def test_row_25_create_while_the_store_is_down(api, how, make, name, sdk, store):
    with store.down(how):
        refused(sdk, lambda: make(K=V1, J=X))
        assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []
        assert "CREATE_SECRET_GROUP" not in [
            event["action"] for event in api.ok("GET", f"/audit-logs?metric=list&resourceName={name}")["data"]
        ]


@DOWN
def test_update_and_reveal_while_the_store_is_down(how, make, name, sdk, store):
    group, ids = make(K=V1, J=X)
    with store.down(how):
        # The SDK has no typed 424 for these two.
        refused(sdk, lambda: sdk.secret_groups.update(group.id, secrets=[put("K", V2), keep("J")]), ApiError)
        refused(sdk, lambda: sdk.secrets.get(ids["K"]), ApiError)

    def read_again():
        try:
            return sdk.secrets.get(ids["K"]).data
        except ApiError as error:
            assert error.status_code == 424

    read = eventually(read_again)
    assert read.value == V1 and [version.version for version in read.secret_versions] == [1]
    shown(store, name, "K", V1)


@pytest.mark.parametrize("order", [1, -1])
def test_row_30_account_and_group_in_one_go(api, name, order, session, store, written):
    """Whatever comes first in the file."""
    group = api.manifest(name, integration_fqn=store.integration_fqn(name))
    code, said = session("apply", "-f", written(*[store.manifest(name), group][::order]))
    assert code == 0 and said.count("✔") >= 2, said
    (found,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    (integration,) = api.ok("GET", f"/provider-integrations?fqn={store.integration_fqn(name)}")["data"]
    assert found["integrationId"] == integration["id"]
    api.ok("PUT", f"/secret-groups/{found['id']}", json={"secrets": [{"key": "K", "value": V1}]})
    assert api.referenced(f"default:{name}:K") == V1
    shown(store, name, "K", V1)
    # An integration that groups use stays.
    code, said = session("delete", "-f", written(store.manifest(name), to="account.yaml"))
    assert code != 0 and name in said, said
    assert api.referenced(f"default:{name}:K") == V1


def test_credentials_are_masked_and_a_mask_keeps_them(api, integration, make, name, store):
    group, _ = make(K=V1)
    (account,) = api.ok("GET", f"/provider-accounts?fqn={integration.provider_account_fqn}")["data"]
    manifest = account["manifest"]
    auth = manifest.get("auth_data") or manifest["integrations"][0]["auth_data"]
    assert MASK in auth.values()
    applied = api.apply(manifest)
    listed = api.ok("GET", f"/provider-integrations?fqn={integration.fqn}")
    for answer in [account, applied, listed, integration.dict()]:
        assert not any(credential in str(answer) for credential in store.credentials)
    api.ok("PUT", f"/secret-groups/{group.id}", json={"secrets": [{"key": "K", "value": V2}]})
    assert api.referenced(f"{group.fqn}:K") == V2
    shown(store, name, "K", V2)
