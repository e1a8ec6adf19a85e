"""What goes wrong with the store, said so that on-call can act on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_CAUSES = (
    ("SQLITE_FULL", "the disk is full", "free some space; rollbackd goes on by itself"),
    ("SQLITE_IOERR", "the disk does not take or give data", "check space, quota and health of the volume; rollbackd goes on by itself once it works"),
    ("SQLITE_BUSY", "another process holds the write lock", "find who holds it (fuser on the file); rollbackd goes on by itself"),
    ("SQLITE_LOCKED", "another process holds the write lock", "find who holds it (fuser on the file); rollbackd goes on by itself"),
    ("SQLITE_READONLY", "the file or its folder is read-only", "give rollbackd the right to write to the file and its folder; it goes on by itself"),
    ("SQLITE_CANTOPEN", "the file cannot be opened", "check that its folder exists and that rollbackd may write there"),
    ("SQLITE_NOTADB", "the file is damaged or no database", "restore a backup, or move the file away yourself to begin with an empty journal"),
    ("SQLITE_CORRUPT", "the file is damaged", "restore a backup, or move the file away yourself to begin with an empty journal"),
)
_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
_STATES = (
    ("55P03", "another replica has been writing for too long", "see who holds the lock on `journal` (pg_locks); rollbackd goes on by itself"),
    ("57014", "a statement took too long", "look at the load of the server; rollbackd goes on by itself"),
    ("25P03", "this daemon stood still in the middle of a transaction, and the server ended it", "look at the load of this machine"),
    ("25006", "the server takes no writes: it is a standby or read-only", "name the primary, or all hosts, in the URL"),
    ("28", "the server refuses the user or the password", "check the user in the URL, `password_file` and pg_hba.conf"),
    ("3D000", "there is no such database", "create it, owned by rollbackd's user"),
    ("42501", "the user lacks a right", "give the database to rollbackd's user"),
    ("53100", "the server's disk is full", "free some space; rollbackd goes on by itself"),
    ("53300", "the server takes no more connections", "raise max_connections, or close others; a daemon has at most 8"),
    ("57P", "the server is shutting down or starting", "rollbackd goes on by itself once it is back"),
    ("08", "the server cannot be reached", "check the server and the way to it; rollbackd goes on by itself once it answers"),
)
"""By the beginning of the SQLSTATE; without one the connection itself has failed."""
_REFUSALS = (
    ("password authentication failed", "28"),
    ("no pg_hba.conf entry", "28"),
    ("no password supplied", "28"),
    ("role ", "28"),
    ("database ", "3D000"),
    ("too many connections", "53300"),
    ("connection slots", "53300"),
    ("starting up", "57P"),
    ("shutting down", "57P"),
)
"""Whoever is refused at the door gets no SQLSTATE from libpq, only the server's words after FATAL."""


class StoreError(Exception):
    """The store did not do what was asked: what happened, what was not done, what to do now.

    Nothing of the transaction holds, with one exception that no database can rule out: a commit whose answer was lost may be found done later,
    and the text says so. Every row has a key, so that repeating it is harmless.
    """


class StoreDamaged(StoreError):
    """What lies in the journal's place is damaged, or no journal: it was left as it is."""


class RowUnreadable(StoreError):
    """A row that this version cannot read: changed by hand, or written by a newer one."""


class StoreUnfit(StoreError):
    """What the config names can hold no journal of this rollbackd, however long one waits."""


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Failures of the database inside leave as StoreError; everything else passes."""
    try:
        yield
    except DBAPIError as error:
        kind = StoreDamaged if _sqlite_name(error).startswith(_DAMAGED) else StoreError
        raise kind(_explain(error, place)) from error
    except PoolTimeout as error:
        raise StoreError(f"store {place}: no connection became free in time; nothing was written; look for a stuck reader") from error


def _explain(error: DBAPIError, place: str) -> str:
    said = " ".join(str(error.orig).split())
    cause, advice = _cause(error)
    if not cause:
        return f"store {place}: {said}; nothing was written"
    return f"store {place}: {cause} ({said}); nothing was written; {advice}"


def _cause(error: DBAPIError) -> tuple[str, str]:
    """What happened and what to do about it; empty where nobody knows."""
    name = _sqlite_name(error)
    state = getattr(error.orig, "sqlstate", "") or (_state_of(str(error.orig)) if isinstance(error, OperationalError) else "")
    known, code = (_CAUSES, name) if name else (_STATES, state)
    return next(((cause, advice) for prefix, cause, advice in known if code.startswith(prefix)), ("", ""))


def _sqlite_name(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", ""))


def _state_of(said: str) -> str:
    _, _, fatal = said.partition("FATAL:")
    return next((state for words, state in _REFUSALS if words in fatal), "08")
