"""What the documentation shows works."""

import re
from pathlib import Path

import yaml

from server import Server

DOCUMENT = Path(__file__).parents[2] / "docs/api.md"


def test_the_manifests_shown_apply(session, tmp_path, tmp_path_factory):
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    manifests = list(yaml.safe_load_all(shown))
    path = tmp_path / "shown.yaml"
    path.write_text(shown)
    with Server(tmp_path_factory.mktemp("documented")) as server:
        for name in ["alice", "bob", "carol"]:
            server.admin.ok("POST", "/users/register", json={"email": f"{name}@example.com"})
        # One of each type, but for accounts with stores that would have to be there; those are in reference/stores/.
        refused = server.admin.call("PUT", "/apply", json={"manifest": {"type": "none"}}).json()["message"]
        types = set(re.findall("`(.*?)`", refused)) - {"provider-account/aws", "provider-account/hashicorp"}
        assert len(manifests) == 8 and sorted(one["type"] for one in manifests) == sorted(types)
        code, said = session("apply", "-f", path, api=server.admin)
        assert code == 0 and said.count("✔") == len(manifests), said
        server.keep(server.admin.referenced("default:checkout:DEPLOYER_TOKEN"))
