"""The server as a process of its own."""

import itertools
import os
import re
import signal
import subprocess
import threading
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import canary
from api import Api, is_error_body

START_SECONDS = 30
STOP_SECONDS = 30


def binary(variable):
    path = os.environ.get(variable)
    if not path:
        pytest.exit(f"{variable} is not set: run these tests with `cargo xtask test`", returncode=2)
    return Path(path).resolve()


def own_environment():
    """Settings of the outer world must not reach the server; unknown ones would even stop its start."""
    ours = ("STRONGROOM_", "DISABLE_SECRET_VALUE_VIEW")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def database_flags(folder):
    """For a fresh database of the PostgreSQL server that these tests run on; none where they run on SQLite."""
    url = os.environ.get("STRONGROOM_TEST_POSTGRES")
    if not url:
        return []
    name = f"clients_{uuid.uuid4().hex}"
    psql = [binary("STRONGROOM_TEST_PSQL"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    subprocess.run([*psql, "-d", url, "-c", f"CREATE DATABASE {name}"], check=True)
    key = folder / "root.key"
    init = [binary("STRONGROOM_BIN"), "keys", "init", "--root-key-file", key]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, env=own_environment())
    return ["--database-url", urlsplit(url)._replace(path=f"/{name}").geturl(), "--root-key-file", key]


class Server:
    """One server with a data folder of its own. Leaving it searches for values where none may be."""

    def __init__(self, folder, program="STRONGROOM_BIN", flags=(), settings=None, verify=True):
        self.folder, self.data = folder, folder / "data"
        self.errors = []
        self.tokens = {}
        self._counter = itertools.count(1)
        if "--database-url" not in flags:
            flags = [*flags, *database_flags(folder)]
        command = [binary(program), "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data, *flags]
        self._log = open(folder / "stderr.log", "wb")
        self._printed = []
        self._greeted = threading.Event()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, env=own_environment() | (settings or {}), cwd=folder
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._meet(verify)
        except BaseException:
            self.process.kill()
            raise

    def _meet(self, verify):
        """Learns from the greeting where the server is."""
        assert self._greeted.wait(START_SECONDS) and self._printed, f"the server did not start:\n{self.log()}"
        self.url = re.search(r"listens on (https?://\S+)", self._printed[0].decode()).group(1)
        self.port = int(self.url.rsplit(":", 1)[1])
        self.http = httpx.Client(base_url=self.url, verify=verify, event_hooks={"response": [self.note]}, timeout=60)
        self.tokens["admin"] = (self.data / "admin-token").read_text().strip()
        self.admin = Api(self, self.tokens["admin"])
        integrations = self.admin.ok("GET", "/provider-integrations?type=secret-store")["data"]
        self.integration = next(item for item in integrations if item["fqn"].endswith(":secret-store:db"))

    def _read(self):
        for line in self.process.stdout:
            self._printed.append(line)
            self._greeted.set()
        self._greeted.set()

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        lines = self.traces() if kind is None else []
        self.stop()
        lines += self.traces_at_rest()
        bodies = [body for body in self.errors if not is_error_body(*body)]
        assert kind or not lines, "\n".join(["found where it may not be:", *lines])
        # Row 40 of the drop-in checklist, over everything that the tests ran into.
        assert kind or not bodies, f"error bodies that are not the contract's: {bodies}"

    def note(self, response):
        """Keeps error bodies: each must have the contract's form and none a value."""
        if response.status_code >= 400:
            response.read()
            self.errors.append((response.status_code, response.content))

    def keep(self, token):
        """Keeps a token that was given out, to search for it."""
        if token:
            self.tokens[f"number {len(self.tokens)}"] = token
        return token

    def fresh(self, beginning):
        """A name that no other test of this server has."""
        return f"{beginning}-{next(self._counter)}"

    def log(self):
        self._log.flush()
        return (self.folder / "stderr.log").read_text(errors="replace")

    def stop(self):
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._log.close()
        self._reader.join()
        assert status == 0, f"the server ended with {status}"

    @property
    def secrets(self):
        """What may be nowhere: the values, and the tokens but for the places where the admin's is shown."""
        return {"the canary": canary.CANARY} | {f"token {name}": token for name, token in self.tokens.items()}

    def traces(self):
        """Every trace of a value in what the running server shows, writes and says."""
        secrets = self.secrets
        lines = canary.traces_in_process(self.process.pid, secrets)
        lines += self.traces_at_rest()
        for path in ["/openapi.json", "/metrics", "/healthz", "/readyz"]:
            lines += canary.traces(path, self.http.get(path).content, secrets)
        for page in self.audit_pages():
            lines += canary.traces("audit-logs", page, secrets)
        for status, body in self.errors:
            lines += canary.traces(f"a body with status {status}", body, secrets)
        return lines

    def traces_at_rest(self):
        """Every trace of a value in files and in what was printed."""
        secrets, admin = self.secrets, "token admin"
        others = {name: secret for name, secret in secrets.items() if name != admin}
        lines = canary.traces_in_folder(self.data, secrets, but={"admin-token"})
        lines += canary.traces("standard error", (self.folder / "stderr.log").read_bytes(), secrets)
        lines += canary.traces("standard output", b"".join(self._printed), others)
        return lines

    def audit_pages(self):
        for offset in itertools.count(0, 1000):
            answer = self.admin.call("GET", f"/audit-logs?metric=list&limit=1000&offset={offset}")
            assert answer.status_code == 200, answer.text
            yield answer.content
            if len(answer.json()["data"]) < 1000:
                return
