"""`tfy migrate-gitops`: what it turns manifests into gives the same people the same things."""

from types import SimpleNamespace

import pytest
import yaml

from api import Api
from canary import CANARY
from server import Server


@pytest.fixture
def make_world(tmp_path_factory):
    """Servers that have nothing but the same people; each person has the same address on all of them."""
    made = []

    def make():
        server = Server(tmp_path_factory.mktemp("world"))
        made.append(server)
        people = {role: server.admin.person(role) for role in ["builder", "runner", "reader", "stranger"]}
        return SimpleNamespace(server=server, admin=server.admin, people=people)

    yield make
    for server in made:
        server.__exit__(None, None, None)


@pytest.fixture
def manifests(make_world):
    """What a repository has before the migration: grants in collaborators, authorized subjects and permissions."""
    world = make_world()
    builder, runner, reader = (f"user:{world.people[role][0]}" for role in ["builder", "runner", "reader"])
    team = {"type": "team", "name": "builders", "members": [world.people["builder"][0]]}
    integrations = [
        {
            "type": "integration/secret-store/truefoundry/db",
            "name": name,
            "authorized_subjects": subjects,
        }
        for name, subjects in {"narrow": ["team:builders", runner], "wide": ["team:everyone"], "shut": []}.items()
    ]
    account = {"type": "provider-account/truefoundry", "name": "stores", "integrations": integrations}

    def group(name, **roles):
        entries = {"builder": "team:builders", "runner": runner, "reader": reader, "everyone": "team:everyone"}
        return {
            "type": "secret-group",
            "name": name,
            "integration_fqn": "default:truefoundry:stores:secret-store:narrow",
            "collaborators": [
                {"subject": entries[who], "role_id": f"secret-group-{role}"} for who, role in roles.items()
            ],
        }

    groups = [
        group("payments", builder="admin", runner="editor", reader="reader"),
        group("search", builder="editor", everyone="viewer"),
        group("mail", reader="viewer", runner="manager"),
        group("nobody"),
        group("robots"),
    ]
    robot = {
        "type": "virtual-account",
        "name": "robot",
        "permissions": [
            {"resource_type": "secret-group", "resource_fqn": f"default:{name}", "role_id": f"secret-group-{role}"}
            for name, role in {"payments": "reader", "search": "viewer", "robots": "editor"}.items()
        ],
        "secret_store_config": {"type": "tfy-secrets", "secret_group": "robots", "key": "ROBOT"},
    }
    return SimpleNamespace(world=world, all=[robot, *groups, account, team])


def access(world):
    """What each may do, without changing anything: see, read, write, manage, and create where."""
    admin, server = world.admin, world.server
    groups = admin.ok("GET", "/secret-groups?limit=1000")["data"]
    subjects = dict(world.people)
    subjects["robot"] = ("robot", Api(server, server.keep(admin.referenced("default:robots:ROBOT"))))
    table = {}
    for who, (_, api) in subjects.items():
        seen = api.groups()
        for group in groups:
            (secret,) = [secret for secret in group["associatedSecrets"] if secret["name"] == "K"]
            name, path = group["name"], f"/secret-groups/{group['id']}"
            read = api.call("GET", f"/secrets/{secret['id']}")
            keys = [{"key": one["name"]} for one in group["associatedSecrets"]]
            manifest = {field: group["manifest"][field] for field in ["type", "name", "integration_fqn"]}
            table[who, name] = (
                name in seen,
                api.call("GET", path).status_code,
                read.status_code,
                read.json().get("data", {}).get("value"),
                api.call("PUT", path, json={"secrets": keys}).status_code,
                api.call("PUT", "/secret-groups", json={"manifest": manifest, "dryRun": True}).status_code,
            )
        for name in ["narrow", "wide", "shut"]:
            fqn = f"default:truefoundry:stores:secret-store:{name}"
            manifest = {"type": "secret-group", "name": "one-more", "integration_fqn": fqn}
            table[who, fqn] = api.call("PUT", "/secret-groups", json={"manifest": manifest, "dryRun": True}).status_code
    return table


def fill(world):
    """The same secret in every group."""
    for group in world.admin.ok("GET", "/secret-groups?limit=1000")["data"]:
        keys = [{"key": one["name"]} for one in group["associatedSecrets"] if one["name"] != "K"]
        body = {"secrets": [*keys, {"key": "K", "value": f"{CANARY}-{group['name']}"}]}
        world.admin.ok("PUT", f"/secret-groups/{group['id']}", json=body)


def test_migrated_manifests_give_the_same_access(make_world, manifests, session, tmp_path, written):
    before = manifests.world
    for at, manifest in enumerate(manifests.all):
        written(manifest, to=f"repository/{at}.yaml")
    code, said = session("apply", "-d", tmp_path / "repository", api=before.admin)
    assert code == 0 and said.count("✔") == len(manifests.all), said
    fill(before)
    wanted = access(before)
    # A table in which everybody may do the same would say nothing.
    assert {row[4] for row in wanted.values() if isinstance(row, tuple)} == {200, 403, 404}
    assert {row for row in wanted.values() if isinstance(row, int)} == {200, 403}

    code, said = session("migrate-gitops", "-d", tmp_path / "repository", api=before.admin)
    assert code == 0 and "role binding(s) to be created" in said, said
    documents = [
        document
        for path in (tmp_path / "repository").iterdir()
        for document in yaml.safe_load_all(path.read_text())
    ]
    bindings = [document for document in documents if document["type"] == "role-binding"]
    assert len(bindings) == 10 and len(documents) == len(manifests.all) + len(bindings)
    assert not any("collaborators" in document for document in documents)

    # On a server that has never seen the manifests from before.
    after = make_world()
    code, said = session("apply", "-d", tmp_path / "repository", api=after.admin)
    assert code == 0 and said.count("✔") == len(documents), said
    fill(after)
    assert access(after) == wanted
    # On the one that has them.
    code, said = session("apply", "-d", tmp_path / "repository", api=before.admin)
    assert code == 0 and said.count("✔") == len(documents), said
    assert access(before) == wanted

    # From there the bindings say who may do what.
    for binding in bindings:
        after.admin.unapply(binding)
    left = {row for (who, what), row in access(after).items() if isinstance(row, tuple)}
    assert left == {(False, 404, 404, None, 404, 403)}
