"""Virtual accounts through the real SDK: row 36 of the drop-in checklist, and where their tokens are written."""

import pytest
from truefoundry_sdk import (
    AgentIdentity,
    AgentIdentityManifest,
    ForbiddenError,
    NotFoundError,
    RoleBindingManifest,
    RoleBindingPermission,
    RoleBindingSubject,
    TruefoundryBackedIdentity,
    UnprocessableEntityError,
    UpdateSecretInput,
    VirtualAccountManifest,
)
from truefoundry_sdk.core.api_error import ApiError

from api import Api
from canary import CANARY


@pytest.fixture
def bot(server):
    return server.fresh("bot")


def on(group, role, **more):
    return [{"resource_type": "secret-group", "resource_fqn": group.fqn, "role_id": f"secret-group-{role}"} | more]


@pytest.mark.parametrize("token_type", [None, "opaque", "jwt"])
def test_row_36_the_token_comes_once(api, bot, sdk, sdk_as, server, shared, token_type):
    manifest = VirtualAccountManifest(name=bot, permissions=on(shared, "editor"), token_type=token_type)
    assert sdk.virtual_accounts.create_or_update(manifest=manifest, dry_run=True).token is None
    made = sdk.virtual_accounts.create_or_update(manifest=manifest)
    token = server.keep(made.token)
    assert token.startswith("tfy_") == (token_type != "jwt")
    assert made.data.type == "serviceaccount" and not made.data.is_expired
    again = sdk.virtual_accounts.create_or_update(manifest=manifest)
    assert again.token is None and again.data.id == made.data.id
    machine = Api(server, token)
    info = machine.ok("GET", "/x/users/info")
    assert (info["subjectType"], info["subjectSlug"]) == ("serviceaccount", bot)
    client = sdk_as(machine)
    secrets = [UpdateSecretInput(key="K", value=f"{CANARY}-by-bot"), UpdateSecretInput(key="J")]
    client.secret_groups.update(shared.id, secrets=secrets)
    (event,) = api.ok("GET", f"/audit-logs?metric=list&subjectSlug={bot}&action=UPDATE_SECRET_GROUP")["data"]
    assert event["subject"]["subjectType"] == "serviceaccount" and event["resourceId"] == shared.id


def test_row_36_permissions_are_honoured(bot, sdk, sdk_as, server, shared):
    def allow(permissions):
        return sdk.virtual_accounts.create_or_update(manifest=VirtualAccountManifest(name=bot, permissions=permissions))

    client = sdk_as(Api(server, server.keep(allow(on(shared, "viewer")).token)))
    assert client.secrets.get(shared.secrets["K"]).data.value is None
    for role in ["editor", "reader"]:
        allow(on(shared, role))
        assert client.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    with pytest.raises(ForbiddenError):
        client.secret_groups.update(shared.id, secrets=[UpdateSecretInput(key="K", value=f"{CANARY}-x")])
    with pytest.raises(UnprocessableEntityError) as raised:
        allow([])
    assert raised.value.body.details[0]["path"] == "manifest.permissions"
    # Left out they stay.
    allow(None)
    assert client.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    for permissions in [on(shared, "owner"), on(shared, "viewer", resource_type="cluster")]:
        with pytest.raises(ApiError) as raised:
            allow(permissions)
        assert raised.value.status_code in [400, 422]
    with pytest.raises(ApiError) as raised:
        allow(on(shared, "viewer", resource_fqn=f"{shared.fqn}-x"))
    assert raised.value.status_code == 404
    sdk.delete(manifest=VirtualAccountManifest(name=bot))
    with pytest.raises(ApiError) as raised:
        client.secrets.get(shared.secrets["K"])
    assert raised.value.status_code == 401


def test_row_36_others_make_none(bot, people, sdk_as, shared):
    with pytest.raises(ApiError) as raised:
        sdk_as(people.editor.api).virtual_accounts.create_or_update(
            manifest=VirtualAccountManifest(name=bot, permissions=on(shared, "viewer"))
        )
    assert raised.value.status_code == 403


def test_row_37_the_token_is_written_into_a_group(api, bot, sdk, server, shared):
    target = {"type": "tfy-secrets", "secret_group": shared.name, "key": "BOT"}
    manifest = VirtualAccountManifest(name=bot, permissions=on(shared, "reader"), secret_store_config=target)
    token = server.keep(sdk.virtual_accounts.create_or_update(manifest=manifest).token)
    machine = Api(server, token)
    assert machine.referenced(f"{shared.fqn}:BOT") == token
    # What was in the group is still there.
    assert machine.referenced(f"{shared.fqn}:K") == shared.values["K"]
    names = {secret.name: secret.id for secret in sdk.secrets.list(secret_group_id=shared.id)}
    assert sorted(names) == ["BOT", "J", "K"]
    sdk.secrets.delete(names["BOT"])
    with pytest.raises(NotFoundError):
        sdk.secrets.get(names["BOT"])
    assert machine.referenced(f"{shared.fqn}:K") == shared.values["K"]


