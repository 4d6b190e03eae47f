"""The search for values finds what it should: else its silence at the end of every server would mean nothing."""

import base64
import subprocess
import sys

import pytest

import canary

SECRETS = {"it": canary.CANARY}


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize(
    "spell", [str, lambda text: text.encode().hex(), lambda text: base64.b64encode(text.encode()).decode()]
)
def test_finds_a_value_among_other_things(before, spell, tmp_path):
    content = f"{before}{canary.CANARY}-and more"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\xff\0" + spell(content).encode())
    assert canary.traces_in_folder(tmp_path, SECRETS)
    assert canary.CANARY not in "".join(canary.traces_in_folder(tmp_path, SECRETS))
    assert canary.traces_in_folder(tmp_path, SECRETS, but={"file"}) == []


def test_finds_nothing_where_nothing_is(tmp_path):
    (tmp_path / "file").write_text("nothing " * 1000)
    assert canary.traces_in_folder(tmp_path, SECRETS) == []


def test_finds_a_value_in_a_process():
    waiting = [sys.executable, "-c", "input('up')"]
    environment = {"OF_A_CHILD": canary.CANARY}
    for arguments, settings in [([canary.CANARY], None), ([], environment)]:
        child = subprocess.Popen([*waiting, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=settings)
        # What /proc tells of a process is there a moment later than the process.
        assert child.stdout.read(2) == b"up"
        found = canary.traces_in_process(child.pid, SECRETS)
        child.communicate(b"\n")
        assert len(found) == 1
