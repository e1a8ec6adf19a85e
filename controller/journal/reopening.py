"""A SQLite file that could not be written, and was mended: nothing of how it was opened before is used again."""

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from weakref import WeakSet

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, Pool


class Reopening:
    """SQLite opens a file that is read-only for reading, and keeps it so for as long as any connection to it lives, whatever is mended meanwhile."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._round = 0
        self._pools = WeakSet[Pool]()
        self._guard = Lock()

    def listen(self, engine: Engine) -> None:
        """Every connection of the engine is of a round, and a write to a read-only file ends the round."""
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "checkin", self._returned)
        event.listen(engine, "handle_error", self._failed)

    def _opened(self, _: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info["round"] = self._round

    def _returned(self, _: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        if entry.info.get("round") != self._round:
            entry.invalidate()  # closed: a pool that was disposed of keeps what comes back to it, until garbage is looked for

    def _failed(self, context: ExceptionContext) -> None:
        if context.engine is None or not _is_read_only(context.original_exception):
            return
        self._round += 1
        context.is_disconnect = True
        if context.execution_context is not None:
            # SQLAlchemy leaves it to a connection that is lost, and SQLite keeps a connection for its last statement.
            context.execution_context.cursor.close()
        self._close_idle(context.engine)
        _follow(self._file)

    def _close_idle(self, engine: Engine) -> None:
        """All that lie idle are closed as well: they share the index of the write-ahead log, and how that was opened.

        Also those of former pools: whoever asked one of these for a connection just before it was replaced has brought it back there since.
        """
        with self._guard:
            self._pools.add(engine.pool)
            engine.dispose()
            for pool in list(self._pools):
                pool.dispose()


def _is_read_only(error: BaseException | None) -> bool:
    name = str(getattr(error, "sqlite_errorname", ""))
    # A file that was moved away is left to people; opened anew, an empty one would be made in its place.
    return name.startswith("SQLITE_READONLY") and name != "SQLITE_READONLY_DBMOVED"


def _follow(file: Path) -> None:
    """The log and its index may be written wherever the file may: SQLite made them with the mode that the file had, and only the file's is mended."""
    if not os.access(file, os.W_OK):
        return
    for part in (file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        if part.exists() and not os.access(part, os.W_OK):
            with suppress(OSError):  # another user's, or gone meanwhile
                part.chmod(file.stat().st_mode & 0o777)
