"""Fixtures: one server for most tests, the SDK in both kinds, people with roles."""

import os
import re
from types import SimpleNamespace

import pytest

import sdk as sdk_module
from canary import CANARY
from server import Server

# Nothing here leaves the machine.
for variable in ["http_proxy", "https_proxy", "all_proxy"]:
    os.environ.pop(variable, None)
    os.environ.pop(variable.upper(), None)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def api(server):
    """Plain HTTP as the administrator."""
    return server.admin


@pytest.fixture(params=sorted(sdk_module.KINDS))
def kind(request):
    return request.param


@pytest.fixture
def sdk_to(kind):
    """Makes SDK clients, which are closed after the test."""
    made = []

    def make(url, token, **options):
        made.append(sdk_module.Sdk(kind, url, token, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def sdk_as(server, sdk_to):
    """The SDK with some `Api`'s token, on the server that most tests use."""
    return lambda api: sdk_to(server.url, api.token, note=server.note)


@pytest.fixture
def sdk(server, sdk_as):
    """The SDK as the administrator."""
    return sdk_as(server.admin)


@pytest.fixture
def name(request, server):
    """A group name of this test's own."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    return server.fresh(words[:40].strip("-"))


@pytest.fixture(scope="session")
def people(server):
    """An editor, a viewer and a stranger: address, subject and plain HTTP of each."""
    made = {}
    for role in ["editor", "viewer", "stranger"]:
        email, api = server.admin.person(role)
        made[role] = SimpleNamespace(email=email, subject=f"user:{email}", api=api)
    return SimpleNamespace(**made)


@pytest.fixture
def shared(api, people, name):
    """A group with two secrets that the editor and the viewer have their roles on."""
    api.share(name, {people.editor.subject: "editor", people.viewer.subject: "viewer"})
    group = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"][0]
    values = {"K": f"{CANARY}-k", "J": f"{CANARY}-j"}
    body = {"secrets": [{"key": key, "value": value} for key, value in values.items()]}
    group = api.ok("PUT", f"/secret-groups/{group['id']}", json=body)["data"]
    ids = {secret["name"]: secret["id"] for secret in group["associatedSecrets"]}
    return SimpleNamespace(id=group["id"], fqn=group["fqn"], name=name, values=values, secrets=ids)
