"""A real daemon that meets its fate at a named point of its journal: ``--kill-at POINT --config FILE``, in a process that ``nursery`` split off.

A point is ``before:KIND`` or ``after:KIND``: before or after the commit of the first transaction that writes a journal row of that kind
(``notice.sent:MESSAGE``: that marks a message of that kind as delivered); ``KIND#2``: of the second. The product knows nothing of it: SQLAlchemy's
public events show each transaction. ``write``: just before a target is written to over HTTP, after the claim was looked at for the last time.
With ``--once FILE`` the fate meets one of several daemons only: the first that comes to its point; with ``--armed FILE`` nothing counts before
that file is there. ``--shard NUMBER/COUNT`` is the product's.
SIGUSR1 fills the disk (no file can be written any more), SIGUSR2 empties it again.
"""

import argparse
import ctypes
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Pool, event

from rollbackd.controller.cli.main import outcome

SENT = "notice.sent"


class Transaction(threading.local):
    """What the transaction of this thread has done so far."""

    is_at_point = False
    is_committed = False


class Point:
    """Calls ``strike`` once, when the journal comes to the point."""

    def __init__(self, name: str, strike: Callable[[], None], armed: Path | None = None) -> None:
        self._when, _, kind = name.partition(":")
        kind, _, message = kind.partition(":")
        self._kind, _, count = kind.partition("#")
        self._message = re.compile(rf":{message}[:/]")
        self._left = int(count or 1)
        self._strike, self._armed = strike, armed
        self._transaction = Transaction()

    def attach(self) -> None:
        """Every engine of this process is watched. SQLAlchemy calls ``commit`` before it commits, ``checkin`` after it has."""
        event.listen(Engine, "begin", self._begins)
        event.listen(Engine, "before_cursor_execute", self._executes)
        event.listen(Engine, "commit", self._commits)
        event.listen(Engine, "rollback", self._begins)
        event.listen(Pool, "checkin", self._is_returned)

    def _begins(self, connection: Connection) -> None:
        self._transaction.is_at_point = self._transaction.is_committed = False

    def _executes(self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        if self._left and (self._armed is None or self._armed.exists()):
            self._transaction.is_at_point |= self._is_point(statement, parameters.values() if isinstance(parameters, dict) else parameters)

    def _is_point(self, statement: str, values: Iterable[object]) -> bool:
        if self._kind == SENT:
            is_sent = statement.startswith("UPDATE outbox SET") and "sent_at=" in statement
            return is_sent and any(isinstance(value, str) and self._message.search(value) for value in values)
        return statement.startswith("INSERT INTO journal") and self._kind in values

    def _commits(self, connection: Connection) -> None:
        self._transaction.is_committed = True
        self._meet("before")

    def _is_returned(self, *_: object) -> None:
        if self._transaction.is_committed:
            self._meet("after")

    def _meet(self, when: str) -> None:
        if when != self._when or not self._transaction.is_at_point:
            return
        self._transaction.is_at_point = False
        self._left -= 1
        if not self._left:
            self._strike()


class Write:
    """Calls ``strike`` once, before the first PATCH that is no rehearsal leaves this process."""

    def __init__(self, strike: Callable[[], None]) -> None:
        self._strike = strike
        self._is_over = False

    def attach(self) -> None:
        """Every HTTP request of this process is watched: Python tells its auditors."""
        sys.addaudithook(self._hear)

    def _hear(self, heard: str, arguments: tuple[Any, ...]) -> None:
        if heard == "http.client.send" and not self._is_over and _is_write(arguments[1]):
            self._is_over = True
            self._strike()


def _is_write(sent: object) -> bool:
    return isinstance(sent, bytes) and sent.startswith(b"PATCH ") and b"dryRun" not in sent.split(b"\r\n", 1)[0]


def once(file: str, strike: Callable[[], None]) -> Callable[[], None]:
    """Strikes only where nobody else has."""

    def strike_first() -> None:
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        strike()

    return strike_first


def send(number: signal.Signals) -> Callable[[], None]:
    """Sends the signal to this process, all threads of it. Through this thread: it must not come any further, and another might take its time."""
    return lambda: signal.pthread_kill(threading.get_ident(), number)


def fill_disk(*_: object) -> None:
    """No byte more is written to any file of this process; the kernel answers EFBIG, as it answers ENOSPC where the disk is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def empty_disk(*_: object) -> None:
    """Files may grow again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


FATES: dict[str, Callable[[], None]] = {"kill": send(signal.SIGKILL), "stop": send(signal.SIGSTOP), "fill": fill_disk}


def die_with_parent() -> None:
    """Whoever started this is gone: so is this, even while it is frozen."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main(argv: Sequence[str]) -> int:
    """The daemon's exit code, once it has ended by itself."""
    parser = argparse.ArgumentParser(prog="tests.crash.launcher")
    parser.add_argument("--config", required=True)
    parser.add_argument("--shard", metavar="NUMBER/COUNT")
    parser.add_argument("--once", metavar="FILE")
    parser.add_argument("--armed", metavar="FILE", type=Path)
    for fate in FATES:
        parser.add_argument(f"--{fate}-at", metavar="POINT")
    asked = vars(parser.parse_args(argv))
    for fate, strike in FATES.items():
        if name := asked[f"{fate}_at"]:
            met = once(asked["once"], strike) if asked["once"] else strike
            (Write(met) if name == "write" else Point(name, met, asked["armed"])).attach()
    signal.signal(signal.SIGUSR1, fill_disk)
    signal.signal(signal.SIGUSR2, empty_disk)
    shard = ["--shard", asked["shard"]] if asked["shard"] else []
    return outcome(["run", "--config", asked["config"], *shard])
