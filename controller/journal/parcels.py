"""The outbox table: which notice goes to which channel next. Every function works in the transaction it is given."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Update, and_, delete, or_, select, update

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.rows import Stored, parcel_of
from rollbackd.controller.journal.schema import outbox
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.journal.values import Note, Parcel

Lane: TypeAlias = tuple[str, str]
"""A contact and one of its channels."""
MOST_AT_ONCE = 200
"""So many late pages are handed over in one transaction: others wait for the store meanwhile. The rest follow at the next try."""

_WAITING = and_(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
_IN_TURN = select(outbox).where(_WAITING).order_by(outbox.c.turn)
_ROUTED = _IN_TURN.where(outbox.c.channel != "")


def route(
    tx: Transaction, channels: Mapping[str, Sequence[str]], fallback: str | None = None, orphans_after: timedelta = timedelta(0)
) -> tuple[str, ...]:
    """Every waiting notice has one row for each channel of its contact, in its turn. Returns the ids of those that were given up: no such contact.

    A row of a channel that is configured no more goes to the channels that are; the ``fallback`` is told what was given up. What another replica
    may know better is left to it: what it sends just now, and what is younger than ``orphans_after``, with what follows of the same key.
    """
    lanes = {(contact, channel) for contact, names in channels.items() for channel in names}
    lost, left, now = [], set(), tx.now()
    for row in tx.connection.execute(_IN_TURN).all():
        if (row.contact, row.channel) in lanes:
            continue
        is_new = not row.channel and bool(channels.get(row.contact))
        if (row.contact, row.key) in left or not (is_new or _is_orphan(row, now, orphans_after)):
            left.add((row.contact, row.key))
        elif channels.get(row.contact):
            _split(tx, row, channels[row.contact])
        else:
            lost.append(row.id)
            error = f"no contact {row.contact!r} is configured"
            _give_up(tx, row.id, {"contact": row.contact, "error": error})
            with contextlib.suppress(StoreError):  # what cannot be read cannot be told; it is on record
                hand_over(tx, parcel_of(row), fallback, error)
    return tuple(lost)


def take(tx: Transaction, free: Collection[Lane], lease: timedelta) -> tuple[Parcel, ...]:
    """At most one parcel for each of the ``free`` lanes: the first that is due. It is this writer's until the lease ends.

    Of the messages with one key, none goes to a channel before the earlier ones were sent or given up.
    """
    now, taken, still_free = tx.now(), [], set(free)
    for row in _heads(tx):
        lane = (row.contact, row.channel)
        if lane not in still_free or row.next_at > now or _is_claimed(row, now):
            continue
        try:
            taken.append(parcel_of(row))
        except StoreError as error:
            _give_up(tx, row.id, {"contact": row.contact, "error": str(error)})
            continue
        still_free.remove(lane)
        tx.connection.execute(_row(row.id).values(claimed_by=tx.writer, claimed_until=now + lease))
    return tuple(taken)


def put_back(tx: Transaction, untried: Iterable[Parcel]) -> None:
    """They may be taken at once, by any replica: nothing was tried."""
    for parcel in untried:
        tx.connection.execute(_row(parcel.id).values(claimed_until=None))


def is_ours(tx: Transaction, parcel: Parcel) -> bool:
    """Whether it is still this writer's to tell what became of it: nobody took it since, and nobody sent it or gave it up."""
    mine = and_(outbox.c.id == parcel.id, outbox.c.claimed_by == tx.writer, _WAITING)
    return tx.connection.execute(select(outbox.c.id).where(mine)).first() is not None


def mark_sent(tx: Transaction, parcel: Parcel) -> None:
    """It arrived; it will not be sent there again."""
    tx.connection.execute(_row(parcel.id).values(sent_at=tx.now(), attempts=parcel.attempts + 1, last_error=None))


def clear(tx: Transaction, key: str) -> None:
    """What was sent of this key is gone, unless something of it still waits: its story is told to the end, and rows of the journal say it was."""
    of_key = outbox.c.key == key
    waiting = select(outbox.c.id).where(_WAITING, of_key)
    tx.connection.execute(delete(outbox).where(of_key, outbox.c.sent_at.is_not(None), ~waiting.exists()))


