"""Everything that can be written, inside one transaction: all of it holds afterwards, or none."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Table, Update, and_, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.revisions import is_resolved_by, is_unresolved
from rollbackd.controller.journal import statements
from rollbackd.controller.journal.chain import GENESIS, SHOWN, row_hash
from rollbackd.controller.journal.claiming import refusal
from rollbackd.controller.journal.codec import canonical, kind_of, moment_text
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.rows import Stored, change_columns, change_note, change_of, irreversible_note
from rollbackd.controller.journal.schema import Moment, changes, claims, incidents, ledger, outbox
from rollbackd.controller.journal.transitions import is_stale, key_of
from rollbackd.controller.journal.values import Blocked, Claim, How, Known, Note, SeenChange, Standing
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Applied, Closed, Held, IncidentEvent, Intended, Joined, Offered, Opened, PersonsEvent, Settled, Stopped
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.fold import advance, opened
from rollbackd.policies.known.incident import Incident, Phase

HEAD = "journal head of "
SAID = ("reason", "note", "advice", "why", "lines", "fault")
"""What is told in words, some of them others'. All else is what rollbackd goes by, and stays as it is."""


class Transaction(Reading):
    """One writer at a time. Its readings see what it has written so far.

    ``hide``: what is said gets through it, in rows and in messages: an error of a target or a source may say a secret.
    """

    def __init__(self, connection: Connection, writer: str, clock: Callable[[], datetime] | None, hide: Callable[[str], str] = str) -> None:
        super().__init__(lambda: nullcontext(connection), clock)
        self.connection = connection
        self.writer = writer
        self._hide = hide
        self.last: tuple[int, str] | None = None  # number and hash of the newest row of this transaction

    # --- journal rows ------------------------------------------------------------------------------------------------------------------

    def note(self, note: Note, key: str | None = None) -> bool:
        """The note is in the journal. False, and nothing changed, if a row with this ``key`` was there already."""
        body = {name: self._hidden(value) if name in SAID else value for name, value in note.body.items()}
        return self._append(note.kind, note.at, note.target, note.incident, key, canonical(body))

    def record(self, event: Joined | Offered | PersonsEvent | Applied | Settled | Stopped | Held | Closed) -> bool:
        """The incident has come so far. False, and nothing changed, if it had already, is closed, or does not exist.

        Applied and Stopped end the claim on their effect, and are kept even if the incident was closed meanwhile: what was done outside is
        always on record. After False no message is due.
        """
        incident = self.incident(event.incident)
        if incident is None or is_stale(incident, event) or not self._append_event(event, incident):
            return False
        if isinstance(event, Applied | Stopped):
            self._end_claim(event)
        after = advance(incident, event)
        values = {"phase": after.phase.value, "closed_at": after.closed_at}
        if after.suspects != incident.suspects:  # what it is about since it was raised is answered by it, and nothing else
            values["suspects"] = canonical(sorted(after.about))
        self.connection.execute(update(incidents).where(incidents.c.id == event.incident).values(**values))
        return True

    # --- incidents and claims ----------------------------------------------------------------------------------------------------------

    def open(self, event: Opened, namespace: str) -> bool:
        """The incident is open. False, and nothing changed, if another is open on its target or this change was ever answered."""
        values = {
            "id": event.incident,
            "target": event.target,
            "change_id": event.change_id,
            "namespace": namespace,
            "policy": event.policy,
            "suspects": canonical(sorted({event.change_id, *event.suspects})),
            "phase": opened(event).phase.value,
            "opened_at": event.at,
        }
        return self.insert_once(incidents, values) and self._append_event(event)

    def claim(self, event: Intended, claimant: str, limits: Limits) -> Claim | Blocked:
        """The effect is this claimant's to cause until ``event.deadline``, and the intent is durable once the transaction is.

        The guards that count are asked again here, where no other replica can come between. A claim is given once, ever: whoever lost its
        answer finds it among the unfinished claims and looks at the target first.
        """
        now = self.now()
        blocked = refusal(self, event, limits, now)
        if blocked is not None:
            return blocked
        values = {
            "incident": event.incident,
            "rung": event.rung,
            "target": event.target,
            "claimant": claimant,
            "claimed_at": now,
            "deadline": event.deadline,
            "attempts": 1,
        }
        if not self.insert_once(claims, values):
            holder = self.claim_on(event.incident, event.rung, event.target)
            return Blocked("claimed", f"rung {event.rung} on {event.target} was claimed by {holder.claimant if holder else 'another replica'}")
        self._append_event(event)
        row = update(incidents).where(incidents.c.id == event.incident)
        self.connection.execute(row.values(phase=Phase.ACTING.value, acted_at=func.coalesce(incidents.c.acted_at, literal(now, Moment()))))
        return Claim(event.incident, event.rung, event.target, claimant, now, event.deadline, 1, None, event)

    def take_over(self, incident: str, rung: int, target: str, claimant: str) -> Claim | None:
        """The claim is this claimant's, for as long as it was given at first. None unless its deadline passed without an outcome.

        Not even the former claimant after a restart gets it earlier: a command that its former life started may still be running.
        """
        now = self.now()
        found = self.claim_on(incident, rung, target)
        if found is None or found.ended_at is not None or now < found.deadline:
            return None
        deadline = now + (found.deadline - found.claimed_at)
        row = update(claims).where(claims.c.incident == incident, claims.c.rung == rung, claims.c.target == target)
        self.connection.execute(row.values(claimant=claimant, claimed_at=now, deadline=deadline, attempts=found.attempts + 1))
        body = {"rung": rung, "from": found.claimant, "to": claimant, "deadline": deadline, "attempts": found.attempts + 1}
        self.note(Note("claim.taken_over", now, body, target, incident))
        return self.claim_on(incident, rung, target)

    # --- changes and revisions ---------------------------------------------------------------------------------------------------------

    def see_change(self, seen: SeenChange) -> SeenChange:
        """The change is known; returns it as the first replica to see it wrote it.

        Where the replica's clock is late, it is dated after what is known of the target. A row that is there already is only completed: ``ready``
        and ``irreversible`` where they were unknown. That it is irreversible gets a row of its own, which tells every replica, whether it surveys
        the target or not. A revision whose images were not resolved yet goes by its full name once they are: it is no other change.
        """
        seen = replace(seen, change=self._in_turn(seen.change))
        change = seen.change
        if self.insert_once(changes, change_columns(seen)):
            self.note(change_note(seen))  # needs no key: the row of the change is there once
            return seen
        found = self._change_row(seen)
        new = {"ready": change.ready, "irreversible": change.irreversible}
        missing = {name: value for name, value in new.items() if value is not None and getattr(found, name) is None}
        if found.change_id == change.id and is_resolved_by(change.revision, found.revision):
            missing |= {"revision": change.revision, "parts": canonical(seen.parts)}
        if missing:
            self.connection.execute(update(changes).where(changes.c.seq == found.seq).values(**missing))
            found = self._change_row(seen)
        if "irreversible" in missing:
            self.note(irreversible_note(change_of(found), self.now()))
        return change_of(found)

    def mark(self, target: str, revision: str, standing: Standing, how: How, at: datetime, note: str = "") -> bool:
        """The revision stands so in the ledger. False if it did already (then it only counts as having served at ``at``) or may not.

        Quarantine is left by ``rearm`` only; a revision declared bad becomes good only by being declared so. An unresolved one may nothing.
        """
        if is_unresolved(revision):  # the next release, of other images, may go by the same name
            return False
        found = self._known(target, revision)
        if found is not None and found.standing is standing:
            self.served(target, revision, at)
            return False
        if found is not None and not _may_become(found, standing, how):
            return False
        values = {"target": target, "revision": revision, "standing": standing.value, "how": how.value, "first_at": at, "last_at": at, "note": note}
        if found is None:
            self.connection.execute(insert(ledger).values(values))
        else:
            last_at = max(found.last_at, at)
            self.connection.execute(_line(target, revision).values(standing=standing.value, how=how.value, last_at=last_at, note=note))
        return self.note(Note(f"target.{standing.value}", at, {"revision": revision, "how": how.value, "note": note}, target))

    def served(self, target: str, revision: str, at: datetime) -> None:
        """The revision served at ``at``; a revision that the ledger does not know, or that served later, stays as it is."""
        self.connection.execute(statements.SERVED, {"of": target, "which": revision, "until": at})

    def rearm(self, target: str, revision: str, who: str, at: datetime) -> bool:
        """The revision is out of quarantine, as unknown as a new one. False, and nothing changed, if it was not in it."""
        found = self._known(target, revision)
        if found is None or found.standing is not Standing.QUARANTINED:
            return False
        self.connection.execute(ledger.delete().where(ledger.c.target == target, ledger.c.revision == revision))
        return self.note(Note("target.rearmed", at, {"revision": revision, "who": who}, target))

    # --- messages ----------------------------------------------------------------------------------------------------------------------

    def queue(self, notice: Notice, contacts: Iterable[str]) -> None:
        """The notice will reach each contact, unless it was queued for it before; it leaves when the transaction has ended.

        A page carries the journal's head out of here, so that rows which are changed or cut off later show (`rollbackd audit verify --head`).
        """
        if notice.urgency == "page" and not any(line.startswith(HEAD) for line in notice.lines):  # one that is passed on has it
            notice = replace(notice, lines=(*notice.lines, f"{HEAD}{self.writer}: {self._end()[1][:16]}"))
        notice = replace(notice, title=self._hide(notice.title), lines=tuple(map(self._hide, notice.lines)))
        now = self.now()
        turn = self.connection.execute(statements.TURN).scalar_one()
        for contact in contacts:
            values = {
                "id": f"{notice.id}/{contact}",
                "turn": turn,
                "key": notice.key,
                "contact": contact,
                "channel": "",
                "notice": canonical(notice),
                "created_at": now,
                "next_at": now,
                "attempts": 0,
            }
            self.insert_once(outbox, values)

    def insert_once(self, table: Table, values: Mapping[str, object]) -> bool:
        """False, and nothing changed, if one of the table's unique keys is taken."""
        return self.connection.execute(_once(table, self.connection.dialect.name), dict(values)).rowcount == 1

    # --- parts -------------------------------------------------------------------------------------------------------------------------

    def _append_event(self, event: IncidentEvent, incident: Incident | None = None) -> bool:
        kind, target = kind_of(event), getattr(event, "target", None)
        said: dict[str, Any] = {name: self._hidden(getattr(event, name)) for name in SAID if hasattr(event, name)}
        event = replace(event, **said)
        return self._append(kind, event.at, target, event.incident, key_of(kind, event, incident), canonical(event))

    def _hidden(self, said: object) -> object:
        """Text, or lines of it."""
        if isinstance(said, list | tuple):
            return [self._hidden(line) for line in said]
        return self._hide(said) if isinstance(said, str) else said

    def _append(self, kind: str, at: datetime, target: str | None, incident: str | None, key: str | None, body: str) -> bool:
        if key is not None and self.has_entry(key):
            return False
        seq, prev = self._end()
        digest = row_hash(prev, seq, self.writer, moment_text(at), kind, target, incident, key, body)
        columns = {"seq": seq, "writer": self.writer, "at": at, "kind": kind, "target": target, "incident": incident, "key": key, "body": body}
        self.connection.execute(statements.APPEND, {**columns, "prev": prev[:SHOWN], "hash": digest})
        self.last = (seq, digest)
        return True

    def _end(self) -> tuple[int, str]:
        """The next row's number and the former hash of this writer; the write lock keeps both true until the commit."""
        if self.last is not None:
            return self.last[0] + 1, self.last[1]
        seq, of_mine = self.connection.execute(statements.NEXT).scalar_one(), {"writer": self.writer}
        newest = self.connection.execute(statements.NEWEST_HASH, of_mine).scalar_one_or_none()
        return seq, newest or self.connection.execute(statements.EXPORTED_HASH, of_mine).scalar_one_or_none() or GENESIS

    def _end_claim(self, event: Applied | Stopped) -> None:
        this = and_(claims.c.incident == event.incident, claims.c.rung == event.rung, claims.c.target == event.target)
        self.connection.execute(update(claims).where(this, claims.c.ended_at.is_(None)).values(ended_at=self.now()))

    def _change_row(self, seen: SeenChange) -> Stored:
        change = seen.change
        by_id = select(changes).where(changes.c.target == change.target, changes.c.change_id == change.id)
        by_step = select(changes).where(
            changes.c.target == change.target,
            changes.c.revision == change.revision,
            changes.c.predecessor == (change.predecessor or ""),
            changes.c.dated,
        )
        return self.connection.execute(by_id).first() or self.connection.execute(by_step).one()

    def _in_turn(self, change: Change) -> Change:
        last = self.connection.execute(statements.LAST_SEEN, {"target": change.target}).scalar_one()
        return change if last is None or change.first_seen > last else replace(change, first_seen=last + timedelta(microseconds=1))

    def _known(self, target: str, revision: str) -> Known | None:
        return next((known for known in self.ledger(target) if known.revision == revision), None)


@cache
def _once(table: Table, dialect: str) -> Executable:
    row = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    # Asked for, because some drivers do not count the rows of an INSERT by themselves.
    return row.on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _may_become(found: Known, standing: Standing, how: How) -> bool:
    if found.standing is Standing.QUARANTINED:
        return False
    return not (found.standing is Standing.BAD and standing is Standing.GOOD and how is not How.DECLARED)


def _line(target: str, revision: str) -> Update:
    return update(ledger).where(ledger.c.target == target, ledger.c.revision == revision)
