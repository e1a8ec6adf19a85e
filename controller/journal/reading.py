"""Everything that can be asked of the store. Reads only; each call is one consistent read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Select, String, func, select, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from rollbackd.controller.journal import statements
from rollbackd.controller.journal.chain import JournalRow
from rollbackd.controller.journal.codec import KINDS, moment, parsed
from rollbackd.controller.journal.folding import Ended, Folding
from rollbackd.controller.journal.rows import Stored, answered_in, change_of, claim_of, entry_of, event_of, known_of
from rollbackd.controller.journal.schema import changes, exported, incidents, journal, outbox
from rollbackd.controller.journal.values import START, Budget, Claim, Entry, Exported, Known, Mark, OutboxState, SeenChange, Standing
from rollbackd.policies.known.events import IncidentEvent
from rollbackd.policies.known.fleet import Flight
from rollbackd.policies.known.incident import Incident, Mended

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_NOW = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    # Not now(): that is when the transaction began.
    "postgresql": """SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
}
_BATCH = 500  # SQLite of older builds takes 999 variables in one statement


class Reading:
    """The questions. Raises StoreError where the store cannot be read."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]], clock: Callable[[], datetime] | None) -> None:
        self._connect = connect
        self._clock = clock
        self._folding = Folding()
        self._ended = Ended()

    def connected(self) -> AbstractContextManager[Connection]:
        """A connection of this reading, for questions that only one module of this package has."""
        return self._connect()

    def now(self) -> datetime:
        """The database clock: the one by which deadlines in the journal are kept."""
        if self._clock is not None:
            return self._clock()
        with self._connect() as connection:
            return moment(connection.exec_driver_sql(_NOW[connection.dialect.name]).scalar_one())

    # --- incidents ---------------------------------------------------------------------------------------------------------------------

    def open_incidents(self) -> tuple[Incident, ...]:
        """Every incident that is not closed, oldest first."""
        return self._folding.opened(self._rows(statements.OPEN))

    def incident(self, incident: str) -> Incident | None:
        """The incident with this id, open or closed."""
        return self._folding.one(self._rows(statements.ONE, incident=incident))

    def mended(self, since: datetime) -> tuple[tuple[str, Mended], ...]:
        """By watched target, what each closed incident that acted after ``since`` did, without those that this version cannot read."""
        with self._connect() as connection:
            names = connection.execute(statements.ENDED, {"since": since}).scalars().all()
        return self._ended.of(names, self.incident)

    def ended(self, since: datetime) -> tuple[str, ...]:
        """The ids of the incidents that were closed after ``since``, the newest first."""
        with self._connect() as connection:
            return tuple(connection.execute(statements.CLOSED_SINCE, {"since": since}).scalars())

    def closed_at(self, incident: str) -> datetime | None:
        """When the incident was closed, also where its rows were exported since; None if it is open or was never there."""
        with self._connect() as connection:
            return connection.execute(select(incidents.c.closed_at).where(incidents.c.id == incident)).scalar_one_or_none()

    def namespace_of(self, incident: str) -> str:
        """The namespace whose budget the incident spends. Raises KeyError if there is no such incident."""
        with self._connect() as connection:
            found = connection.execute(select(incidents.c.namespace).where(incidents.c.id == incident)).scalar_one_or_none()
        if found is None:
            raise KeyError(incident)
        return str(found)

    def events(self, incident: str) -> tuple[IncidentEvent, ...]:
        """The journal rows that the incident is the fold of, in order."""
        query = select(journal).where(journal.c.incident == incident, journal.c.kind.in_(KINDS)).order_by(journal.c.seq)
        with self._connect() as connection:
            return tuple(event_of(row) for row in connection.execute(query))

    def answered(self) -> dict[str, frozenset[str]]:
        """By watched target, the ids of all changes that an incident of it which acted was about."""
        with self._connect() as connection:
            rows = connection.execute(statements.SUSPECTS).all()
        found: dict[str, set[str]] = {}
        for target, text in rows:
            found.setdefault(target, set()).update(answered_in(text))
        return {target: frozenset(ids) for target, ids in found.items()}

    def claim_on(self, incident: str, rung: int, target: str) -> Claim | None:
        """The claim on one effect, ended or not; None if there is none (or if somebody removed it)."""
        with self._connect() as connection:
            row = connection.execute(statements.CLAIM_ON, {"incident": incident, "rung": rung, "target": target}).first()
        return None if row is None else claim_of(row)

    def has_settled(self, incident: str, rung: int, target: str) -> bool:
        """Did somebody see this effect complete?"""
        return self.has_entry(f"{incident}/rung.settled/{rung}/{target}")

    def budget(self, at: datetime) -> Budget:
        """What the counting guards need as of ``at`` (database time)."""
        with self._connect() as connection:
            return Budget(
                flights=tuple(Flight(row.id, row.target, row.namespace) for row in connection.execute(statements.ALOFT)),
                acted_in_hour=connection.execute(statements.IN_HOUR, {"since": at - HOUR}).scalar_one(),
                acted_in_day={row.target: row.acted for row in connection.execute(statements.IN_DAY, {"since": at - DAY})},
                closed={row.target: row.last for row in connection.execute(statements.CLOSED)},
            )

    # --- changes and revisions ---------------------------------------------------------------------------------------------------------

    def changes(self, targets: Sequence[str] | None = None, since: datetime | None = None) -> tuple[SeenChange, ...]:
        """The changes [of these targets] [seen at or after ``since``], in the order in which they came to light."""
        query = select(changes).order_by(changes.c.first_seen, changes.c.seq)
        if since is not None:
            query = query.where(changes.c.first_seen >= since)
        with self._connect() as connection:
            return tuple(change_of(row) for row in _each(connection, query, changes.c.target, targets))

    def changes_after(self, seq: int) -> tuple[int, tuple[SeenChange, ...]]:
        """The changes that came after row ``seq``, whoever wrote them, and the row to ask after next."""
        with self._connect() as connection:
            rows = connection.execute(statements.CHANGES_AFTER, {"seq": seq}).all()
        return (rows[-1].seq if rows else seq), tuple(change_of(row) for row in rows)

    def made_irreversible(self, after: int) -> tuple[int, tuple[SeenChange, ...]]:
        """The changes that became known as irreversible after journal row ``after``, later than they were seen, and the row to ask after next.

        All of them where the journal ends before that row: a failover lost rows, and their numbers are given anew.
        """
        with self._connect() as connection:
            last = connection.execute(statements.LAST).scalar_one()
            asked = {"seq": after if last >= after else 0, "kinds": ["change.irreversible"]}
            told = map(entry_of, connection.execute(statements.OF_KINDS, asked).all()) if last != after else ()
            found = [connection.execute(statements.CHANGE, {"target": row.target, "change": row.body["change"]}).first() for row in told]
        return last, tuple(change_of(row) for row in found if row is not None)

    def newest_row(self) -> int:
        """The journal's newest row; 0 if there is none."""
        with self._connect() as connection:
            return int(connection.execute(statements.LAST).scalar_one())

    def parts_of(self, target: str, change: str) -> Mapping[str, Any]:
        """The states of the target's parts that this change brought; empty if it is not known."""
        query = select(changes.c.parts).where(changes.c.target == target, changes.c.change_id == change)
        with self._connect() as connection:
            text = connection.execute(query).scalar_one_or_none()
        return {} if text is None else cast(dict[str, Any], parsed(text))

    def newest_change_row(self) -> int:
        """The row after which ``changes_after`` finds only what is new."""
        with self._connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(changes.c.seq), 0))).scalar_one())

    def latest_changes(self, targets: Sequence[str] | None = None) -> Mapping[str, SeenChange]:
        """The newest change of each target that was not merely posted: where it stood when somebody last looked."""
        newest = select(func.max(changes.c.seq)).where(~changes.c.posted).group_by(changes.c.target)
        query = select(changes).where(changes.c.seq.in_(newest))
        with self._connect() as connection:
            return {row.target: change_of(row) for row in _each(connection, query, changes.c.target, targets)}

    def ledger(self, target: str) -> tuple[Known, ...]:
        """All that is known of the target's revisions, newest served first."""
        with self._connect() as connection:
            return tuple(known_of(row) for row in connection.execute(statements.LEDGER, {"target": target}))

    def good(self, target: str, since: datetime) -> tuple[Known, ...]:
        """The known-good revisions that served at or after ``since``, newest served first."""
        return tuple(known for known in self.ledger(target) if known.standing is Standing.GOOD and known.last_at >= since)

    def all_good(self, targets: Sequence[str], since: datetime) -> Mapping[str, tuple[str, ...]]:
        """The known-good revisions of these targets that served at or after ``since``, newest served first."""
        found: dict[str, tuple[str, ...]] = {}
        with self._connect() as connection:
            for row in _of_each(connection, statements.GOOD, targets, since=since):
                found[row.target] = (*found.get(row.target, ()), row.revision)
        return found

    def quarantined(self) -> frozenset[tuple[str, str]]:
        """(target, revision) of everything in quarantine."""
        with self._connect() as connection:
            return frozenset((row.target, row.revision) for row in connection.execute(statements.QUARANTINED))

    # --- the journal itself ------------------------------------------------------------------------------------------------------------

    def history(self, limit: int, target: str | None = None, incident: str | None = None) -> tuple[Entry, ...]:
        """The newest rows [of this target, with those of its incidents] [of this incident], newest first."""
        query = select(journal).order_by(journal.c.seq.desc()).limit(limit)
        if target is not None:
            of_target = select(incidents.c.id).where(incidents.c.target == target)
            query = query.where((journal.c.target == target) | journal.c.incident.in_(of_target))
        if incident is not None:
            query = query.where(journal.c.incident == incident)
        with self._connect() as connection:
            return tuple(entry_of(row) for row in connection.execute(query))

    def began(self) -> datetime | None:
        """When the first row was written, exported rows included; None where there never was one."""
        with self._connect() as connection:
            oldest = connection.execute(select(func.min(exported.c.began))).scalar_one()
            return oldest or connection.execute(select(journal.c.at).order_by(journal.c.seq).limit(1)).scalar_one_or_none()

    def noted(self, kind: str, since: datetime) -> tuple[tuple[datetime, str], ...]:
        """When and of which target notes of this kind were, from ``since`` on, the oldest first. It reads the whole journal."""
        query = select(journal.c.at, journal.c.target).where(journal.c.kind == kind, journal.c.at >= since).order_by(journal.c.at, journal.c.target)
        with self._connect() as connection:
            return tuple((row.at, row.target) for row in connection.execute(query))

    def newest_of(self, kinds: Sequence[str], after: Mark) -> tuple[Mark, Entry | None]:
        """The newest row of these kinds among those that came after ``after``, of all where that row is gone; and the mark to ask after next."""
        with self._connect() as connection:
            found = connection.execute(statements.LAST_ROW).first()
            last = Mark(found.seq, found.hash) if found is not None else START
            if last == after:
                return last, None
            # A failover may have lost the last rows, and their numbers are given anew: the number alone says nothing.
            is_there = connection.execute(statements.IS_THERE, {"seq": after.seq, "hash": after.hash}).first() is not None
            row = connection.execute(statements.NEWEST_OF, {"seq": after.seq if is_there else 0, "kinds": kinds}).first()
        return last, None if row is None else entry_of(row)

    def has_entry(self, key: str) -> bool:
        """Was a row with this key ever written?"""
        with self._connect() as connection:
            return connection.execute(statements.HAS_ENTRY, {"key": key}).first() is not None

    def keys(self, word: str) -> frozenset[str]:
        """The keys that begin with ``word`` and a colon, of all rows that were ever written. ``word``: small letters."""
        # What is asked for ends by a letter: every database sorts those alike, while a colon may count for nothing.
        after = f"{word[:-1]}{chr(ord(word[-1]) + 1)}"
        with self._connect() as connection:
            found = connection.execute(statements.KEYS, {"word": word, "after": after}).scalars()
            return frozenset(key for key in found if key.startswith(f"{word}:"))

    def rows(self, through: int | None = None) -> Iterator[JournalRow]:
        """Every journal row [up to this one] as stored, in order, for ``chain.verify``; the connection is held until the end."""
        at = type_coerce(journal.c.at, String).label("at")
        query = select(*(at if column.name == "at" else column for column in journal.c)).order_by(journal.c.seq)
        query = query if through is None else query.where(journal.c.seq <= through)
        with self._connect() as connection:
            for row in connection.execute(query).yield_per(1000):
                yield JournalRow(**row._mapping)

    def heads(self) -> Mapping[str, str]:
        """The newest hash of each writer: keep it elsewhere, and a journal that was cut short or rewritten shows."""
        newest = select(func.max(journal.c.seq)).group_by(journal.c.writer)
        with self._connect() as connection:
            left = connection.execute(select(journal.c.writer, journal.c.hash).where(journal.c.seq.in_(newest)))
            removed = connection.execute(select(exported.c.writer, exported.c.hash))
            return {row.writer: row.hash for rows in (removed, left) for row in rows}

    def exported(self) -> Mapping[str, Exported]:
        """Of each writer, which of its rows were exported and removed."""
        with self._connect() as connection:
            found = connection.execute(select(exported).order_by(exported.c.writer))
            return {row.writer: Exported(row.seq, row.hash, row.rows, row.began) for row in found}

    def has_parcels(self, at: datetime) -> bool:
        """Is there a waiting notice that may be sent at ``at``?"""
        with self._connect() as connection:
            return connection.execute(statements.DUE, {"at": at}).first() is not None

    def outbox_state(self) -> OutboxState:
        """How the outbox stands."""
        with self._connect() as connection:
            count, oldest = connection.execute(select(func.count(), func.min(outbox.c.created_at)).where(statements.WAITING)).one()
            dead = connection.execute(select(func.count()).select_from(outbox).where(outbox.c.dead_at.is_not(None))).scalar_one()
        return OutboxState(count, oldest, dead)

    def _rows(self, query: Select[Any], **which: object) -> Sequence[Stored]:
        with self._connect() as connection:
            return connection.execute(query, which).all()


def _each(connection: Connection, query: Select[Any], column: ColumnElement[str], among: Sequence[str] | None) -> Iterator[Stored]:
    if among is None:
        yield from connection.execute(query)
        return
    for start in range(0, len(among), _BATCH):
        yield from connection.execute(query.where(column.in_(among[start : start + _BATCH])))


def _of_each(connection: Connection, query: Select[Any], targets: Sequence[str], **values: object) -> Iterator[Stored]:
    for start in range(0, len(targets), _BATCH):
        yield from connection.execute(query, {"targets": targets[start : start + _BATCH], **values})
