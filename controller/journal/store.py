"""The store: one file, one writer at a time, any number of readers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine

from rollbackd.controller.journal.errors import StoreError, translated
from rollbackd.controller.journal.migrate import upgrade, version_of
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.schema import LINEAGE
from rollbackd.controller.journal.sqlite import check, database_file, make_engine
from rollbackd.controller.journal.transaction import Transaction


class Store(Reading):
    """Safe to use from several threads and processes. Every call may raise StoreError; after one, the next call finds the store as it was."""

    def __init__(self, engine: Engine, file: Path, writer: str, clock: Callable[[], datetime] | None, patience: timedelta) -> None:
        super().__init__(self._read, clock)
        self.file = file
        self.writer = writer
        self._engine = engine
        self._clock = clock
        self._patience = patience
        self._writing = Lock()

    @classmethod
    def open(cls, url: str, writer: str, clock: Callable[[], datetime] | None = None, patience: timedelta = timedelta(seconds=5)) -> "Store":
        """The store at ``url``, made if no file is there, migrated if it is older. ``writer``: this replica's name in every row, stable over
        restarts and unique among those that live.

        ``clock``: instead of the database's own (a simulation's). ``patience``: how long to wait for another writer.
        Raises StoreError for a file that is damaged, foreign, newer or unusable, and leaves it as it was.
        """
        file = database_file(url)
        if not file.parent.is_dir():
            raise StoreError(f"store {file}: its folder does not exist; make it, or mount the volume")
        engine = make_engine(file, patience)
        try:
            with translated(str(file)):
                _prepare(engine, file)
        except StoreError:
            engine.dispose()
            raise
        return cls(engine, file, writer, clock, patience)

    def close(self) -> None:
        """Every connection is closed and the write-ahead log is folded into the file."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One writer at a time, in all processes. Leaving it commits, an exception undoes everything. Never nest two."""
        if not self._writing.acquire(timeout=self._patience.total_seconds()):
            raise StoreError(f"store {self.file}: another thread has been writing for {self._patience.total_seconds():g} s; nothing was written")
        try:
            with self._connection("IMMEDIATE") as connection:
                yield Transaction(connection, self.writer, self._clock)
        finally:
            self._writing.release()

    @contextmanager
    def snapshot(self) -> Iterator[Reading]:
        """Several questions to one and the same state."""
        with self._connection("DEFERRED") as connection:
            yield Reading(lambda: nullcontext(connection), self._clock)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._connection("DEFERRED") as connection:
            yield connection

    @contextmanager
    def _connection(self, begin: str) -> Iterator[Connection]:
        with translated(str(self.file)), self._engine.connect().execution_options(begin=begin) as connection, connection.begin():
            yield connection


def _prepare(engine: Engine, file: Path) -> None:
    with engine.connect().execution_options(begin=None) as connection:
        check(connection, file)
    with engine.connect() as connection, connection.begin():
        version = version_of(connection)
    if version == LINEAGE[-1]:
        return
    # Asked again under the write lock: another replica may be starting at the same moment.
    with engine.connect().execution_options(begin="IMMEDIATE") as connection, connection.begin():
        if version_of(connection) != LINEAGE[-1]:
            upgrade(connection)
