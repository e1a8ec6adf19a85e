"""How PostgreSQL is opened: one writer at a time in all replicas, every wait bounded, the password read from its file at each connect.

Everything that bounds a transaction is said inside it, in one round trip: that holds behind a pool that shares its sessions, too.
"""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.errors import StoreError

CONNECT = 3
"""Seconds to a connection."""
IDLE = timedelta(seconds=4)
"""So long may a writer say nothing in the middle of a transaction; then the server ends it: a frozen replica must not hold the others up."""
MIGRATION = timedelta(minutes=1)
"""The same for whoever changes the schema, which others wait for anyway."""
MORE = timedelta(seconds=1)
"""A statement may take so much longer than the wait for a lock, and its answer again so much longer."""

_MIGRATING = 0x726F6C6C  # "roll": any number that nobody else takes for a lock of this database


def make_engine(url: URL, password_file: Path | None, patience: timedelta) -> Engine:
    """An engine whose transactions begin as their connection's option ``begin`` says. ``patience``: how long to wait for another writer."""
    within = patience + 2 * MORE
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=4,
        max_overflow=4,
        pool_timeout=patience.total_seconds(),
        pool_pre_ping=True,
        use_native_hstore=False,  # would ask the server about a type that is not used
        # Prepared statements belong to a session, and behind a pool the next transaction may have another.
        connect_args={"connect_timeout": CONNECT, "prepare_threshold": None, **_to_primary(url)},
    )

    def connect(_: Dialect, __: ConnectionPoolEntry, ___: object, arguments: dict[str, Any]) -> "Bounded":
        if password_file is not None:
            arguments["password"] = _password(password_file)
        made = Bounded.connect(**arguments)
        made.within = within.total_seconds()
        return made

    def begin(connection: Connection) -> None:
        how = connection.get_execution_options().get("begin", Begin.READ)
        connection.exec_driver_sql(_opening(how, patience))

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "begin", begin)
    return engine


def _to_primary(url: URL) -> dict[str, str]:
    """Of several hosts the one that takes writes: after a failover that is another one."""
    return {} if "target_session_attrs" in url.query else {"target_session_attrs": "read-write"}


def _opening(how: Begin, patience: timedelta) -> str:
    idle = MIGRATION if how is Begin.MIGRATE else IDLE
    bounds = {"lock_timeout": patience, "statement_timeout": patience + MORE, "idle_in_transaction_session_timeout": idle}
    said = "; ".join(f"SET LOCAL {name} = {int(bound.total_seconds() * 1000)}" for name, bound in bounds.items())
    match how:
        case Begin.READ:
            return f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; {said}"
        case Begin.WRITE:
            # Rows are numbered and chained by reading the newest: no two writers may do that at once. Each statement after the lock sees what
            # was committed before it (READ COMMITTED), so that nothing has to be undone and tried again. Readers are not kept waiting.
            # An intent that a crash of the server loses is none, so the commit waits for the disk whatever the server's default is.
            durable = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
            return f"{said}; {durable}; LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE"
        case Begin.NOTHING:
            return said
        case Begin.MIGRATE:
            return f"{said}; SELECT pg_advisory_xact_lock({_MIGRATING})"


class Bounded(psycopg.Connection[Any]):
    """A connection whose every answer comes ``within`` seconds, or it is closed: a network that swallows packets tells nobody.

    The kernel's own time-outs do not help where a proxy or a load balancer lives on in between.
    """

    within = 10.0

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """What ``gen`` comes to. Raises OperationalError where the server says nothing for too long."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        ends = monotonic() + self.within
        try:
            wanted = next(gen)
            while True:
                # psycopg wakes up ten times a second to see whether it was interrupted: `ready` is 0 then.
                ready = yield wanted
                if not ready and monotonic() > ends:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server gave no answer within {self.within:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


def _password(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise StoreError(f"store: its password_file {file} cannot be read ({fault}); nothing was written; make it readable for rollbackd") from fault
    if not text:
        raise StoreError(f"store: its password_file {file} is empty; nothing was written; write the password into it")
    return text
