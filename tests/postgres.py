"""A PostgreSQL for the tests: started from its binaries by a user that may, on a free loopback port, gone at the end."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_port, missing, poll

PORTS_TRIED = 3
# Nothing of a test has to outlive a power cut.
SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
ROOM = ("max_connections=400",)
"""Stories of replicas are told all at once, some thirty daemons on one server, each with a pool; the default of 100 was too few for twelve."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL, whose superuser ``postgres`` needs no password over loopback. ``data``: its files, owned by ``user``."""

    port: int
    data: Path
    user: str
    process: subprocess.Popen[bytes]

    def dsn(self, database: str = "postgres") -> str:
        """How libpq reaches a database of it."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def url(self, database: str) -> str:
        """The same as a store's URL."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


def tool(name: str) -> str:
    """The path of a program of PostgreSQL's; Debian keeps them outside of the PATH. Without it the test is skipped or, in CI, fails."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]), reverse=True)
    found = shutil.which(name) or next((str(path) for path in places), None)
    return found or missing(f"PostgreSQL's {name} is not installed (as root on Debian: make servers)")


@contextlib.contextmanager
def postgres(template: Path | None = None) -> Iterator[Postgres]:
    """A PostgreSQL with an empty cluster, or with a copy of the files of a stopped one."""
    with folder_for_user() as (folder, user):
        data = folder / "data"
        if template is None:
            arguments = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--no-instructions"]
            run([tool("initdb"), *arguments, f"--pgdata={data}"], user)
        else:
            shutil.copytree(template, data)
            own(data, user)
        server = _start(data, user)
        try:
            yield server
        finally:
            server.process.send_signal(signal.SIGQUIT)  # at once: nobody wants its files any more
            server.process.wait(20)


def stop(server: Postgres) -> None:
    """It is stopped, its files are whole; stopping it again changes nothing."""
    if server.process.poll() is None:
        run([tool("pg_ctl"), "stop", "--silent", "--mode=fast", f"--pgdata={server.data}"], server.user)
        server.process.wait(20)


@contextlib.contextmanager
def folder_for_user() -> Iterator[tuple[Path, str]]:
    """A folder, and the user who owns it: us, or where we are root somebody else, because PostgreSQL refuses to run as root."""
    user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else _unprivileged()
    with tempfile.TemporaryDirectory(prefix="rollbackd-test-", ignore_cleanup_errors=True) as folder:
        own(Path(folder), user)
        yield Path(folder), user


def _unprivileged() -> str:
    for user in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(user).pw_name
    return missing("PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'")


def own(folder: Path, user: str) -> None:
    """The folder and all in it belong to the user, and to nobody else as far as PostgreSQL is concerned."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user)
    folder.chmod(0o700)


def run(argv: Sequence[str], user: str) -> None:
    """The program ran to its end as this user. Raises AssertionError with what it said if it failed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", **_as(user))  # type: ignore[call-overload]
    if done.returncode:
        raise AssertionError(f"{argv[0]} failed: {done.stderr.strip() or done.stdout.strip()}")


def _as(user: str) -> dict[str, object]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def _start(data: Path, user: str) -> Postgres:
    log = data.parent / "log"
    for _ in range(PORTS_TRIED):
        port = free_port()
        settings = (*SPEED, *ROOM, "listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={port}")
        argv = [tool("postgres"), "-D", str(data), *(part for setting in settings for part in ("-c", setting))]
        with log.open("wb") as out:
            process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, cwd="/", **_as(user))  # type: ignore[call-overload]
        server = Postgres(port, data, user, process)
        with contextlib.suppress(AssertionError):
            poll(_answers(server), within=20)
            return server
        process.kill()
        process.wait()
    raise AssertionError(f"PostgreSQL did not become ready:\n{log.read_text()[-3000:]}")


def _answers(server: Postgres) -> Callable[[], bool]:
    def answers() -> bool:
        assert server.process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return b"ready to accept connections" in (server.data.parent / "log").read_bytes()
        return False

    return answers
