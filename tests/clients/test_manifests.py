"""Applying and deleting by manifest through the real SDK: row 33 of the drop-in checklist."""

import pytest
from truefoundry_sdk import (
    AgentIdentity,
    AgentIdentityManifest,
    ExternalIdentityProvider,
    IdentityProviderBackedIdentity,
    ProviderAccount,
    Role,
    RoleBinding,
    RoleBindingManifest,
    RoleBindingPermission,
    RoleBindingSubject,
    RoleManifest,
    SecretGroup,
    SecretGroupManifest,
    Team,
    TeamManifest,
    TrueFoundryDbssm,
    TrueFoundryDeleteResponse,
    TrueFoundryProviderAccount,
    UpdateSecretInput,
    VirtualAccount,
    VirtualAccountManifest,
)
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


def team(name, people, group):
    return TeamManifest(name=name, members=[people.viewer.email]), TeamManifest(name=name, members=[])


def role(name, people, group):
    described = {"name": name, "display_name": "Auditors", "description": "They read.", "resource_type": "account"}
    permissions = ["audit-log:read", "secret-group:view"]
    return RoleManifest(permissions=permissions[:1], **described), RoleManifest(permissions=permissions, **described)


def role_binding(name, people, group):
    subjects = [RoleBindingSubject(type="user", name=one.email) for one in [people.viewer, people.stranger]]
    one = RoleBindingPermission(resource_type="secret-group", resource_fqn=group.fqn, role="secret-group-viewer")
    return [RoleBindingManifest(name=name, subjects=list, permissions=[one]) for list in [subjects[:1], subjects]]


def provider_account(name, people, group):
    integrations = [TrueFoundryDbssm(name=name, authorized_subjects=["team:everyone"]) for name in ["db", "other"]]
    return [TrueFoundryProviderAccount(name=name, integrations=list) for list in [integrations[:1], integrations]]


def virtual_account(name, people, group):
    one = {"resource_type": "secret-group", "resource_fqn": group.fqn}
    roles = ["secret-group-viewer", "secret-group-reader"]
    return [VirtualAccountManifest(name=name, permissions=[one | {"role_id": role}]) for role in roles]


def identity_provider(name, people, group):
    # The SDK knows what is given back, and no manifest.
    manifest = {"type": "identity-provider", "name": name, "jwks_uri": "https://login.example.com/keys"}
    return [manifest | {"issuer": issuer} for issuer in ["https://login.example.com", "https://other.example.com"]]


def agent_identity(name, people, group):
    mapping = [{"identity_provider": group.provider, "value": name}]
    identity = IdentityProviderBackedIdentity(identity_provider_mapping=mapping)
    return [AgentIdentityManifest(name=name, identity=identity, tags=tags) for tags in [None, {"site": "berlin"}]]


TYPES = [
    (team, Team),
    (role, Role),
    (role_binding, RoleBinding),
    (provider_account, ProviderAccount),
    (virtual_account, VirtualAccount),
    (identity_provider, ExternalIdentityProvider),
    (agent_identity, AgentIdentity),
]


@pytest.mark.parametrize("make, kind_of_data", TYPES, ids=[make.__name__ for make, _ in TYPES])
def test_row_33_apply_and_delete_each_type(api, kind_of_data, make, people, sdk, server, shared):
    shared.provider = server.fresh("provider")
    api.apply(identity_provider(shared.provider, people, shared)[0])
    first, second = make(server.fresh("thing"), people, shared)
    tried = sdk.apply(manifest=first, dry_run=True)
    assert tried.action == "CREATE" and type(tried.data) is kind_of_data
    created = sdk.apply(manifest=first)
    server.keep(getattr(created, "token", None))
    assert created.action == "CREATE" and type(created.data) is kind_of_data and created.existing_manifest is None
    updated = sdk.apply(manifest=second)
    assert updated.action == "UPDATE" and type(updated.data) is kind_of_data and updated.data.id == created.data.id
    assert updated.data.manifest != created.data.manifest
    # The SDK fails on an earlier manifest of a type that it has no manifest of.
    assert (updated.existing_manifest is None) == (make is identity_provider)
    again = sdk.apply(manifest=second)
    assert again.action == "UPDATE" and again.data.manifest == updated.data.manifest
    assert getattr(updated, "token", None) is getattr(again, "token", None) is None
    assert isinstance(sdk.delete(manifest=second), TrueFoundryDeleteResponse)
    with pytest.raises(ApiError) as raised:
        sdk.delete(manifest=second)
    assert raised.value.status_code == 404
    assert sdk.apply(manifest=first, dry_run=True).action == "CREATE"


@pytest.mark.parametrize("make, _", TYPES, ids=[make.__name__ for make, _ in TYPES])
def test_what_tenant_admins_apply_is_refused_to_others(_, api, make, people, sdk_as, server, shared):
    shared.provider = server.fresh("provider")
    manifests = make(server.fresh("thing"), people, shared)
    stranger = sdk_as(people.stranger.api)
    for dry_run in [True, False]:
        with pytest.raises(ApiError) as raised:
            stranger.apply(manifest=manifests[0], dry_run=dry_run)
        # To a stranger the group of a binding isn't there.
        assert raised.value.status_code == (404 if make is role_binding else 403)
