"""Applying and deleting by manifest through the real SDK: row 33 of the drop-in checklist."""

import pytest
from truefoundry_sdk import SecretGroup, SecretGroupManifest, TrueFoundryDeleteResponse, UpdateSecretInput
from truefoundry_sdk.core.api_error import ApiError

from canary import CANARY


def test_row_33_apply(api, name, people, sdk):
    manifest = SecretGroupManifest(**api.manifest(name))
    created = sdk.apply(manifest=manifest)
    assert created.action == "CREATE" and type(created.data) is SecretGroup
    assert created.data.fqn == f"default:{name}" and created.existing_manifest is None
    sdk.secret_groups.update(created.data.id, secrets=[UpdateSecretInput(key="K", value=f"{CANARY}-k")])
    changed = api.manifest(name, collaborators=[{"subject": people.viewer.subject, "role_id": "secret-group-viewer"}])
    updated = sdk.apply(manifest=SecretGroupManifest(**changed))
    assert updated.action == "UPDATE" and type(updated.data) is SecretGroup and updated.data.id == created.data.id
    assert [secret.name for secret in updated.data.associated_secrets] == ["K"]
    assert people.viewer.api.call("GET", f"/secret-groups/{created.data.id}").status_code == 200


def test_apply_as_a_dry_run(api, name, sdk):
    answer = sdk.apply(manifest=SecretGroupManifest(**api.manifest(name)), dry_run=True)
    assert answer.action == "CREATE" and type(answer.data) is SecretGroup
    assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []


def test_values_in_a_manifest_are_refused(api, name, sdk):
    manifest = SecretGroupManifest(**api.manifest(name), secrets={"K": f"{CANARY}-k"})
    with pytest.raises(ApiError) as raised:
        sdk.apply(manifest=manifest)
    assert raised.value.status_code == 422 and len(sdk.sent) == 1
    assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []


def test_delete(api, name, sdk):
    manifest = SecretGroupManifest(**api.manifest(name))
    sdk.apply(manifest=manifest)
    assert isinstance(sdk.delete(manifest=manifest), TrueFoundryDeleteResponse)
    assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []
