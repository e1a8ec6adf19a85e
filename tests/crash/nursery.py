"""A process that has imported all of the daemon and splits off one daemon after the other: most of what a start costs is paid once.

Each daemon is a process of its own, with its own id, signals and end; only its modules are there when it begins.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.crash import launcher

ROOT = Path(__file__).parents[2]
LAZY = (
    "alembic.command",
    "alembic.runtime.migration",
    "boto3.session",
    "botocore.parsers",
    "kubernetes.client",
    "logging.config",
    "psycopg_binary",
    "rollbackd.adapters",
    "rollbackd.controller",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What a daemon imports only once it needs it. A name that is not installed is left out."""


class Process:
    """One daemon. Its exit code is minus the signal's number where a signal ended it, as for any child."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers
        self._code: int | None = None
        self.pid = int(answers.recv(64))
        # A handle and not the number: a number may be another process's by now. None of one that ended at once, told of or not yet.
        self._handle = -1
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._handle = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """The exit code; None while it lives."""
        with contextlib.suppress(BlockingIOError):
            return self._ended(socket.MSG_DONTWAIT)
        return None

    def wait(self, patience: float | None = None) -> int:
        """The exit code, once it has ended. Raises TimeoutError."""
        self._answers.settimeout(patience)
        try:
            return self._ended(0)
        finally:
            self._answers.settimeout(None)

    def send_signal(self, number: signal.Signals) -> None:
        """The signal is on its way, unless the process has ended."""
        if self._handle >= 0 and self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def close(self) -> None:
        """Nothing of it is left."""
        self.send_signal(signal.SIGKILL)
        self.wait()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._answers.close()

    def _ended(self, flags: int) -> int:
        if self._code is None:
            self._code = int(self._answers.recv(64, flags))
        return self._code


class Nursery:
    """The other end of the process; safe to call from several threads."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def start(self, argv: Sequence[str], out: int, err: int) -> Process:
        """A daemon with these arguments of the launcher and these files for what it says."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._control, [json.dumps(argv).encode()], [theirs.fileno(), out, err])
        return Process(ours)


_open: list[Nursery] = []


def start(argv: Sequence[str], out: int, err: int) -> Process:
    """See Nursery; inside of ``nursery``."""
    return _open[-1].start(argv, out, err)


@contextlib.contextmanager
def nursery(**environment: str) -> Iterator[None]:
    """Daemons can be started; they have this besides our own environment, but for what it says of Amazon. None of them lives on afterwards."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-m", "tests.crash.nursery", str(theirs.fileno())]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with ours, subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env={**inherited, **environment}):
        theirs.close()
        _open.append(Nursery(ours))
        try:
            yield
        finally:
            _open.pop()
            ours.close()


# --- the process itself ------------------------------------------------------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Splits off whatever is asked for, and tells how each ended; until nobody is there to ask."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is not control:
                    _tell(waiting, key)
                elif not _split(control, waiting):
                    return


def _split(control: socket.socket, waiting: selectors.BaseSelector) -> bool:
    asked, files, _, _ = socket.recv_fds(control, 1 << 16, 3)
    if not asked:
        return False
    answers, out, err = files
    pid = os.fork()
    if pid == 0:
        _become(json.loads(asked), out, err)
    os.close(out)
    os.close(err)
    told = socket.socket(fileno=answers)
    told.send(str(pid).encode())
    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))
    return True


def _tell(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, told = key.data
    _, status = os.waitpid(pid, 0)
    with told, contextlib.suppress(OSError):
        told.send(str(os.waitstatus_to_exitcode(status)).encode())
    waiting.unregister(key.fileobj)
    os.close(key.fd)


def _become(argv: Sequence[str], out: int, err: int) -> None:
    """Never returns: this process is a daemon from here on."""
    code = 1
    try:  # nothing may go on as a second nursery, whatever happens
        launcher.die_with_parent()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 1 << 10)
        random.seed()
        code = launcher.main(argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001 - the seam: the exit code says it, and its log says why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _import_all() -> None:
    for name in LAZY:
        with contextlib.suppress(ImportError):
            package = importlib.import_module(name)
            if name.startswith("rollbackd."):
                for found in pkgutil.walk_packages(package.__path__, f"{name}."):
                    if ".migrations" not in found.name:
                        importlib.import_module(found.name)
    gc.freeze()


if __name__ == "__main__":
    _import_all()
    serve(socket.socket(fileno=int(sys.argv[1])))
