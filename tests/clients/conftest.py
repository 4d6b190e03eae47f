"""Fixtures: one server for most tests, the SDK in both kinds, people with roles."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import sdk as sdk_module
from canary import CANARY
from server import Server

TFY = Path(sys.executable).with_name("tfy")

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


@pytest.fixture
def tfy(server, tmp_path):
    """Runs `tfy` in a home of its own; gives its exit code and what it printed, without line breaks."""
    kept = {name: os.environ[name] for name in ["PATH", "LANG", "LC_ALL"] if name in os.environ}
    settings = {"HOME": str(tmp_path), "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}

    def run(*arguments, **more):
        ran = subprocess.run(
            [TFY, *arguments], cwd=tmp_path, env=kept | settings | more, capture_output=True, text=True, timeout=120
        )
        return ran.returncode, " ".join((ran.stdout + ran.stderr).split())

    return run


@pytest.fixture
def session(server, tfy):
    """`tfy` with host and token from the environment: the administrator's on the usual server, if nothing else is said."""

    def run(*arguments, api=None):
        api = api or server.admin
        return tfy(*arguments, TFY_HOST=api.server.url, TFY_API_KEY=api.token)

    return run


@pytest.fixture
def written(tmp_path):
    """Writes manifests into one file, in this order."""

    def write(*manifests, to="manifests.yaml"):
        path = tmp_path / to
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(manifests, sort_keys=False))
        return path

    return write
