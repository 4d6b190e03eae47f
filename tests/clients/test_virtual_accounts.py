"""Virtual accounts through the real SDK: row 36 of the drop-in checklist, and where their tokens are written."""

import pytest
from truefoundry_sdk import (
    ForbiddenError,
    NotFoundError,
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


def test_row_36_the_token_comes_once(api, bot, sdk, sdk_as, server, shared):
    manifest = VirtualAccountManifest(name=bot, permissions=on(shared, "editor"))
    assert sdk.virtual_accounts.create_or_update(manifest=manifest, dry_run=True).token is None
    made = sdk.virtual_accounts.create_or_update(manifest=manifest)
    token = server.keep(made.token)
    assert token.startswith("tfy_") and made.data.type == "serviceaccount" and not made.data.is_expired
    again = sdk.virtual_accounts.create_or_update(manifest=manifest)
    assert again.token is None and again.data.id == made.data.id
    machine = Api(server, token)
    info = machine.ok("GET", "/x/users/info")
    assert (info["subjectType"], info["subjectSlug"]) == ("serviceaccount", bot)
    client = sdk_as(machine)
    client.secret_groups.update(shared.id, secrets=[UpdateSecretInput(key="K", value=f"{CANARY}-by-bot"), UpdateSecretInput(key="J")])
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
