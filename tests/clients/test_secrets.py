"""Secrets through the real SDK and the External Secrets webhook: rows 18, 19, 22, 38, 39 and 41."""

import http.client
import json
from urllib.parse import quote

import pytest
from truefoundry_sdk import NotFoundError, UpdateSecretInput

from api import API
from canary import CANARY


def test_row_18_list_without_values(sdk, shared):
    listed = list(sdk.secrets.list(secret_group_id=shared.id))
    assert sorted(secret.name for secret in listed) == ["J", "K"]
    assert all(secret.value is None for secret in listed)
    with pytest.raises(NotFoundError):
        sdk.secrets.list(secret_group_id="00000000-0000-7000-8000-000000000000")


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
def test_row_19_list_with_values(api, people, role, sdk_as, shared):
    sdk = sdk_as(api if role == "admin" else getattr(people, role).api)
    fqns = [f"{shared.fqn}:K", f"tfy-secret://{shared.fqn}:J"]
    listed = list(sdk.secrets.list(secret_fqns=fqns, with_value=True))
    wanted = shared.values if role != "viewer" else dict.fromkeys(shared.values)
    assert {secret.name: secret.value for secret in listed} == wanted


def test_row_22_delete_a_secret(sdk, shared):
    assert sdk.secrets.delete(shared.secrets["K"]) == 1.0
    with pytest.raises(NotFoundError):
        sdk.secrets.get(shared.secrets["K"])
    assert [secret.name for secret in sdk.secret_groups.get(shared.id).data.associated_secrets] == ["J"]


@pytest.mark.parametrize("spelled", ["raw", "encoded"])
@pytest.mark.parametrize("scheme", ["", "tfy-secret://"])
def test_row_38_external_secrets_webhook(api, scheme, server, shared, spelled):
    # A webhook store puts the key into the URL as it is, or through a template's `urlquery`.
    _, cluster = api.machine("cluster", {shared.fqn: "editor"})
    reference = f"{scheme}{shared.fqn}:K"
    reference = quote(reference, safe="") if spelled == "encoded" else reference
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": f"Bearer {cluster.token}", "User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
    connection.request("GET", f"{API}/control-plane/secret?secret_ref={reference}", headers=headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert answer.status == 200 and body["value"] == shared.values["K"]


def test_row_38_references(api, name, shared):
    _, cluster = api.machine("cluster", {shared.fqn: "editor"})
    secrets = [{"key": "K", "value": f"{CANARY}-second"}, {"key": "J"}]
    api.ok("PUT", f"/secret-groups/{shared.id}", json={"secrets": secrets})
    assert cluster.referenced(f"{shared.fqn}:K") == f"{CANARY}-second"
    assert cluster.referenced(f"{shared.fqn}:K:1") == shared.values["K"]
    assert cluster.referenced(f"tfy-secret://{shared.fqn}:K:2") == f"{CANARY}-second"
    api.create(f"{name}-b", K=f"{CANARY}-b")
    for missing in ["X", "K:3", "K:0", ""]:
        assert cluster.call("GET", f"/control-plane/secret?secret_ref={shared.fqn}:{missing}").status_code == 404
    # What the cluster has no role on looks as if it weren't there.
    for foreign in [f"default:{name}-b:K", f"default:{name}-c:K", f"other:{name}:K"]:
        answer = cluster.call("GET", f"/control-plane/secret?secret_ref={foreign}")
        assert (answer.status_code, answer.json()["code"]) == (404, "secret_not_found")
    assert cluster.call("GET", "/control-plane/secret").status_code == 422


def test_row_39_audit_log(api, name, people, sdk_as, shared):
    sdk = sdk_as(people.editor.api)
    sdk.secrets.get(shared.secrets["K"])
    sdk.secret_groups.update(shared.id, secrets=[UpdateSecretInput(key="K", value=f"{CANARY}-other")])
    sdk.secrets.list(secret_fqns=[f"{shared.fqn}:K"], with_value=True)
    answer = api.call("GET", f"/audit-logs?metric=list&resourceId={shared.id}")
    events = answer.json()["data"]
    assert [event["action"] for event in events].count("CREATE_SECRET_GROUP") == 1
    assert {event["resourceType"] for event in events} == {"secret-group"}
    assert {event["resourceFqn"] for event in events} == {shared.fqn}
    by_editor = [event for event in events if event["subject"]["subjectSlug"] == people.editor.email]
    assert [event["action"] for event in by_editor] == ["UPDATE_SECRET_GROUP"]
    reads = api.ok("GET", f"/audit-logs?metric=list&subjectSlug={people.editor.email}&start={by_editor[0]['createdAt'][:10]}")
    read_ids = [
        entry["id"] for event in reads["data"] if "READ" in event["action"] for entry in event["metaData"]["secrets"]
    ]
    assert read_ids.count(shared.secrets["K"]) == 2
    assert CANARY not in answer.text and CANARY not in json.dumps(reads)


@pytest.mark.parametrize("writers", [2, 16])
def test_row_41_updates_at_once(api, name, sdk, writers):
    group = api.create(name, K=f"{CANARY}-start")
    values = [f"{CANARY}-{number}" for number in range(writers)]

    def update(value):
        return lambda client: client.secret_groups.update(group["id"], secrets=[UpdateSecretInput(key="K", value=value)])

    sdk.at_once([update(value) for value in values])
    assert len(sdk.sent) == writers, "an update was refused and repeated"
    secret = sdk.secrets.get(group["associatedSecrets"][0]["id"]).data
    numbers = [version.version for version in secret.secret_versions]
    assert sorted(numbers) == list(range(1, writers + 2))
    # Each version holds another one of the values: none was lost, none was written twice.
    held = {number: api.referenced(f"{group['fqn']}:K:{number:.0f}") for number in numbers}
    assert held[1] == f"{CANARY}-start" and sorted(held.values()) == sorted([*values, f"{CANARY}-start"])
    assert secret.value == held[writers + 1]
    created = [version.created_at for version in sorted(secret.secret_versions, key=lambda version: version.version)]
    assert created == sorted(created)
