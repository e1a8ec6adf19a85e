"""What goes wrong with the store, said so that on-call can act on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_CAUSES = (
    ("SQLITE_FULL", "the disk is full", "free some space; rollbackd goes on by itself"),
    ("SQLITE_IOERR", "the disk does not take or give data", "check space, quota and health of the volume; rollbackd goes on by itself once it works"),
    ("SQLITE_BUSY", "another process holds the write lock", "find who holds it (fuser on the file); rollbackd goes on by itself"),
    ("SQLITE_LOCKED", "another process holds the write lock", "find who holds it (fuser on the file); rollbackd goes on by itself"),
    ("SQLITE_READONLY", "the file or its folder is read-only", "give rollbackd the right to write to the file and its folder"),
    ("SQLITE_CANTOPEN", "the file cannot be opened", "check that its folder exists and that rollbackd may write there"),
    ("SQLITE_NOTADB", "the file is damaged or no database", "restore a backup, or move the file away yourself to begin with an empty journal"),
    ("SQLITE_CORRUPT", "the file is damaged", "restore a backup, or move the file away yourself to begin with an empty journal"),
)


class StoreError(Exception):
    """The store did not do what was asked: what happened, what was not done, what to do now.

    Nothing of the transaction holds, with one exception that no database can rule out: a commit that failed on its last step may be found
    done later. Every row has a key, so that repeating it is harmless.
    """


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Failures of the database inside leave as StoreError; everything else passes."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(_explain(error, place)) from error
    except PoolTimeout as error:
        raise StoreError(f"store {place}: no connection became free in time; nothing was written; look for a stuck reader") from error


def _explain(error: DBAPIError, place: str) -> str:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    for prefix, cause, advice in _CAUSES:
        if name.startswith(prefix):
            return f"store {place}: {cause} ({error.orig}); nothing was written; {advice}"
    return f"store {place}: {error.orig}; nothing was written"
