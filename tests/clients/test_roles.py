"""Who may do what: rows 20, 21, 26 and 36 of the drop-in checklist."""

import datetime
import subprocess
import time

import pytest
from truefoundry_sdk import ForbiddenError, NotFoundError, UpdateSecretInput
from truefoundry_sdk.core.api_error import ApiError

from canary import CANARY
from server import Server, binary

RFC3339 = "%Y-%m-%dT%H:%M:%S.%fZ"
UPDATE = [UpdateSecretInput(key="K", value=f"{CANARY}-new"), UpdateSecretInput(key="J")]


def test_row_20_viewer(people, sdk_as, shared):
    sdk = sdk_as(people.viewer.api)
    secret = sdk.secrets.get(shared.secrets["K"]).data
    assert secret.name == "K" and secret.value is None
    assert all(version.value is None for version in secret.secret_versions)
    assert [group.id for group in sdk.secret_groups.list(fqn=shared.fqn)] == [shared.id]
    refused = [
        lambda: sdk.secret_groups.update(shared.id, secrets=UPDATE),
        lambda: sdk.secret_groups.delete(shared.id),
        lambda: sdk.secrets.delete(shared.secrets["K"]),
    ]
    for call in refused:
        sdk.sent.clear()
        with pytest.raises(ForbiddenError) as raised:
            call()
        assert raised.value.body.status_code == 403 and len(sdk.sent) == 1
    answer = people.viewer.api.call("GET", f"/control-plane/secret?secret_ref={shared.fqn}:K")
    assert answer.status_code == 403


def test_row_20_editor(api, people, sdk_as, shared):
    sdk = sdk_as(people.editor.api)
    assert sdk.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    sdk.secret_groups.update(shared.id, secrets=UPDATE)
    assert sdk.secrets.get(shared.secrets["K"]).data.value == f"{CANARY}-new"
    with pytest.raises(ForbiddenError):
        sdk.secret_groups.delete(shared.id)
    with pytest.raises(ApiError) as raised:
        sdk.secret_groups.create_or_update(manifest=api.manifest(shared.name, collaborators=[]))
    assert raised.value.status_code == 403


def test_row_20_stranger(people, sdk_as, shared):
    sdk = sdk_as(people.stranger.api)
    nothing = "00000000-0000-7000-8000-000000000000"
    assert list(sdk.secret_groups.list(fqn=shared.fqn)) == []
    assert list(sdk.secret_groups.list(search=shared.name)) == []
    assert list(sdk.secrets.list(secret_fqns=[f"{shared.fqn}:K"], with_value=True)) == []
    calls = [
        (sdk.secret_groups.get, shared.id),
        (sdk.secret_groups.delete, shared.id),
        (sdk.secrets.get, shared.secrets["K"]),
        (sdk.secrets.delete, shared.secrets["K"]),
        (lambda id: sdk.secret_groups.update(id, secrets=UPDATE), shared.id),
        (lambda id: sdk.secrets.list(secret_group_id=id), shared.id),
    ]
    for call, id in calls:
        answers = []
        # What one may not see looks exactly like what isn't there.
        for asked in [id, nothing]:
            with pytest.raises(NotFoundError) as raised:
                call(asked)
            answers.append(raised.value.body)
        assert answers[0] == answers[1]


def test_row_36_virtual_account(api, sdk_as, shared):
    name, machine = api.machine("bot", {shared.fqn: "viewer"})
    sdk = sdk_as(machine)
    assert sdk.secrets.get(shared.secrets["K"]).data.value is None
    info = machine.ok("GET", "/x/users/info")
    assert (info["subjectType"], info["subjectSlug"]) == ("serviceaccount", name)
    manifest = {"type": "virtual-account", "name": name}
    permissions = [{"resource_type": "secret-group", "resource_fqn": shared.fqn, "role_id": "secret-group-editor"}]
    again = api.ok("PUT", "/virtual-accounts", json={"manifest": manifest | {"permissions": permissions}})
    assert again.get("token") is None, "the token is given once"
    assert sdk.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    refused = api.call("PUT", "/virtual-accounts", json={"manifest": manifest | {"permissions": []}})
    assert refused.status_code == 422


@pytest.fixture(scope="module")
def unknown():
    """A token that could be one, but was never given out."""
    made = subprocess.run([binary("STRONGROOM_BIN"), "token", "new"], capture_output=True, check=True, text=True)
    return made.stdout.strip()


@pytest.mark.parametrize("token", ["nonsense", "tfy_nonsense", "eyJhbGciOiJub25lIn0.e30.", None])
def test_row_26_unknown_token(kind, sdk_to, server, token, unknown):
    sdk = sdk_to(server.url, token or unknown, note=server.note)
    with pytest.raises(ApiError) as raised:
        sdk.secret_groups.list()
    assert raised.value.status_code == 401 and raised.value.body["statusCode"] == 401
    assert len(sdk.sent) == 1 and sdk.sent[0].headers["authorization"] == f"Bearer {token or unknown}"


def test_row_26_expired_token(api, name, people, sdk_to, server):
    # As soon as the server takes: a time that is over when the request arrives is refused.
    for seconds in [1, 5, 25]:
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        body = {"name": "short-lived", "userEmail": people.viewer.email, "expirationDate": soon.strftime(RFC3339)}
        made = api.call("POST", "/personal-access-tokens/for-user", json=body)
        if made.is_success:
            break
        assert made.status_code == 422, made.text
    token = server.tokens[name] = made.json()["token"]
    sdk = sdk_to(server.url, token, note=server.note)
    deadline = time.monotonic() + 60
    with pytest.raises(ApiError) as raised:
        while time.monotonic() < deadline:
            sdk.secret_groups.list(fqn="default:none")
            time.sleep(0.1)
    assert raised.value.status_code == 401
    assert datetime.datetime.now(datetime.timezone.utc).strftime(RFC3339) >= soon.strftime(RFC3339)


@pytest.fixture(scope="module")
def veiled(tmp_path_factory):
    settings = {"DISABLE_SECRET_VALUE_VIEW": "true"}
    with Server(tmp_path_factory.mktemp("veiled"), settings=settings) as server:
        yield server


def test_row_21_values_hidden_from_people(name, sdk_to, veiled):
    group = veiled.admin.create(name, K=f"{CANARY}-k")
    secret, fqn = group["associatedSecrets"][0]["id"], f"{group['fqn']}:K"
    _, machine = veiled.admin.machine("bot", {group["fqn"]: "editor"})
    sdk = sdk_to(veiled.url, veiled.admin.token, note=veiled.note)
    read = sdk.secrets.get(secret).data
    assert read.name == "K" and read.value is None
    (listed,) = sdk.secrets.list(secret_fqns=[fqn], with_value=True)
    assert listed.value is None
    # External Secrets goes on, for machines only.
    assert machine.referenced(fqn) == f"{CANARY}-k"
    assert veiled.admin.call("GET", f"/control-plane/secret?secret_ref={fqn}").status_code == 403
    assert sdk_to(veiled.url, machine.token).secrets.get(secret).data.value == f"{CANARY}-k"
    # People still write.
    sdk.secret_groups.update(group["id"], secrets=[UpdateSecretInput(key="K", value=f"{CANARY}-k2")])
    assert machine.referenced(fqn) == f"{CANARY}-k2"
