"""A create whose answer is lost, and the repetition that follows: one group, and no error in the end.

What the SDK repeats by itself (its `core/http_client.py`, 0.6.0): answers with a status of 500 and more, 408, 409 and
429, and connections that couldn't be made. A connection that ends without an answer raises `httpx.RemoteProtocolError`
to the caller, unless a call asks for its repetition with `request_options={"retry_remote_protocol_errors": True}`; a
reset raises `httpx.ReadError` always. There the caller repeats, as these tests do.
"""

import httpx
import pytest
from truefoundry_sdk import SecretInput
from truefoundry_sdk.core.api_error import ApiError

from canary import CANARY
from proxy import CuttingProxy

CREATE = b"POST /api/svc/v1/secret-groups "
VALUES = {"K": f"{CANARY}-k", "J": f"{CANARY}-j"}
AFTER_THE_COMMIT = {"cut_after", "reset_after", "cut_answer", "gateway_502", "gateway_503", "gateway_504"}


@pytest.fixture
def through(sdk_to, server):
    """The SDK behind a gateway with a mishap."""
    proxies = []

    def make(mishap):
        proxy = CuttingProxy(server.port, CREATE, mishap)
        proxies.append(proxy)
        return sdk_to(proxy.url, server.admin.token), proxy

    yield make
    for proxy in proxies:
        proxy.__exit__()


def create(sdk, server, name, values=VALUES, **options):
    secrets = [SecretInput(key=key, value=value) for key, value in values.items()]
    integration = server.integration["id"]
    return sdk.secret_groups.create(name=name, integration_id=integration, secrets=secrets, request_options=options).data


def assert_made_once(server, group, mishap, proxy):
    assert proxy.happened and bool(proxy.lost) == (mishap in AFTER_THE_COMMIT)
    assert proxy.lost in (None, "HTTP/1.1 200 OK"), "the answer that got lost was not that of a create"
    (found,) = server.admin.ok("GET", f"/secret-groups?search={group.manifest['name']}")["data"]
    assert found["id"] == group.id
    for key, value in VALUES.items():
        secret = next(secret for secret in group.associated_secrets if secret.name == key)
        read = server.admin.ok("GET", f"/secrets/{secret.id}")["data"]
        assert read["value"] == value and [version["version"] for version in read["secretVersions"]] == [1]
    created = server.admin.ok("GET", f"/audit-logs?metric=list&resourceName={group.manifest['name']}")["data"]
    assert [event["action"] for event in created].count("CREATE_SECRET_GROUP") == 1


@pytest.mark.parametrize("mishap", ["gateway_502", "gateway_503", "gateway_504"])
def test_the_sdk_repeats_after_a_gateway_error(mishap, name, server, through):
    sdk, proxy = through(mishap)
    group = create(sdk, server, name)
    assert len(sdk.sent) == 2
    assert_made_once(server, group, mishap, proxy)


@pytest.mark.parametrize("mishap", ["cut_before", "cut_inside", "cut_unanswered", "cut_after", "cut_answer"])
def test_the_sdk_repeats_after_a_cut_when_told_to(mishap, name, server, through):
    sdk, proxy = through(mishap)
    group = create(sdk, server, name, retry_remote_protocol_errors=True)
    assert len(sdk.sent) == 2
    assert_made_once(server, group, mishap, proxy)


@pytest.mark.parametrize(
    "mishap", ["cut_before", "cut_inside", "cut_unanswered", "cut_after", "cut_answer", "reset_after"]
)
def test_the_caller_repeats_after_a_cut(mishap, name, server, through):
    sdk, proxy = through(mishap)
    with pytest.raises(httpx.ReadError if mishap == "reset_after" else httpx.RemoteProtocolError):
        create(sdk, server, name)
    assert len(sdk.sent) == 1, "the SDK repeats by itself now: drop the caller's repetition"
    group = create(sdk, server, name)
    assert len(sdk.sent) == 2
    assert_made_once(server, group, mishap, proxy)


def test_another_create_is_no_repetition(name, server, through):
    sdk, proxy = through("cut_after")
    with pytest.raises(httpx.RemoteProtocolError):
        create(sdk, server, name)
    for values in [VALUES | {"K": f"{CANARY}-other"}, {"K": VALUES["K"]}, VALUES | {"L": f"{CANARY}-l"}]:
        with pytest.raises(ApiError) as raised:
            create(sdk, server, name, values, max_retries=0)
        assert raised.value.status_code == 409
    assert_made_once(server, create(sdk, server, name), "cut_after", proxy)
