"""Real secret stores as processes of their own, each behind a door that can be shut, and read over its own API."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import uuid

import httpx
import pytest

START_SECONDS = 60
EVENTUALLY_SECONDS = 30
REGION = "eu-central-1"


class Store:
    """A store's process. Clients of the store that is tested come through the door."""

    variable = None

    def __init__(self, folder):
        program = os.environ.get(self.variable)
        if not program:
            pytest.skip(f"{self.variable} isn't set; `cargo xtask test` sets it")
        self._log = folder / f"{self.kind}.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [program, *self.arguments()],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
                cwd=folder,
            )
        try:
            self.port = self.wait_for_port()
            self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
            self.door = Door(self.port)
        except BaseException:
            self.process.kill()
            raise

    def wait_for_port(self):
        """Where it listens, once its log says so."""
        return int(eventually(lambda: self.logged(self.ready), START_SECONDS).group(1))

    def logged(self, pattern):
        assert self.process.poll() is None, f"it ended at its start:\n{self._log.read_text()}"
        return re.search(pattern, self._log.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.door.close()
        self.http.close()
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return self.door.url

    def manifest(self, name):
        """An account with one integration, whose name is the store's kind."""
        integration = {"name": self.kind, "authorized_subjects": ["team:everyone"]} | self.integration()
        return {"name": name, "integrations": [integration]} | self.account()

    def integration_fqn(self, name):
        provider = self.account()["type"].split("/")[1]
        return f"default:{provider}:{name}:secret-store:{self.kind}"

    @contextlib.contextmanager
    def down(self, how):
        """`refuses`: nobody listens and connections are cut. `hangs`: what is sent is never answered."""
        if how == "refuses":
            self.door.shut()
        else:
            self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)
            self.door.open()


class Vault(Store):
    """OpenBao in development mode, with a KV engine of version 2 at `secret/`."""

    kind, variable = "vault", "STRONGROOM_TEST_BAO"
    ready = r"(?s)Api Address: http://127\.0\.0\.1:(\d+).*server started!"

    def arguments(self):
        self.token = f"root-{uuid.uuid4().hex}"
        address = f"-dev-listen-address=127.0.0.1:{free_pair()}"
        return ["server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={self.token}", address]

    @property
    def credentials(self):
        return [self.token]

    def account(self):
        return {"type": "provider-account/hashicorp"}

    def integration(self):
        return {
            "type": "integration/secret-store/hashicorp/vault",
            "vault_url": self.url,
            "kv_mount_path": "secret",
            "auth_data": {"type": "token", "token": self.token},
        }

    def direct(self, group, key):
        """What a direct reader gets; `None` where nothing is."""
        path = f"/v1/secret/data/tfy-secret/default/{group}/{key}"
        answer = self.http.get(path, headers={"x-vault-token": self.token})
        if answer.status_code == 404:
            return None
        return answer.raise_for_status().json()["data"]["data"]["value"]


class Aws(Store):
    """moto, which plays AWS Secrets Manager and STS."""

    kind, variable = "aws", "STRONGROOM_TEST_MOTO"
    ready = r"Running on http://127\.0\.0\.1:(\d+)"
    key_id, secret_key = "AKIAIOSFODNN7EXAMPLE", f"secret-{uuid.uuid4().hex}"

    def arguments(self):
        return ["-H", "127.0.0.1", "-p", "0"]

    @property
    def credentials(self):
        return [self.secret_key]

    def account(self):
        auth = {"type": "access-key-based", "access_key_id": self.key_id, "secret_access_key": self.secret_key}
        return {"type": "provider-account/aws", "aws_account_id": "123456789012", "auth_data": auth}

    def integration(self):
        return {"type": "integration/secret-store/aws/secrets-manager", "region": REGION}

    def direct(self, group, key):
        """What a direct reader gets; `None` where nothing is."""
        scope = f"Credential={self.key_id}/20260101/{REGION}/secretsmanager/aws4_request"
        headers = {
            "x-amz-target": "secretsmanager.GetSecretValue",
            "content-type": "application/x-amz-json-1.1",
            "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        }
        body = {"SecretId": f"/tfy-secret/default/{group}/{key}", "VersionStage": "AWSCURRENT"}
        answer = self.http.post("/", headers=headers, content=json.dumps(body))
        if answer.status_code == 400 and "ResourceNotFoundException" in answer.text:
            return None
        return answer.raise_for_status().json()["SecretString"]


KINDS = {"vault": Vault, "aws": Aws}


class Door:
    """Passes connections on to a port, until it is shut: then nobody listens, and what was open is cut."""

    def __init__(self, port):
        self._port = port
        self._lock = threading.Lock()
        self._listener, self._streams, self.port = None, set(), 0
        self.open()
        self.url = f"http://127.0.0.1:{self.port}"

    def open(self):
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def shut(self):
        with self._lock:
            end(self._listener)
            self._listener = None
            for stream in self._streams:
                end(stream)
            self._streams.clear()

    def close(self):
        if self._listener is not None:
            self.shut()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
                store = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            with self._lock:
                self._streams |= {client, store}
                if self._listener is not listener:
                    end(client)
            for pair in [(client, store), (store, client)]:
                threading.Thread(target=pump, args=pair, daemon=True).start()


def pump(source, target):
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    end(target)


def end(stream):
    """`close` alone wouldn't wake up who waits for it in another thread."""
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
    stream.close()


def free_pair():
    """A free port whose successor is free, too: OpenBao takes that one for its cluster."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first, contextlib.suppress(OSError):
            port = first.getsockname()[1]
            with socket.create_server(("127.0.0.1", port + 1)):
                return port


def eventually(look, seconds=EVENTUALLY_SECONDS):
    """The first answer that isn't nothing."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found
