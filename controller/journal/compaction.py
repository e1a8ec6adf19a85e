"""Old rows leave the journal for a file, and their heads stay: what is left still holds as a chain, and says where the rest is.

Removed are the rows of the past only. What guards ask lies in tables of its own (incidents, ledger, changes) and stays; rows that somebody still
asks for end the removal before them.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from rollbackd.adapters.base import folders
from rollbackd.controller.journal import exports
from rollbackd.controller.journal.database import Database
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.exports import Proven
from rollbackd.controller.journal.inspection import inspected
from rollbackd.controller.journal.proof import fault_in, heads_of
from rollbackd.controller.journal.schema import claims, exported, incidents, journal, outbox, spent
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.journal.values import Note

WRITER = "compaction"
"""Whose rows tell of a removal: no replica's, so that it may run beside them."""
LEAST = timedelta(days=30)
"""So much stays at least: nothing that decides or explains looks further back (usual breaches 28 days, `status --coverage` 30)."""
BATCH = 10_000
"""Rows removed at a time; the daemon gets its turn in between."""
ABANDONED = timedelta(days=1)
"""A step of a closed incident whose deadline passed so long ago is nobody's any more: a bug held it, and nothing ends its claim."""
_PAUSED, _RESUMED = "pause.set", "pause.lifted"


@dataclass(frozen=True, slots=True)
class Compacted:
    """``rows`` are in the file and removed; ``stopped``: which row had to stay although it is older, None where age alone decided."""

    rows: int
    first: int
    last: int
    stopped: str | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows up to ``seq`` may go. ``stopped`` as in Compacted."""

    seq: int
    stopped: str | None


def compact_at(place: Database, keep: timedelta, to: Path) -> Compacted:
    """``compact`` of the journal at ``place``, beside the daemon. Raises StoreError also where it is of another version, and leaves that as it is."""
    with inspected(place) as look:
        if not look.is_current:
            raise StoreError("store: the journal is of another version than this rollbackd; nothing was made; use the version that writes it")
    store = Store.open(place.url.render_as_string(hide_password=False), WRITER, password_file=place.password_file)
    try:
        return compact(store, keep, to)
    finally:
        store.close()


def compact(store: Store, keep: timedelta, to: Path) -> Compacted:
    """Rows older than ``keep`` are in ``to``, proven, and no longer in the journal. Where there are none, no file is made.

    Raises StoreError: nothing was removed, or what was not yet removed when the store failed, is removed by the next call, into a file of its own.
    """
    if keep < LEAST:
        raise StoreError(f"store: the newest {LEAST.days} days stay, decisions and explanations rest on them; nothing was made")
    if to.exists():
        raise StoreError(f"{to} exists; nothing was made; name another file")
    with store.snapshot() as reading:
        fault = fault_in(reading.rows(), reading.exported())
    if fault is not None:
        raise StoreError(f"store: {fault}; nothing was made; see rollbackd audit verify")
    now = store.now()
    cut = _cut(store, now, now - keep)
    if cut.seq < 1:
        return Compacted(0, 0, 0, cut.stopped)
    proven = _export(store, cut.seq, to)
    _remove(store, proven, to.name)
    return Compacted(proven.rows, proven.first, proven.last, cut.stopped)


# --- what may go ------------------------------------------------------------------------------------------------------------------------


def _cut(store: Store, now: datetime, before: datetime) -> Cut:
    """As much as is older than ``before`` and not needed; 0 where that is nothing. An incident's rows go together."""
    with store.snapshot() as reading, reading.connected() as connection:
        newest = connection.execute(select(func.coalesce(func.max(journal.c.seq), 0))).scalar_one()
        oldest = connection.execute(select(func.min(journal.c.seq))).scalar_one() or 0
        young = connection.execute(select(func.min(journal.c.seq)).where(or_(journal.c.at >= before, journal.c.seq == newest))).scalar_one() or 1
        seq, stopped = young - 1, None
        for first, why in _standing(connection, now):
            if first <= seq:
                seq, stopped = first - 1, why
        seq = _between_incidents(connection, seq)
    return Cut(seq if seq >= oldest else 0, stopped)


