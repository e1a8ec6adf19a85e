"""A copy of the journal in SQLite while the daemon writes on."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from rollbackd.adapters.base import folders
from rollbackd.controller.journal.database import Database, database
from rollbackd.controller.journal.errors import StoreError, translated
from rollbackd.controller.journal.inspection import inspected, opened
from rollbackd.controller.journal.proof import fault_in

PAGES = 1000
"""Copied at a time; a writer gets its turn in between."""


def backup(place: Database, to: Path) -> int:
    """The number of rows in ``to``, which is a whole journal, proven by its hash chain, of one moment during the call.

    Raises StoreError where nothing was made: there is a file already, the journal cannot be read, is no SQLite, or is not what was written.
    """
    if place.file is None:
        raise StoreError(f"store {place.place}: a journal in PostgreSQL is backed up with pg_dump or the server's own means; nothing was made")
    draft = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        with translated(place.place):
            _copy(place.file, draft)
        rows = _proven(draft)
        os.link(draft, to)  # unlike a rename it fails where there is a file already
        folders.sync(to.parent)
    except FileExistsError as fault:
        raise StoreError(f"{to} exists; nothing was made; name another file") from fault
    except OSError as fault:
        raise StoreError(f"{to} cannot be written ({fault.strerror}); nothing was made") from fault
    finally:
        for left in (draft, draft.with_name(f"{draft.name}-wal"), draft.with_name(f"{draft.name}-shm")):
            left.unlink(missing_ok=True)
    return rows


def _copy(file: Path, draft: Path) -> None:
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds what the journal holds: for its owner only
    try:
        with closing(opened(file)) as source, closing(sqlite3.connect(draft)) as copy:
            source.backup(copy, pages=PAGES)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
    except sqlite3.Error as fault:
        raise StoreError(f"store {file}: it cannot be copied ({fault}); nothing was made") from fault
    with draft.open("rb") as written:
        os.fsync(written.fileno())


def _proven(draft: Path) -> int:
    with inspected(database(f"sqlite:///{draft}")) as look:
        if not look.is_current:
            raise StoreError("store: the journal is of another version than this rollbackd; nothing was made; use the version that writes it")
        fault = fault_in(look.reading.rows(), look.reading.exported())
        if fault is not None:
            raise StoreError(f"store: {fault}; nothing was made; see rollbackd audit verify")
        return look.rows
