"""The SDK over TLS, with a certificate authority of one's own."""

import ssl

import httpx
import pytest
import trustme
from truefoundry_sdk import SecretInput

from canary import CANARY
from server import Server


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def server(authority, tmp_path_factory, trusting):
    folder = tmp_path_factory.mktemp("tls")
    made = authority.issue_cert("127.0.0.1")
    with open(folder / "chain.pem", "wb") as chain:
        chain.writelines(blob.bytes() for blob in made.cert_chain_pems)
    made.private_key_pem.write_to_path(folder / "key.pem")
    flags = ["--tls-cert", folder / "chain.pem", "--tls-key", folder / "key.pem"]
    with Server(folder, flags=flags, verify=trusting) as server:
        yield server


def test_create_and_read_over_tls(kind, name, sdk_to, server, trusting):
    client = {"sync": httpx.Client, "async": httpx.AsyncClient}[kind](verify=trusting)
    sdk = sdk_to(server.url, server.admin.token, note=server.note, httpx_client=client)
    assert server.url.startswith("https://")
    secrets = [SecretInput(key="K", value=f"{CANARY}-k")]
    group = sdk.secret_groups.create(name=name, integration_id=server.integration["id"], secrets=secrets).data
    assert sdk.secrets.get(group.associated_secrets[0].id).data.value == f"{CANARY}-k"


def test_an_unknown_authority_is_refused(sdk_to, server):
    sdk = sdk_to(server.url, server.admin.token)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        sdk.secret_groups.list(request_options={"max_retries": 0})
