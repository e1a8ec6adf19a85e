"""Stored rows to values and back: the one place that knows both."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal import codec
from rollbackd.controller.journal.errors import RowUnreadable, StoreError
from rollbackd.controller.journal.values import Claim, Entry, How, Known, Note, Parcel, SeenChange, Standing
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import IncidentEvent, Intended

Stored = Row[Any]


def event_of(row: Stored) -> IncidentEvent:
    """The incident event of a journal row. Raises RowUnreadable, which names the row."""
    try:
        return codec.decode_event(row.kind, row.body)
    except codec.Undecodable as error:
        raise RowUnreadable(f"journal row {row.seq} ({row.kind}): {error}; nothing was decided from it; run the rollbackd that wrote it") from error


def entry_of(row: Stored) -> Entry:
    """The journal row for people. Raises StoreError that names the row."""
    try:
        body = codec.parsed(row.body)
    except codec.Undecodable as error:
        raise StoreError(f"journal row {row.seq} ({row.kind}): {error}; the file was changed by hand") from error
    return Entry(row.seq, row.writer, row.at, row.kind, row.target, row.incident, body if isinstance(body, dict) else {"": body})


def claim_of(row: Stored) -> Claim:
    """The claim; the row carries its intent's journal columns beside it."""
    return Claim(
        incident=row.incident,
        rung=row.rung,
        target=row.target,
        claimant=row.claimant,
        claimed_at=row.claimed_at,
        deadline=row.deadline,
        attempts=row.attempts,
        ended_at=row.ended_at,
        intended=cast(Intended, event_of(row)),
    )


def change_of(row: Stored) -> SeenChange:
    """The change as the first replica to see it wrote it."""
    change = Change(
        target=row.target,
        id=row.change_id,
        revision=row.revision,
        predecessor=row.predecessor or None,
        started_early=row.started_early,
        started_late=row.started_late,
        first_seen=row.first_seen,
        ready=row.ready,
        ours=row.ours,
        posted=row.posted,
        irreversible=row.irreversible,
        parts=tuple(cast(list[str], codec.parsed(row.touched))),
        note=row.note,
    )
    return SeenChange(change, cast(dict[str, Any], codec.parsed(row.parts)), row.writer, row.dated)


def change_columns(seen: SeenChange) -> dict[str, object]:
    """The row of a change. ``stuck`` is a state of the moment and not kept."""
    change = seen.change
    return {
        "target": change.target,
        "change_id": change.id,
        "revision": change.revision,
        # Never null: null equals no null, and two replicas' first sight of a target must collide.
        "predecessor": change.predecessor or "",
        "started_early": change.started_early,
        "started_late": change.started_late,
        "first_seen": change.first_seen,
        "ready": change.ready,
        "ours": change.ours,
        "posted": change.posted,
        "irreversible": change.irreversible,
        "touched": codec.canonical(change.parts),
        "note": change.note,
        "parts": codec.canonical(seen.parts),
        "writer": seen.writer,
        "dated": seen.dated,
    }


def change_note(seen: SeenChange) -> Note:
    """The journal row of a change that was seen for the first time."""
    change = seen.change
    body = {
        "change": change.id,
        "revision": change.revision,
        "predecessor": change.predecessor,
        "started_early": change.started_early,
        "started_late": change.started_late,
        "ours": change.ours,
        "posted": change.posted,
        "irreversible": change.irreversible,
        "writer": seen.writer,
        "note": change.note,
    }
    kept = {name: value for name, value in body.items() if value not in (None, "", False)}
    return Note("change.seen", change.first_seen, kept, target=change.target)


def irreversible_note(seen: SeenChange, at: datetime) -> Note:
    """The journal row of a change that was seen before, and is known to be irreversible only since ``at``."""
    change = seen.change
    body = {"change": change.id, "revision": change.revision, "irreversible": change.irreversible}
    return Note("change.irreversible", at, body, target=change.target)


def answered_in(text: str) -> list[str]:
    """The change ids that an incident was opened for."""
    return cast(list[str], codec.parsed(text))


def known_of(row: Stored) -> Known:
    """The ledger line."""
    return Known(row.target, row.revision, Standing(row.standing), How(row.how), row.first_at, row.last_at, row.note)


def parcel_of(row: Stored) -> Parcel:
    """The waiting notice. Raises StoreError if its text cannot be read."""
    try:
        notice = codec.decode(Notice, row.notice)
    except codec.Undecodable as error:
        raise StoreError(f"outbox row {row.id}: {error}; it was not sent") from error
    return Parcel(row.id, row.contact, row.channel, notice, row.created_at, row.attempts, row.last_error)
