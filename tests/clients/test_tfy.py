"""The real command line: rows 27 to 32 of the drop-in checklist. Left out, as it comes later: the interactive login."""

import subprocess
from types import SimpleNamespace

import pytest

from api import Api


@pytest.fixture
def group_file(api, name, written):
    """Writes the group's manifest with some fields changed."""
    return lambda **changes: written(api.manifest(name) | changes, to="secret-group.yaml")


def test_rows_27_28_and_32_login_apply_delete(api, name, people, server, tfy, tmp_path, group_file):
    code, said = tfy("login", "--host", server.url, "--api-key", api.token)
    assert code == 0 and f"logged in to '{server.url}' as 'admin'" in said, said
    assert (tmp_path / ".truefoundry/credentials.json").exists()
    code, said = tfy("apply", "-f", group_file())
    assert code == 0 and "✔" in said and name in said, said
    (group,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    shared = [{"subject": people.viewer.subject, "role_id": "secret-group-viewer"}]
    code, said = tfy("apply", "-f", group_file(collaborators=shared))
    assert code == 0 and "✔" in said, said
    (again,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    kept = {"subject": "user:admin@strongroom.local", "role_id": "secret-group-admin"}
    assert again["id"] == group["id"] and again["manifest"]["collaborators"] == [*shared, kept]
    # What the command line doesn't say: the first run created, the second updated.
    events = api.ok("GET", f"/audit-logs?metric=list&resourceId={group['id']}")["data"]
    actions = [event["action"] for event in reversed(events)]
    assert actions[0] == "CREATE_SECRET_GROUP" and len(actions) == 2 and actions[1] != actions[0]
    code, said = tfy("delete", "-f", group_file())
    assert code == 0 and "✔" in said, said
    assert api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"] == []


def test_rows_27_and_28_with_a_jwt(api, name, people, server, session, tfy, group_file):
    body = {"name": server.fresh("jwt"), "userEmail": people.editor.email, "tokenType": "jwt"}
    token = server.keep(api.ok("POST", "/personal-access-tokens/for-user", json=body)["token"])
    assert token.count(".") == 2
    editor = Api(server, token)
    code, said = session("apply", "-f", group_file(), api=editor)
    assert code == 0 and "✔" in said and name in said, said
    (group,) = people.editor.api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    assert group["createdBySubject"]["subjectSlug"] == people.editor.email
    code, said = tfy("login", "--host", server.url, "--api-key", token)
    assert code == 0 and "logged in" in said.lower(), said
    code, said = tfy("delete", "-f", group_file())
    assert code == 0 and name not in api.groups(), said


def test_row_27_login_with_an_unknown_token(server, tfy, tmp_path):
    code, said = tfy("login", "--host", server.url, "--api-key", "tfy_unknown")
    assert code != 0 and "Invalid or expired API token" in said, said
    assert not (tmp_path / ".truefoundry/credentials.json").exists()


def test_row_29_dry_run_with_diff(api, name, people, session, group_file):
    code, said = session("apply", "--dry-run", "--show-diff", "-f", group_file())
    assert code == 0 and api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"] == [], said
    before = api.share(name, {})
    shared = [{"subject": people.viewer.subject, "role_id": "secret-group-viewer"}]
    code, said = session("apply", "--dry-run", "--show-diff", "-f", group_file(collaborators=shared))
    assert code == 0 and people.viewer.subject in said and "secret-group-viewer" in said, said
    (after,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    assert after["manifest"] == before["manifest"] and after["updatedAt"] == before["updatedAt"]


def test_row_31_apply_with_a_bad_integration(api, name, session, group_file):
    code, said = session("apply", "-f", group_file(integration_fqn="default:truefoundry:default:secret-store:nope"))
    assert code != 0 and "there is no secret store integration" in said, said
    assert api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"] == []


@pytest.fixture
def everything(api, people, server):
    """One manifest of each type, each after those that it names; and what they are called."""
    names = SimpleNamespace(
        **{kind: server.fresh(kind) for kind in ["provider", "role", "team", "account", "group", "bot", "agent", "binding"]}
    )
    integration = f"default:truefoundry:{names.account}:secret-store:db"
    mapping = [{"identity_provider": names.provider, "value": "agents/one"}]
    on_group = [("secret-group", f"default:{names.group}", "secret-group-reader")]
    manifests = [
        {
            "type": "identity-provider",
            "name": names.provider,
            "issuer": "https://login.example.com",
            "jwks_uri": "https://login.example.com/keys",
        },
        {
            "type": "role",
            "name": names.role,
            "displayName": "Auditors",
            "description": "They read the audit log.",
            "resourceType": "account",
            "permissions": ["audit-log:read"],
        },
        {"type": "team", "name": names.team, "members": [people.viewer.email]},
        {
            "type": "provider-account/truefoundry",
            "name": names.account,
            "integrations": [
                {
                    "type": "integration/secret-store/truefoundry/db",
                    "name": "db",
                    "authorized_subjects": [f"team:{names.team}"],
                }
            ],
        },
        {
            "type": "secret-group",
            "name": names.group,
            "integration_fqn": integration,
            "collaborators": [{"subject": f"team:{names.team}", "role_id": "secret-group-viewer"}],
        },
        {
            "type": "virtual-account",
            "name": names.bot,
            "permissions": [
                {
                    "resource_type": "secret-group",
                    "resource_fqn": f"default:{names.group}",
                    "role_id": "secret-group-reader",
                }
            ],
            "secret_store_config": {"type": "tfy-secrets", "secret_group": names.group, "key": "BOT"},
            "ownedBy": {"team": names.team},
        },
        {
            "type": "agent-identity",
            "name": names.agent,
            "identity": {"type": "identity-provider-backed", "identity_provider_mapping": mapping},
        },
        api.binding(names.binding, [f"team:{names.team}", f"agent:{names.agent}"], *on_group),
        api.binding(f"{names.binding}-b", [f"team:{names.team}"], ("account", "default", names.role)),
    ]
    return SimpleNamespace(manifests=manifests, names=names, integration=integration)


def applied(said, manifests):
    """The manifests in the order in which the command line says that it applied them."""
    places = [(said.find(f"manifest {one['name']} of type {one['type']}"), at) for at, one in enumerate(manifests)]
    assert said.count("✔") == len(manifests) and min(places)[0] >= 0, said
    return [at for _, at in sorted(places)]


def test_row_30_everything_in_one_file(api, everything, people, server, session, written):
    manifests, names = everything.manifests, everything.names
    given = manifests[::-1]
    code, said = session("apply", "-f", written(*given))
    assert code == 0, said
    # Nothing before what it names.
    place = {given[at]["name"]: position for position, at in enumerate(applied(said, given))}
    assert place[names.team] < place[names.account] < place[names.group] < place[names.bot]
    assert max(place[names.team], place[names.agent], place[names.group]) < place[names.binding]
    assert place[names.provider] < place[names.agent] and place[names.role] < place[f"{names.binding}-b"]
    # Everything is there and holds.
    assert people.viewer.api.ok("GET", "/teams/user?limit=1000")["pagination"]["total"] > 0
    assert people.viewer.api.call("GET", "/audit-logs?metric=count").status_code == 200
    (group,) = people.viewer.api.ok("GET", f"/secret-groups?fqn=default:{names.group}")["data"]
    assert group["manifest"]["integration_fqn"] == everything.integration
    token = server.keep(api.referenced(f"default:{names.group}:BOT"))
    machine = Api(server, token)
    assert machine.ok("GET", "/x/users/info")["subjectSlug"] == names.bot
    assert machine.referenced(f"default:{names.group}:BOT") == token
    assert people.viewer.api.referenced(f"default:{names.group}:BOT") == token
    # Again: nothing is made twice.
    code, said = session("apply", "-f", written(*given))
    assert code == 0 and len(applied(said, given)) == len(given), said
    (again,) = people.viewer.api.ok("GET", f"/secret-groups?fqn=default:{names.group}")["data"]
    assert again["updatedAt"] == group["updatedAt"] and api.referenced(f"default:{names.group}:BOT") == token
    # From the last to the first: what is named can't go before what names it, nor an account before its trash.
    missing = {"type": "secret-group", "name": f"{names.group}-x", "integration_fqn": everything.integration}
    code, said = session("delete", "-f", written(*manifests[:2:-1], missing))
    assert code != 0 and "0 that are used and 1 in the trash" in said, said
    assert "there is no such secret group" in said and said.count("✘") == 2, said
    assert said.count("✔") == len(manifests) - 4, said
    assert names.group not in api.groups() and machine.call("GET", "/x/users/info").status_code == 401


def test_row_30_a_directory(api, everything, session, tmp_path, written):
    # Sorted by name they'd go in the wrong order, too.
    files = [
        written(one, to=f"infra/{9 - at}/{one['name']}.{'yml' if at % 2 else 'yaml'}")
        for at, one in enumerate(everything.manifests)
    ]
    written({"type": "nonsense"}, to="infra/ignored.json")
    code, said = session("apply", "-d", tmp_path / "infra")
    assert code == 0 and f"Found {len(files)} yaml file(s)" in said, said
    assert len(applied(said, everything.manifests)) == len(files)
    assert everything.names.group in api.groups()


def test_a_directory_in_step_with_git(api, everything, session, tmp_path, written):
    folder, names = tmp_path / "infra", everything.names

    def git(*arguments):
        who = ["-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)

    files = {one["name"]: written(one, to=f"infra/{one['name']}.yaml") for one in everything.manifests}
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    assert session("apply", "-d", folder)[0] == 0
    # The viewer's team goes, with what names it.
    for name in [names.bot, names.binding, f"{names.binding}-b", names.agent, names.provider, names.role]:
        files[name].unlink()
    description = {"description": "Those who build it."}
    written(everything.manifests[2] | description, to=f"infra/{names.team}.yaml")
    code, said = session("apply", "-d", folder, "--diffs-only", "--sync")
    assert code == 0 and said.count("✔") == 7, said
    (team,) = [team for team in api.ok("GET", "/teams/user?limit=1000")["data"] if team["teamName"] == names.team]
    assert team["description"] == description["description"]
    for manifest in everything.manifests[5:]:
        gone = api.call("POST", "/delete", json={"manifest": manifest})
        assert gone.status_code == 404, gone.text


def test_row_29_dry_runs_of_every_type(api, everything, session, written):
    for manifest in everything.manifests:
        api.apply(manifest)
    provider, role, team, account, _, bot, agent, binding, _ = everything.manifests
    # The command line leaves out what depends on something else in the same run.
    # Of what is unchanged there is nothing to show.
    code, said = session("apply", "--dry-run", "--show-diff", "-f", written(provider))
    assert code == 0 and "No changes detected" in said, said
    runs = [
        [
            provider | {"issuer": "https://login.example.com/other"},
            role | {"description": "They read other things."},
            account | {"integrations": [account["integrations"][0] | {"authorized_subjects": []}]},
            bot | {"expiration_date": "2099-12-31"},
            binding | {"subjects": binding["subjects"][:1]},
        ],
        [team | {"displayName": "Developers"}, agent | {"tags": {"site": "berlin"}}],
    ]
    shown = ["login.example.com/other", "They read other things", "authorized_subjects: []", "2099-12-31", "agent"]

    def stored():
        answers = [api.ok("PUT", "/apply", json={"manifest": one, "dryRun": True}) for one in everything.manifests]
        return [answer["existingManifest"] for answer in answers]

    before, trail = stored(), api.ok("GET", "/audit-logs?metric=count")["count"]
    assert None not in before
    for changed, words in zip(runs, [shown, ["Developers", "berlin"]]):
        code, said = session("apply", "--dry-run", "--show-diff", "-f", written(*changed))
        assert code == 0 and said.count("✔") == len(changed), said
        assert all(word in said for word in words), said
    assert stored() == before and api.ok("GET", "/audit-logs?metric=count")["count"] == trail


def test_row_31_some_of_many_are_bad(api, everything, name, session, written):
    good, bad = everything.manifests[2], everything.manifests[4]
    unknown = [{"type": "workspace", "name": name}, {"type": "provider-account/gcp", "name": name}]
    code, said = session("apply", "-f", written(bad, *unknown, good))
    assert code != 0 and (said.count("✔"), said.count("✘")) == (1, 3), said
    assert f"there is no secret store integration `{everything.integration}`" in said
    assert "this server applies manifests of the types" in said and "aren't built yet" in said, said
    assert everything.names.group not in api.groups()
