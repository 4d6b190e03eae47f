"""Error bodies: row 40 of the drop-in checklist. Those that other tests run into are checked where the server ends."""

import pytest

from api import API, is_error_body
from canary import CANARY

NOTHING = "00000000-0000-7000-8000-000000000000"
JSON = {"content-type": "application/json"}
GROUPS = "/secret-groups"

CASES = [
    (400, "POST", GROUPS, {"content": b'{"name": ', "headers": JSON}),
    (400, "POST", GROUPS, {"content": b'{"name": "\xff\xfe"}', "headers": JSON}),
    (404, "GET", "/nowhere", {}),
    (404, "GET", f"{GROUPS}/{NOTHING}", {}),
    (404, "GET", f"{GROUPS}/no-id", {}),
    (404, "DELETE", f"/secrets/{NOTHING}", {}),
    (405, "PATCH", GROUPS, {}),
    (413, "POST", GROUPS, {"content": b" " * (9 << 20), "headers": JSON}),
    (415, "POST", GROUPS, {"content": b"{}", "headers": {"content-type": "text/plain"}}),
    (422, "GET", f"{GROUPS}?limit=0", {}),
    (422, "POST", GROUPS, {"json": {"name": 1, "integrationId": "x", "secrets": []}}),
    (422, "POST", GROUPS, {"json": {"name": "x", "integrationId": "x", "secrets": [{"key": "K", "value": [CANARY]}]}}),
    (422, "POST", GROUPS, {"json": {"name": "x", "integrationId": "x", "secrets": [{"key": "/", "value": CANARY}]}}),
    (400, "PUT", "/apply", {"json": {"manifest": {"type": "cluster", "name": "x"}}}),
    (424, "POST", GROUPS, {"json": {"name": "xy", "integrationId": "x", "secrets": [{"key": "K", "value": CANARY}]}}),
]


@pytest.mark.parametrize("status, method, path, request_", CASES)
def test_row_40_error_bodies(api, method, path, request_, status):
    answer = api.call(method, path, **request_)
    assert answer.status_code == status, answer.text
    assert is_error_body(status, answer.content), answer.text
    assert isinstance(answer.json()["code"], str) and CANARY not in answer.text


def test_row_40_details_name_the_field(api):
    secrets = [{"key": "K", "value": CANARY}, {"key": "K", "value": 5}]
    body = api.call("POST", GROUPS, json={"name": "x", "integrationId": "x", "secrets": secrets}).json()
    assert [detail["path"] for detail in body["details"]] == ["secrets[1].value"]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}])
def test_row_40_without_credentials(headers, server):
    answer = server.http.get(f"{API}{GROUPS}", headers=headers)
    assert answer.status_code == 401 and is_error_body(401, answer.content)


def test_row_40_another_revision(api, name):
    group = api.create(name, K=f"{CANARY}-k")
    answer = api.call("DELETE", f"{GROUPS}/{group['id']}", headers={"if-match": '"7"'})
    assert answer.status_code == 412 and is_error_body(412, answer.content)
