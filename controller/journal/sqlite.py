"""How the SQLite file is opened: durable, checked, and never begun anew where something else lies."""

import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.errors import StoreDamaged, StoreUnfit
from rollbackd.controller.journal.reopening import Reopening

PAGES_KIB = 128
"""So much of the file each connection keeps in memory."""
STATEMENTS = 32
"""So many prepared statements each connection keeps: those of a slot."""
_MAGIC = b"SQLite format 3\x00"
_MEND = "restore a backup, or move the file away yourself to begin with an empty journal"
_MODES = {Begin.READ: "DEFERRED", Begin.WRITE: "IMMEDIATE", Begin.MIGRATE: "IMMEDIATE", Begin.NOTHING: None}


def file_in(url: URL) -> Path:
    """The file that a SQLite URL names. Raises StoreUnfit for a database in memory."""
    if url.database in (None, "", ":memory:"):
        raise StoreUnfit("store: a journal in memory would not survive a restart; name a file: sqlite:////data/rollbackd.db")
    return Path(str(url.database))


def is_sqlite(file: Path) -> bool:
    """Whether it begins as a SQLite database does. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def make_engine(file: Path, patience: timedelta) -> Engine:
    """An engine whose transactions begin as their connection's option ``begin`` says.

    Every connection is durable and waits ``patience`` for other writers. Raises StoreDamaged for a file of no bytes: a journal is never that, and
    what was cut off is not begun anew.
    """
    if _stays_empty(file):
        raise StoreDamaged(f"store {file}: the file is empty, as after a copy that failed; it was left as it is; {_MEND}")
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=12,
        pool_timeout=patience.total_seconds(),
        # isolation_level None: the driver begins no transaction of its own, so that ours can be IMMEDIATE.
        connect_args={"check_same_thread": False, "timeout": patience.total_seconds(), "isolation_level": None, "cached_statements": STATEMENTS},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    Reopening(file).listen(engine)
    return engine


def _stays_empty(file: Path) -> bool:
    """For two seconds: another one that is making it at this moment has put its first page there by then."""
    for _ in range(20):
        if not file.is_file() or file.stat().st_size > 0:
            return False
        time.sleep(0.1)
    return True


def check(connection: Connection, file: Path) -> None:
    """Returns if the file is whole and can promise durability. Raises StoreError, having changed nothing but the journal mode."""
    found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if found != "ok":
        raise StoreDamaged(f"store {file}: the file is damaged ({' '.join(str(found).split())}); it was left as it is; {_MEND}")
    mode = _write_ahead(connection)
    if mode != "wal":
        raise StoreUnfit(f"store {file}: the file system does not carry a write-ahead log (mode {mode}); use a local volume, never NFS")


def touch(connection: Connection) -> None:
    """A write that changes nothing was made: its commit reaches the disk, or fails as an intent's would.

    Only a commit tells: what is rolled back never leaves memory. And BEGIN IMMEDIATE alone opens a file that is read-only, and only reads it.
    """
    number = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA user_version={int(number)}")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY"


# Changing the mode needs the file for itself and does not wait by itself, though another replica may be starting at the same moment.
@retry(retry=retry_if_exception(_is_busy), stop=stop_after_delay(5), wait=wait_random(0.01, 0.1), reraise=True)
def _write_ahead(connection: Connection) -> str:
    if connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal":
        return "wal"
    return str(connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar_one())


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # For each connection; what is read again at once are a few pages, and the system keeps the rest of the file in memory anyway.
    cursor.execute(f"PRAGMA cache_size=-{PAGES_KIB}")
    cursor.close()


def _begin(connection: Connection) -> None:
    mode = _MODES[connection.get_execution_options().get("begin", Begin.READ)]
    if mode is not None:
        connection.exec_driver_sql(f"BEGIN {mode}")
