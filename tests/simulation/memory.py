"""The shipped store on SQLite in memory, shared by all replicas of a story, and a disk that fails when it is told to."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from sqlalchemy import Connection, StaticPool, create_engine, make_url

from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.database import Database
from rollbackd.controller.journal.errors import StoreError, translated
from rollbackd.controller.journal.schema import metadata
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.transaction import Transaction
from tests.simulation.turns import Killed


class Memory:
    """One database for all stories, one after the other: what a story wrote is gone when the next one begins."""

    def __init__(self) -> None:
        self.raw = _connection()
        self.engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)
        self._reader, self._writer = self.engine.connect(), self.engine.connect()
        self._empty = _empty()
        self._answers: dict[tuple[object, ...], Any] = {}
        self._written = 0
        self.clear()

    def clear(self) -> None:
        """The tables are there, and empty."""
        self._empty.backup(self.raw)
        self._answers.clear()

    @contextmanager
    def connection(self, begin: Begin) -> Iterator[Connection]:
        """As the store's own, but for making a new one each time. A reader needs no transaction: nothing else happens while it reads."""
        with translated("memory"):
            if begin is Begin.READ:
                yield self._reader
            else:
                with self._writer.begin():
                    yield self._writer

    def asked(self, question: tuple[object, ...], ask: Callable[[], Any]) -> Any:
        """The answer to the question, which is asked once between two writes, whoever asks: equal rows give equal answers."""
        if self.raw.in_transaction:
            return ask()
        if self._written != self.raw.total_changes:
            self._written = self.raw.total_changes
            self._answers.clear()
        if question not in self._answers:
            self._answers[question] = ask()
        return self._answers[question]


def _asked(ask: Callable[..., Any]) -> Any:
    """The store's own question, put to the memory once between two writes. A disk that does not answer does not remember either."""

    @wraps(ask)
    def put(self: "Disk", *values: Any) -> Any:
        self.check()
        question = tuple(tuple(value) if isinstance(value, list) else value for value in values)
        return self.memory.asked((ask.__name__, *question), lambda: ask(self, *values))

    return put


class Disk(Store):
    """``is_full``: nothing can be written. ``is_cut``: nothing can be read either. ``fate``: what becomes of the commit after ``commits`` more.

    ``pace`` is called before each transaction: others may go on there.
    """

    open_incidents = _asked(Store.open_incidents)
    answered = _asked(Store.answered)
    budget = _asked(Store.budget)
    changes_after = _asked(Store.changes_after)
    made_irreversible = _asked(Store.made_irreversible)
    all_good = _asked(Store.all_good)
    quarantined = _asked(Store.quarantined)
    newest_of = _asked(Store.newest_of)
    has_parcels = _asked(Store.has_parcels)

    def __init__(self, memory: Memory, writer: str, clock: Callable[[], datetime], met: Counter[str]) -> None:
        super().__init__(Database(make_url("sqlite://"), "memory", None), memory.engine, writer, clock, timedelta(seconds=5))
        self.memory = memory
        self._met = met
        self.is_full = self.is_cut = False
        self.fate = ""
        self.commits = 0
        self.when_killed: Callable[[], None] = lambda: None
        self.pace: Callable[[], None] = lambda: None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.pace()
        with super().transaction() as tx:
            yield tx

    def check(self, begin: Begin = Begin.READ) -> None:
        """Raises StoreError where the disk does not do its work."""
        if self.is_cut or (self.is_full and begin is Begin.WRITE):
            self._met["disk-cut" if self.is_cut else "disk-full"] += 1
            raise StoreError("store memory: the disk does not take or give data; nothing was written")

    @contextmanager
    def _connection(self, begin: Begin) -> Iterator[Connection]:
        self.check(begin)
        fate = self._fate() if begin is Begin.WRITE else ""
        with self.memory.connection(begin) as connection:
            yield connection
            if fate == "kill-before-commit":
                self._die()
            if fate == "commit-fails":
                raise StoreError("store memory: disk I/O error; nothing was written")
        if fate == "kill-after-commit":
            self._die()
        if fate == "answer-lost":
            raise StoreError("store memory: the connection was lost during the commit")

    def _fate(self) -> str:
        """What becomes of this commit; each fate comes true once."""
        if not self.fate:
            return ""
        self.commits -= 1
        if self.commits >= 0:
            return ""
        fate, self.fate = self.fate, ""
        self._met[fate] += 1
        return fate

    def _die(self) -> None:
        self.when_killed()
        raise Killed


def _connection() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level="IMMEDIATE", check_same_thread=False)


def _empty() -> sqlite3.Connection:
    raw = _connection()
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    metadata.create_all(engine)
    return raw