def delay(tx: Transaction, parcel: Parcel, error: str, until: datetime) -> None:
    """It is tried again from ``until`` on."""
    values = {"next_at": until, "attempts": parcel.attempts + 1, "last_error": error, "claimed_until": None}
    tx.connection.execute(_row(parcel.id).values(**values))


def quiet(tx: Transaction, lane: Lane, until: datetime) -> None:
    """Nothing is sent to this channel before ``until``: it asked for that."""
    of_lane = and_(outbox.c.contact == lane[0], outbox.c.channel == lane[1], outbox.c.next_at < until)
    tx.connection.execute(update(outbox).where(_WAITING, of_lane).values(next_at=until))


def bury(tx: Transaction, parcel: Parcel, error: str) -> None:
    """It is given up, on record; the messages behind it go on."""
    _give_up(tx, parcel.id, {"contact": parcel.contact, "channel": parcel.channel, "title": parcel.notice.title, "error": error})


def hand_over(tx: Transaction, parcel: Parcel, fallback: str | None, error: str) -> None:
    """The fallback is told instead, and why; once, whatever the number of channels that fail; not of what it was told the end of already."""
    if fallback is not None and parcel.contact != fallback and not _is_overtaken(tx, parcel, _queued_for(tx, fallback)):
        _pass_on(tx, parcel, fallback, error)


def hand_over_news(tx: Transaction, parcel: Parcel, fallback: str | None) -> None:
    """The fallback is told as well that somebody has taken what it was told of, or that it is over; once, and no older news than it has."""
    if fallback is None or parcel.contact == fallback or not _is_news_to(tx, fallback, parcel.notice):
        return
    told = _queued_for(tx, fallback)
    if parcel.notice.id not in told and not _is_overtaken(tx, parcel, told):
        tx.queue(parcel.notice, (fallback,))


def _pass_on(tx: Transaction, parcel: Parcel, fallback: str, error: str) -> None:
    by = f" by {parcel.channel}" if parcel.channel else ""
    tx.queue(replace(parcel.notice, lines=(f"{parcel.contact} could not be told{by}: {error}", *parcel.notice.lines)), (fallback,))


def hand_over_late(tx: Transaction, parcel: Parcel, late: timedelta, wish: timedelta, fallback: str | None, error: str) -> None:
    """The fallback is told of the pages on this channel that are older than ``late``, and of what became of what it was told; of the first of them.

    None of them waits for a try of its own: behind a message of the same key, or behind many others on a channel that hangs, that may not come for
    hours. Where the channel wants to be left alone for ``wish``, those count as late that will be by then.
    """
    if fallback is None or parcel.contact == fallback:
        return
    then, told, left = tx.now() + wish, _queued_for(tx, fallback), MOST_AT_ONCE
    ends = _told_ends(tx, parcel, told)
    for row in _perhaps_late(tx, parcel, then - late, fallback):
        if left == 0:
            break
        if _notice_id(row.id, (row.contact, row.channel)) in told or row.turn < ends.get(row.key, 0):
            continue
        with contextlib.suppress(StoreError):  # what cannot be read is given up in its turn
            each = parcel_of(row)
            if (each.notice.urgency == "page" and each.is_older_than(late, then)) or _is_news_to(tx, fallback, each.notice):
                _pass_on(tx, each, fallback, error)
                left -= 1


def _perhaps_late(tx: Transaction, parcel: Parcel, before: datetime, fallback: str) -> Sequence[Stored]:
    """The rows on the parcel's channel of a key with an older page, or that the fallback was told of, in turn: few are worth decoding."""
    same = and_(_WAITING, outbox.c.contact == parcel.contact, outbox.c.channel == parcel.channel)
    has_old_page = select(outbox.c.key).where(same, outbox.c.created_at < before, outbox.c.notice.contains('"urgency":"page"'))
    is_told = select(outbox.c.key).where(outbox.c.contact == fallback)
    return tx.connection.execute(select(outbox).where(same, outbox.c.key.in_(has_old_page.union(is_told))).order_by(outbox.c.turn)).all()


