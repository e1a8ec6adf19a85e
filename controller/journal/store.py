"""The store: one writer at a time, any number of readers; a file, or a database that replicas share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, literal, select
from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception, stop_after_delay

from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.database import Database, database
from rollbackd.controller.journal.errors import StoreError, translated
from rollbackd.controller.journal.migrate import create, upgrade, version_of
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.schema import LINEAGE, journal
from rollbackd.controller.journal.transaction import Transaction


class Store(Reading):
    """Safe to use from several threads and processes. Every call may raise StoreError; after one, the next call finds the store as it was."""

    def __init__(
        self,
        place: Database,
        engine: Engine,
        writer: str,
        clock: Callable[[], datetime] | None,
        patience: timedelta,
        hide: Callable[[str], str] = str,
    ) -> None:
        super().__init__(self._read, clock)
        self.database = place
        self.writer = writer
        self._engine = engine
        self._clock = clock
        self._patience = patience
        self._hide = hide
        self._writing = Lock()

    @classmethod
    def open(
        cls,
        url: str,
        writer: str,
        clock: Callable[[], datetime] | None = None,
        patience: timedelta = timedelta(seconds=5),
        password_file: Path | None = None,
        hide: Callable[[str], str] = str,
    ) -> "Store":
        """The store at ``url``, made if nothing is there, migrated if it is older. ``writer``: this replica's name in every row, stable over
        restarts and unique among those that live.

        ``clock``: instead of the database's own (a simulation's). ``patience``: how long to wait for another writer. ``hide``: takes
        the secrets out of what is said in rows and messages.
        Raises StoreError for a database that is damaged, foreign, newer or unusable, and leaves it as it was.
        """
        place = database(url, password_file)
        engine = place.engine(patience)
        try:
            with translated(place.place):
                _prepare(engine, place)
        except StoreError:
            engine.dispose()
            raise
        return cls(place, engine, writer, clock, patience, hide)

    def close(self) -> None:
        """Every connection is closed; SQLite's write-ahead log is folded into the file."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One writer at a time, in all processes. Leaving it commits, an exception undoes everything. Never nest two.

        Where the answer to the commit is lost, the journal is asked whether it holds: what is on record returns as if nothing had happened.
        """
        committing: Transaction | None = None
        with self._alone():
            try:
                with self._connection(Begin.WRITE) as connection:
                    tx = Transaction(connection, self.writer, self._clock, self._hide)
                    yield tx
                    committing = tx
            except StoreError as fault:
                if committing is None or not self._was_committed(committing, fault):
                    raise

    def prove_writable(self) -> None:
        """It takes a write, which changes nothing and leaves no row: reading alone does not show that."""
        with self._alone(), self._connection(Begin.WRITE) as connection:
            self.database.touch(connection)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread of this process writes."""
        place, patience = self.database.place, self._patience.total_seconds()
        if not self._writing.acquire(timeout=patience):
            raise StoreError(f"store {place}: another thread has been writing for {patience:g} s; nothing was written")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def snapshot(self) -> Iterator[Reading]:
        """Several questions to one and the same state."""
        with self._connection(Begin.READ) as connection:
            yield Reading(lambda: nullcontext(connection), self._clock)

    def _was_committed(self, tx: Transaction, fault: StoreError) -> bool:
        """Whether the transaction's last row is in the journal. Raises StoreError where nobody can tell.

        It is asked under the write lock: a server that is still busy with the lost commit holds that lock until it has ended.
        """
        doubt = f"store {self.database.place}: the answer to a commit was lost, and whether it holds is not known; nothing is done on it"
        if tx.last is None:
            raise StoreError(f"{doubt}; it is decided again") from fault
        seq, digest = tx.last
        try:
            with self._connection(Begin.WRITE) as connection:
                return connection.execute(select(literal(1)).where(journal.c.seq == seq, journal.c.hash == digest)).first() is not None
        except StoreError as still:
            raise StoreError(f"{doubt} before the journal can be read; what it holds then is carried on ({still})") from fault

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._connection(Begin.READ) as connection:
            yield connection

    @contextmanager
    def _connection(self, begin: Begin) -> Iterator[Connection]:
        with translated(self.database.place), self._engine.connect().execution_options(begin=begin) as connection, connection.begin():
            yield connection


def _prepare(engine: Engine, place: Database) -> None:
    with engine.connect().execution_options(begin=Begin.NOTHING) as connection:
        place.check(connection)
    with engine.connect() as connection, connection.begin():
        version = version_of(connection)
    if version == LINEAGE[-1]:
        return
    _migrate(engine)


def _is_held_up(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") == "55P03"


# Replicas that start at the same moment wait for the one that makes the tables, however busy the machine is.
@retry(retry=retry_if_exception(_is_held_up), stop=stop_after_delay(60), reraise=True)
def _migrate(engine: Engine) -> None:
    # Asked again where no other replica can come between.
    with engine.connect().execution_options(begin=Begin.MIGRATE) as connection, connection.begin():
        version = version_of(connection)
        if version is None:
            create(connection)
        elif version != LINEAGE[-1]:
            upgrade(connection)
