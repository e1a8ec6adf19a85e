"""The demo's child processes: each in a group of its own, all gone at the end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

STOP_WITHIN = 8.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the demo."""


class Children:
    """Processes that were started and not yet stopped. As a context, none of them outlives it."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of them running.
        former = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
        self.stop()
        for number, handler in former.items():
            signal.signal(number, handler)

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        """It runs in a process group of its own, out of reach of the terminal's Ctrl-C; what it prints goes to ``log``."""
        with log.open("ab") as out, unbroken():
            self._running[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def ended(self) -> list[str]:
        """Those that are no longer there, with their exit codes."""
        return [f"{name} ended with exit code {process.returncode}" for name, process in self._running.items() if process.poll() is not None]

    def stop(self) -> None:
        """All are asked to stop, the newest first; what is left of a group after a while is killed."""
        for process in reversed(self._running.values()):
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN
        for process in reversed(self._running.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.01))
            _signal(process, signal.SIGKILL)
            process.wait()
        self._running.clear()


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """An interruption inside is raised at the end of the block: between a child's start and its handle it would lose the child."""
    came: list[int] = []
    former = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Its group is asked, not the process: a group may outlive its leader.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def command() -> str:
    """The `rollbackd` command that belongs to this interpreter, else the one on the PATH."""
    own = Path(sys.executable).with_name("rollbackd")
    return str(own) if own.exists() else shutil.which("rollbackd") or "rollbackd"