def _queued_for(tx: Transaction, contact: str) -> frozenset[str]:
    """The ids of the notices that were queued for the contact, as long as their stories are not told to the end."""
    rows = tx.connection.execute(select(outbox.c.id, outbox.c.channel).where(outbox.c.contact == contact)).all()
    return frozenset(_notice_id(row.id, (contact, row.channel)) for row in rows)


def _told_ends(tx: Transaction, parcel: Parcel, told: Collection[str]) -> dict[str, int]:
    """By key, the turn of the last notice that waits on the parcel's channel and is ``told`` elsewhere by now: that it is taken, or over.

    A page from before it that came after it would call people once more, and nothing would end it.
    """
    same = and_(outbox.c.contact == parcel.contact, outbox.c.channel == parcel.channel)
    ends = or_(outbox.c.notice.contains('"resolved":true'), outbox.c.notice.contains('"kind":"acked"'))
    rows = tx.connection.execute(select(outbox).where(_WAITING, same, ends).order_by(outbox.c.turn)).all()
    return {row.key: row.turn for row in rows if _notice_id(row.id, (row.contact, row.channel)) in told}


def _is_overtaken(tx: Transaction, parcel: Parcel, told: Collection[str]) -> bool:
    turn = tx.connection.execute(select(outbox.c.turn).where(outbox.c.id == parcel.id)).scalar()
    return turn is not None and turn < _told_ends(tx, parcel, told).get(parcel.notice.key, 0)


def _notice_id(row_id: str, lane: Lane) -> str:
    contact, channel = lane
    return row_id.removesuffix(f"/{channel}").removesuffix(f"/{contact}")


def _is_news_to(tx: Transaction, contact: str, notice: Notice) -> bool:
    """Whether the notice ends what calls the contact: somebody has taken what it was told of, or it is over."""
    return (notice.resolved or notice.is_taken) and was_told(tx, contact, notice.key)


def was_told(tx: Transaction, contact: str, key: str) -> bool:
    """Whether anything of this key was ever queued for the contact."""
    return tx.connection.execute(select(outbox.c.id).where(outbox.c.contact == contact, outbox.c.key == key).limit(1)).first() is not None


def contacts_of(tx: Transaction, key: str) -> frozenset[str]:
    """For whom anything of this key was queued, as long as its story is not told to the end."""
    return frozenset(tx.connection.execute(select(outbox.c.contact).where(outbox.c.key == key)).scalars())


def release(tx: Transaction) -> None:
    """What a former life of this writer had taken may be taken again."""
    tx.connection.execute(update(outbox).where(_WAITING, outbox.c.claimed_by == tx.writer).values(claimed_until=None))


def _heads(tx: Transaction) -> Iterator[Stored]:
    """The first waiting row of each key on each channel, in turn."""
    seen = set()
    for row in tx.connection.execute(_ROUTED).all():
        line = (row.contact, row.channel, row.key)
        if line not in seen:
            seen.add(line)
            yield row


def _is_claimed(row: Stored, now: datetime) -> bool:
    return row.claimed_until is not None and row.claimed_until > now


def _is_orphan(row: Stored, now: datetime, after: timedelta) -> bool:
    """Whether no other replica sends it: its config may name what this one's does not."""
    return not _is_claimed(row, now) and now - row.created_at >= after


def _split(tx: Transaction, row: Stored, channels: Sequence[str]) -> None:
    notice_id = row.id.removesuffix(f"/{row.channel}") if row.channel else row.id
    fresh = {"attempts": 0, "next_at": row.created_at, "last_error": None, "claimed_by": None, "claimed_until": None}
    for channel in channels:
        tx.insert_once(outbox, {**row._mapping, **fresh, "id": f"{notice_id}/{channel}", "channel": channel})
    tx.connection.execute(delete(outbox).where(outbox.c.id == row.id))


def _give_up(tx: Transaction, parcel: str, facts: Mapping[str, str]) -> None:
    tx.connection.execute(_row(parcel).values(dead_at=tx.now(), last_error=facts["error"]))
    tx.note(Note("notice.dead", tx.now(), {"parcel": parcel, **facts}), f"{parcel}/dead")


def _row(parcel: str) -> Update:
    return update(outbox).where(outbox.c.id == parcel)