def _standing(connection: Connection, now: datetime) -> list[tuple[int, str]]:
    """The first rows that are still asked for, whatever their age, and why."""
    found = []
    aloft = select(claims.c.incident).where(claims.c.ended_at.is_(None), claims.c.deadline > now - ABANDONED)
    under_way = or_(incidents.c.closed_at.is_(None), incidents.c.id.in_(aloft))
    query = select(journal.c.seq, journal.c.incident, incidents.c.closed_at).join(incidents, incidents.c.id == journal.c.incident).where(under_way)
    if (row := connection.execute(query.order_by(journal.c.seq).limit(1)).first()) is not None:
        why = f"incident {row.incident} is still open" if row.closed_at is None else f"a step of incident {row.incident} has not ended"
        found.append((row.seq, why))
    words = select(journal.c.seq, journal.c.kind).where(journal.c.kind.in_((_PAUSED, _RESUMED))).order_by(journal.c.seq.desc()).limit(1)
    if (word := connection.execute(words).first()) is not None and word.kind == _PAUSED:
        found.append((word.seq, "everything is paused since then"))
    return found


def _between_incidents(connection: Connection, seq: int) -> int:
    """The last row up to ``seq`` at which no incident is cut in two."""
    span = select(func.min(journal.c.seq).label("first"), func.max(journal.c.seq).label("last")).where(journal.c.incident.is_not(None))
    spans = span.group_by(journal.c.incident).subquery()
    while True:
        first = connection.execute(select(func.min(spans.c.first)).where(spans.c.first <= seq, spans.c.last > seq)).scalar_one()
        if first is None:
            return seq
        seq = first - 1


# --- the file ---------------------------------------------------------------------------------------------------------------------------


def _export(store: Store, through: int, to: Path) -> Proven:
    """The rows are in ``to``, on the disk, and were read back. Raises StoreError where no file was made."""
    draft = to.with_name(f".{os.getpid()}.{to.name}")  # the name's end says how it is packed
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            with store.snapshot() as reading:
                exports.write(file, to.name, heads_of(reading.exported()), reading.rows(through))
            file.flush()
            os.fsync(file.fileno())
        proven = exports.prove(draft)
        os.link(draft, to)  # unlike a rename it fails where there is a file already
        folders.sync(to.parent)
    except OSError as fault:
        raise StoreError(f"{to} cannot be written ({fault.strerror}); nothing was removed") from fault
    finally:
        draft.unlink(missing_ok=True)
    return proven


# --- the removal ------------------------------------------------------------------------------------------------------------------------


def _remove(store: Store, proven: Proven, name: str) -> None:
    first = proven.first
    while first <= proven.last:
        with store.transaction() as tx:
            last = _between_incidents(tx.connection, min(first + BATCH - 1, proven.last))
            last = last if last >= first else proven.last  # incidents without end: all at once
            _remove_batch(tx, first, last, name)
        first = last + 1


def _remove_batch(tx: Transaction, first: int, last: int, name: str) -> None:
    """Rows ``first`` to ``last`` are gone, and the journal says so in a row and in the heads that stay."""
    _leave_heads(tx, first, last)
    tx.note(Note("journal.exported", tx.now(), {"first": first, "last": last, "file": name, "heads": heads_of(tx.exported())}))
    connection, gone = tx.connection, journal.c.seq.between(first, last)
    once = sqlite if connection.dialect.name == "sqlite" else postgresql
    keys = select(journal.c.key).where(gone, journal.c.key.is_not(None), journal.c.incident.is_(None), journal.c.kind != "change.seen")
    connection.execute(once.insert(spent).from_select(["key"], keys).on_conflict_do_nothing())
    whole = select(journal.c.incident).where(gone, journal.c.incident.is_not(None))
    connection.execute(delete(claims).where(claims.c.incident.in_(whole)))
    connection.execute(delete(outbox).where(outbox.c.key.in_(whole), or_(outbox.c.sent_at.is_not(None), outbox.c.dead_at.is_not(None))))
    removed = connection.execute(delete(journal).where(gone)).rowcount
    if removed == 0:
        raise StoreError(f"store: rows {first} to {last} are gone already: is another compaction running? Nothing more was removed")


def _leave_heads(tx: Transaction, first: int, last: int) -> None:
    """Each writer's last row among these is the head that stays."""
    known = tx.exported()
    span = select(journal.c.writer, func.max(journal.c.seq).label("seq"), func.count().label("rows"), func.min(journal.c.seq).label("first"))
    for row in tx.connection.execute(span.where(journal.c.seq.between(first, last)).group_by(journal.c.writer)).all():
        newest = tx.connection.execute(select(journal.c.hash).where(journal.c.seq == row.seq)).scalar_one()
        if row.writer in known:
            this = update(exported).where(exported.c.writer == row.writer)
            tx.connection.execute(this.values(seq=row.seq, hash=newest, rows=exported.c.rows + row.rows))
        else:
            began = tx.connection.execute(select(journal.c.at).where(journal.c.seq == row.first)).scalar_one()
            tx.connection.execute(exported.insert().values(writer=row.writer, seq=row.seq, hash=newest, rows=row.rows, began=began))
