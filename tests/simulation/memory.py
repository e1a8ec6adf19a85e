"""The shipped store on SQLite in memory, shared by all replicas of a story, and a disk that fails when it is told to."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, make_url

from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.database import Database
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.schema import metadata
from rollbackd.controller.journal.store import Store
from tests.simulation.turns import Killed

MODES = {Begin.READ: "DEFERRED", Begin.WRITE: "IMMEDIATE"}


class Memory:
    """One database for all stories, one after the other: what a story wrote is gone when the next one begins."""

    def __init__(self) -> None:
        self.raw = _connection()
        self.engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)
        event.listen(self.engine, "begin", _begin)
        self._empty = _empty()
        self.clear()

    def clear(self) -> None:
        """The tables are there, and empty."""
        self._empty.backup(self.raw)


class Disk(Store):
    """``is_full``: nothing can be written. ``is_cut``: nothing can be read either. ``fate``: what becomes of the commit after ``commits`` more."""

    def __init__(self, engine: Engine, writer: str, clock: Callable[[], datetime]) -> None:
        super().__init__(Database(make_url("sqlite://"), "memory", None), engine, writer, clock, timedelta(seconds=5))
        self.is_full = self.is_cut = False
        self.fate = ""
        self.commits = 0
        self.when_killed: Callable[[], None] = lambda: None

    @contextmanager
    def _connection(self, begin: Begin) -> Iterator[Connection]:
        if self.is_cut or (self.is_full and begin is Begin.WRITE):
            raise StoreError("store memory: the disk does not take or give data; nothing was written")
        fate = self._fate() if begin is Begin.WRITE else ""
        with super()._connection(begin) as connection:
            yield connection
            if fate == "kill-before":
                self._die()
            if fate == "fail":
                raise StoreError("store memory: disk I/O error; nothing was written")
        if fate == "kill-after":
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
        return fate

    def _die(self) -> None:
        self.when_killed()
        raise Killed


def _connection() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _empty() -> sqlite3.Connection:
    raw = _connection()
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    metadata.create_all(engine)
    return raw


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {MODES[connection.get_execution_options().get('begin', Begin.READ)]}")
