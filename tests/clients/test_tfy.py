"""The real command line: rows 27 to 29, 31 and 32 of the drop-in checklist, with opaque tokens.

Left out, as what they need comes later: JWTs (28), provider accounts by manifest (30), the interactive login.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TFY = Path(sys.executable).with_name("tfy")


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
    """`tfy` with host and token from the environment."""
    return lambda *arguments: tfy(*arguments, TFY_HOST=server.url, TFY_API_KEY=server.admin.token)


@pytest.fixture
def written(api, name, tmp_path):
    """Writes the group's manifest with some fields changed."""

    def write(**changes):
        path = tmp_path / "secret-group.yaml"
        path.write_text(yaml.safe_dump(api.manifest(name) | changes))
        return path

    return write


def test_rows_27_28_and_32_login_apply_delete(api, name, people, server, tfy, tmp_path, written):
    code, said = tfy("login", "--host", server.url, "--api-key", api.token)
    assert code == 0 and f"logged in to '{server.url}' as 'admin'" in said, said
    assert (tmp_path / ".truefoundry/credentials.json").exists()
    code, said = tfy("apply", "-f", written())
    assert code == 0 and "✔" in said and name in said, said
    (group,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    shared = [{"subject": people.viewer.subject, "role_id": "secret-group-viewer"}]
    code, said = tfy("apply", "-f", written(collaborators=shared))
    assert code == 0 and "✔" in said, said
    (again,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    kept = {"subject": "user:admin@strongroom.local", "role_id": "secret-group-admin"}
    assert again["id"] == group["id"] and again["manifest"]["collaborators"] == [*shared, kept]
    # What the command line doesn't say: the first run created, the second updated.
    events = api.ok("GET", f"/audit-logs?metric=list&resourceId={group['id']}")["data"]
    actions = [event["action"] for event in reversed(events)]
    assert actions[0] == "CREATE_SECRET_GROUP" and len(actions) == 2 and actions[1] != actions[0]
    code, said = tfy("delete", "-f", written())
    assert code == 0 and "✔" in said, said
    assert api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"] == []


def test_row_27_login_with_an_unknown_token(server, tfy, tmp_path):
    code, said = tfy("login", "--host", server.url, "--api-key", "tfy_unknown")
    assert code != 0 and "Invalid or expired API token" in said, said
    assert not (tmp_path / ".truefoundry/credentials.json").exists()


def test_row_29_dry_run_with_diff(api, name, people, session, written):
    code, said = session("apply", "--dry-run", "--show-diff", "-f", written())
    assert code == 0 and api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"] == [], said
    before = api.share(name, {})
    shared = [{"subject": people.viewer.subject, "role_id": "secret-group-viewer"}]
    code, said = session("apply", "--dry-run", "--show-diff", "-f", written(collaborators=shared))
    assert code == 0 and people.viewer.subject in said and "secret-group-viewer" in said, said
    (after,) = api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"]
    assert after["manifest"] == before["manifest"] and after["updatedAt"] == before["updatedAt"]


def test_row_31_apply_with_a_bad_integration(api, name, session, written):
    code, said = session("apply", "-f", written(integration_fqn="default:truefoundry:default:secret-store:nope"))
    assert code != 0 and "there is no secret store integration" in said, said
    assert api.ok("GET", f"/secret-groups?fqn=default:{name}")["data"] == []
