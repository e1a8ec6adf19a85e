"""The real Unleash: its database is made once and kept in .cache, so that a session waits for a warm start only."""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.postgres import Postgres, postgres, stop
from tests.servers import free_port, missing, poll

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "unleash"
ADMIN = "*:*.the-first-token"
"""The token that the server starts with. It may do all, but it belongs to nobody."""
BACKEND = {"production": "*:production.backend", "development": "*:development.backend"}
PASSWORD = "Sw1tchThat!Flag"  # of a server that lives for one test session
USERS = {"dana": 2, "rollbackd": 2, "vic": 3}
"""People, and the ids of their roles: 2 may edit, 3 may look."""


@dataclass(frozen=True, slots=True)
class UnleashServer:
    """A running Unleash. ``tokens``: of people, by name; ``database``: to set up what the free edition's API does not."""

    url: str
    database: str
    tokens: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def ask(self, who: str, method: str, path: str, body: object = None) -> Any:
        """The answer to a request by ``who``. Raises AssertionError for any failure."""
        status, document, _ = asked(self.url, method, path, {"Authorization": self.tokens[who]}, body)
        assert 200 <= status < 300, f"{method} {path}: {status} {document}"
        return document

    def served(self, project: str, environment: str = "production") -> dict[str, bool]:
        """What a backend application is served now."""
        _, document, _ = asked(self.url, "GET", f"/api/client/features?project={project}", {"Authorization": BACKEND[environment]})
        return {each["name"]: each["enabled"] for each in document["features"]}


def asked(url: str, method: str, path: str, headers: Mapping[str, str], body: object = None) -> tuple[int, Any, Mapping[str, str]]:
    """Status, document and headers (names in lower case) of the answer."""
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
        reply = connection.getresponse()
        raw = reply.read()
        return (
            reply.status,
            json.loads(raw) if raw.strip().startswith((b"{", b"[")) else None,
            {name.lower(): value for name, value in reply.getheaders()},
        )


@contextlib.contextmanager
def unleash() -> Iterator[UnleashServer]:
    """An Unleash with the people of ``USERS`` and no flags."""
    template = _template()
    tokens = json.loads((template / "tokens.json").read_text())
    with postgres(template / "data") as database, _running(database) as (url, process):
        yield UnleashServer(url, database.dsn("unleash"), tokens, process)


def node() -> str:
    """The path of Node.js; without it, or without the server's packages, the test is skipped or, in CI, fails."""
    found = CACHE / "node"
    if not (CACHE / "node_modules" / "unleash-server").is_dir() or not found.exists():
        missing("Unleash is not installed (make unleash, which needs Node.js 20 or what it gets from PyPI)")
    return str(found.resolve())


def _template() -> Path:
    """The files of a stopped database in which Unleash has made its tables, and the tokens of its people."""
    node()
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    kept = CACHE / f"database-{digest}"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test sessions may want it at once
        if not kept.is_dir():
            for old in CACHE.glob("database-*"):
                shutil.rmtree(old)
            making = CACHE / "making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            _make(making)
            making.rename(kept)
    return kept


def _make(folder: Path) -> None:
    with postgres() as database:
        with psycopg.connect(database.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE unleash")
        with _running(database) as (url, _):
            tokens = {name: _token_of(url, name, role) for name, role in USERS.items()}
        with psycopg.connect(database.dsn("unleash"), autocommit=True) as connection:
            # Unleash keeps this table a moment after a flag is made, and ends where a test has removed the flag by then.
            connection.execute("ALTER TABLE feature_lifecycles DROP CONSTRAINT feature_lifecycles_feature_fkey")
        stop(database)
        shutil.copytree(database.data, folder / "data")
    (folder / "tokens.json").write_text(json.dumps(tokens))


def _token_of(url: str, name: str, role: int) -> str:
    person = {"username": name, "email": f"{name}@example.com", "name": name, "password": PASSWORD, "rootRole": role, "sendEmail": False}
    status, answer, _ = asked(url, "POST", "/api/admin/user-admin", {"Authorization": ADMIN}, person)
    assert status == 201, answer
    _, _, headers = asked(url, "POST", "/auth/simple/login", {}, {"username": name, "password": PASSWORD})
    cookie = headers["set-cookie"].partition(";")[0]
    _, token, _ = asked(url, "POST", "/api/admin/user/tokens", {"Cookie": cookie}, {"description": "t", "expiresAt": "2999-01-01T00:00:00Z"})
    return str(token["secret"])


@contextlib.contextmanager
def _running(database: Postgres) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    settings = {
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": "unleash",
        "DATABASE_USERNAME": "postgres",
        "DATABASE_PASSWORD": "none",
        "DATABASE_SSL": "false",
        "HTTP_HOST": "127.0.0.1",
        "PORT": str(port),
        "CHECK_VERSION": "false",
        "SEND_TELEMETRY": "false",
        "NODE_ENV": "production",
        "INIT_ADMIN_API_TOKENS": ADMIN,
        "INIT_BACKEND_API_TOKENS": ",".join(BACKEND.values()),
    }
    log = database.data.parent / "unleash.log"
    with log.open("wb") as out:
        argv = [node(), str(HERE / "start.mjs")]
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, cwd=CACHE, env={**os.environ, **settings})
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url, process
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def is_healthy() -> bool:
        assert process.poll() is None, f"Unleash ended:\n{log.read_text()[-3000:]}"
        try:
            return asked(url, "GET", "/health", {})[0] == 200
        except OSError:
            return False

    started = time.monotonic()
    try:
        poll(is_healthy, within=90)
    except AssertionError as error:
        raise AssertionError(f"Unleash was not healthy after {time.monotonic() - started:.0f} s:\n{log.read_text()[-3000:]}") from error
