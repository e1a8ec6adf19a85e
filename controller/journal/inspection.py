"""A look at the journal from beside the daemon: it makes no file, changes nothing, and waits for nobody's lock."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, func, select

from rollbackd.controller.journal.database import Database
from rollbackd.controller.journal.errors import translated
from rollbackd.controller.journal.migrate import version_of
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.schema import LINEAGE, journal

PATIENCE = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Look:
    """``version`` None: an empty file. ``reading`` may be asked only where ``is_current``, as long as the look lasts."""

    version: str | None
    rows: int
    reading: Reading
    connection: Connection

    @property
    def is_current(self) -> bool:
        """The tables are as this rollbackd knows them."""
        return self.version == LINEAGE[-1]

    def settings(self, *names: str) -> dict[str, str]:
        """How these settings of a PostgreSQL server stand."""
        return {name: str(self.connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in names}


@contextmanager
def inspected(place: Database) -> Iterator[Look]:
    """The journal as it is at this moment. Raises StoreError for one that is absent, damaged, foreign, newer or not readable."""
    engine = _engine(place)
    try:
        with translated(place.place), engine.connect() as connection:
            version = version_of(connection)
            rows = _rows(connection) if version == LINEAGE[-1] else 0
            yield Look(version, rows, Reading(lambda: nullcontext(connection), None), connection)
    finally:
        engine.dispose()


def _engine(place: Database) -> Engine:
    file = place.file
    if file is None:
        return place.engine(PATIENCE)
    return create_engine("sqlite://", creator=lambda: opened(file), poolclass=NullPool)


def _rows(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(journal)).scalar_one()


def opened(file: Path) -> sqlite3.Connection:
    """A connection that can change nothing. Raises sqlite3.Error."""
    # Without a write-ahead log nobody has it open, and all is in the one file. Opened as `immutable`, SQLite makes no log of its own beside it.
    is_open = file.with_name(f"{file.name}-wal").exists()
    address = f"file:{quote(str(file))}?mode=ro{'' if is_open else '&immutable=1'}"
    return sqlite3.connect(address, uri=True, timeout=2, check_same_thread=False)