def test_the_list_ends(bot, sdk, server, shared):
    names = [f"{bot}-{number}" for number in range(3)]
    for name in names:
        server.keep(
            sdk.virtual_accounts.create_or_update(
                manifest=VirtualAccountManifest(name=name, permissions=on(shared, "viewer"))
            ).token
        )
    sdk.sent.clear()
    listed = list(sdk.virtual_accounts.list(name_search_query=f"{bot}-", limit=2))
    assert [account.manifest.name for account in listed] == names[::-1]
    assert [request.url.params["offset"] for request in sdk.sent] == ["0", "2", "3"]
    assert list(sdk.virtual_accounts.list(name_search_query=f"{bot}-", is_expired=True)) == []
    assert sdk.virtual_accounts.exists(name=names[0]).exists and not sdk.virtual_accounts.exists(name=f"{bot}-x").exists
    account = sdk.virtual_accounts.get(listed[0].id).data
    assert account == listed[0] and [role.role_id for role in account.roles_with_resource] == ["secret-group-viewer"]
    sdk.virtual_accounts.delete(account.id)
    for id in [account.id, "00000000-0000-7000-8000-000000000000", "no-id"]:
        for call in [sdk.virtual_accounts.get, sdk.virtual_accounts.delete, sdk.virtual_accounts.get_token]:
            with pytest.raises(NotFoundError):
                call(id)
        with pytest.raises(NotFoundError):
            sdk.virtual_accounts.regenerate_token(id, grace_period_in_minutes=1)
        with pytest.raises(NotFoundError):
            sdk.virtual_accounts.sync_to_secret_store(id)
    assert not sdk.virtual_accounts.exists(name=names[2]).exists


@pytest.mark.parametrize("token_type", ["opaque", "jwt"])
def test_tokens_are_changed_and_ended(bot, sdk, sdk_as, server, shared, token_type):
    manifest = VirtualAccountManifest(name=bot, permissions=on(shared, "reader"), token_type=token_type)
    made = sdk.virtual_accounts.create_or_update(manifest=manifest)
    first, id = server.keep(made.token), made.data.id
    assert first.startswith("tfy_") == (token_type == "opaque")
    if token_type == "jwt":
        assert sdk.virtual_accounts.get_token(id).token == first
    else:
        with pytest.raises(ApiError) as raised:
            sdk.virtual_accounts.get_token(id)
        assert raised.value.status_code == 422 and "shown once" in str(raised.value.body)
    second = server.keep(sdk.virtual_accounts.regenerate_token(id, grace_period_in_minutes=30).token)
    both = [sdk_as(Api(server, token)) for token in [first, second]]
    for client in both:
        assert client.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    tokens = sdk.virtual_accounts.get(id).data.jwts
    assert len(tokens) == 2 and {token.token_type for token in tokens} == {token_type}
    sdk.virtual_accounts.delete_jwt(id, tokens[1].id)
    assert [token.id for token in sdk.virtual_accounts.get(id).data.jwts] == [tokens[0].id]
    with pytest.raises(ApiError) as raised:
        both[0].secrets.get(shared.secrets["K"])
    assert raised.value.status_code == 401
    third = server.keep(sdk.virtual_accounts.regenerate_token(id, grace_period_in_minutes=0).token)
    with pytest.raises(ApiError) as raised:
        both[1].secrets.get(shared.secrets["K"])
    assert raised.value.status_code == 401
    assert sdk_as(Api(server, third)).secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    with pytest.raises(UnprocessableEntityError):
        sdk.virtual_accounts.regenerate_token(id, grace_period_in_minutes=-1)


def test_row_37_the_token_is_written_again(bot, sdk, server, shared):
    target = {"type": "tfy-secrets", "secret_group": shared.name, "key": "BOT"}
    manifest = VirtualAccountManifest(name=bot, permissions=on(shared, "reader"), secret_store_config=target)
    made = sdk.virtual_accounts.create_or_update(manifest=manifest)
    first = server.keep(made.token)
    second = server.keep(sdk.virtual_accounts.regenerate_token(made.data.id, grace_period_in_minutes=30).token)
    machine = Api(server, second)
    assert second != first and machine.referenced(f"{shared.fqn}:BOT") == second
    info = sdk.virtual_accounts.sync_to_secret_store(made.data.id).sync_token_in_secret_store_info
    assert info.error is None and info.jwt_id == sdk.virtual_accounts.get(made.data.id).data.jwt_id
    assert machine.referenced(f"{shared.fqn}:BOT") == second
    sdk.virtual_accounts.sync_to_secret_store(made.data.id, force=True)
    third = server.keep(machine.referenced(f"{shared.fqn}:BOT"))
    assert third != second and Api(server, third).referenced(f"{shared.fqn}:K") == shared.values["K"]


def test_agents_have_tokens(bot, sdk, sdk_as, server, shared):
    manifest = AgentIdentityManifest(name=bot, identity=TruefoundryBackedIdentity())
    made = sdk.apply(manifest=manifest)
    token = server.keep(made.token)
    assert type(made.data) is AgentIdentity and made.data.manifest["name"] == bot
    sdk.apply(
        manifest=RoleBindingManifest(
            name=f"{bot}-reads",
            subjects=[RoleBindingSubject(type="agent", name=bot)],
            permissions=[
                RoleBindingPermission(resource_type="secret-group", resource_fqn=shared.fqn, role="secret-group-reader")
            ],
        )
    )
    agent = Api(server, token)
    assert agent.ok("GET", "/x/users/info")["subjectType"] == "agent-identity"
    assert sdk_as(agent).secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    assert sdk.apply(manifest=manifest).action == "UPDATE"
    sdk.delete(manifest=manifest)
    with pytest.raises(ApiError) as raised:
        sdk_as(agent).secrets.get(shared.secrets["K"])
    assert raised.value.status_code == 401
