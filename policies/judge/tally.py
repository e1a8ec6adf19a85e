"""What was counted since a change, each event once, and how strongly that speaks against a share being within its limit. Pure memory.

Blocks are taken in as they end, none that overlaps one before and none that began before the change. What happened since the last of them is
counted at each look too, as far as it is certain, and anew at the next. Beside the sums since the change it keeps what had been counted whenever a
later start began, so that a late onset does not drown in the healthy time before it.
"""

import math
from bisect import bisect_left
from datetime import datetime, timedelta
from typing import NamedTuple

from rollbackd.policies.judge.bursts import Calm, spread
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.trial import Heavy, Side, Trial
from rollbackd.policies.model.policy import Bound, Limit
from rollbackd.policies.model.readings import Counts

SOON = timedelta(minutes=1)
"""The first later start begins so long after the change: what the old pods still served well by then would hide what the new ones do."""
SPACING = timedelta(minutes=5)
"""The others begin so often."""
MOST_SPACED = 72
"""So many of them at most: those of six hours. In a longer watch they are further apart."""
_MILLION = 2**20
NOTHING = Sums()


class Tally(NamedTuple):
    """The counts from ``since`` to ``end``. ``begun``: what had been counted when each of the later ``starts`` began: SOON, then ``spacing`` apart.

    ``spread``: how bursty the time before was (None: unknown). ``heavy``, ``light``: the blocks with most bad and most good
    events since each of them, where the spread is unknown. ``last``: the block that was taken in last. ``newer``: what happened since, where
    only with that a breach is proven.
    """

    since: datetime
    end: datetime
    spacing: timedelta
    starts: int
    spread: float | None
    sums: Sums = NOTHING
    begun: tuple[Sums, ...] = ()
    heavy: tuple[Heavy, ...] = ()
    light: tuple[Heavy, ...] = ()
    last: Counts | None = None
    newer: Counts | None = None


def begin(since: datetime, length: timedelta, calm: Calm | None) -> Tally:
    """A tally that has counted nothing, of a watch of this length."""
    spacing = max(SPACING, length / MOST_SPACED)
    return Tally(since, since, spacing, math.ceil(length / spacing), None if calm is None else spread(calm))


def come(tally: Tally, age: timedelta) -> int:
    """How many of the later starts have begun so long after the change."""
    return min(tally.starts, int(age / tally.spacing) + (age >= SOON))


def proven_since(tally: Tally, limit: Limit) -> datetime:
    """When the start began since which most speaks for a breach: about when it began, if it is one."""
    strongest = max(_sides(_known(tally), limit), key=lambda side: side.log_e).strongest
    return tally.since + (SOON if strongest == 1 else tally.spacing * max(0, strongest - 1))


def add(tally: Tally, block: Counts) -> Tally:
    """The tally with one more block, or as it was where the block overlaps what is counted already."""
    if block.start < tally.end:
        return tally
    begun = tally.begun + (tally.sums,) * (come(tally, block.start - tally.since) - len(tally.begun))
    sums = tally.sums
    sums = Sums(sums.least + block.least, sums.most + block.most, sums.total + block.total)
    heavy, light = tally.heavy, tally.light
    if tally.spread is None:
        heavy, light = _heavier(heavy, len(begun), block.least, block), _heavier(light, len(begun), block.total - block.most, block)
    return Tally(tally.since, block.end, tally.spacing, tally.starts, tally.spread, sums, begun, heavy, light, block)


def _heavier(known: tuple[Heavy, ...], starts: int, events: float, block: Counts) -> tuple[Heavy, ...]:
    kept = known
    while kept and kept[-1].events <= events:
        kept = kept[:-1]
    return (*kept, Heavy(starts, events, block)) if not kept or kept[-1].starts < starts else kept


def tried(tally: Tally, limit: Limit, bound: Bound) -> Trial:
    """What all that is known by now comes to against the limit. Each side of a range has its part of alpha."""
    known = _known(tally)
    sides = _sides(known, limit)
    return Trial(known.since, math.log(len(sides) / bound.alpha), bound.least, known.sums, sides)


def _known(tally: Tally) -> Tally:
    return tally if tally.newer is None else add(tally, tally.newer)


def ahead(tally: Tally, block: Counts, limit: Limit, bound: Bound) -> Tally:
    """The tally with what happened since its last block, which ``block`` overlaps: what it has beyond that one is certainly newer.

    It is so many bad events at least, among all of ``block`` at most: that can only be too little evidence, so the bound holds.
    """
    blocks = tally if tally.newer is None else tally._replace(newer=None)
    newer = _newer(blocks, block, limit)
    if newer is None or tried(blocks, limit, bound).is_proven:
        return blocks
    known = tally._replace(newer=newer)
    return known if tried(known, limit, bound).is_proven else blocks


def _newer(tally: Tally, block: Counts, limit: Limit) -> Counts | None:
    """What is certain of the time from the tally's end to that of ``block``; None where that speaks for no breach."""
    last = tally.last
    if last is None or not last.start <= block.start < last.end < block.end or (last.low, last.high) != (block.low, block.high):
        return None
    least, good = block.least - last.least, (block.total - block.most) - (last.total - last.most)
    if (limit.high is None or least < 1) and (limit.low is None or good < 1):
        return None
    return Counts(last.end, block.end, max(0.0, least), block.total - max(0.0, good), block.total, block.newest, block.low, block.high)


def more_needed(tally: Tally, limit: Limit, bound: Bound) -> int | None:
    """About how many more bad events in the next block would prove the breach, were nothing else to happen; None beyond a million."""
    if limit.high is None:
        return None

    def proves(more: int) -> bool:
        return tried(add(tally, Counts(tally.end, tally.end, more, more, more, tally.end)), limit, bound).is_proven

    most = 1
    while not proves(most):
        most *= 2
        if most > _MILLION:
            return None
    return bisect_left(range(most), True, key=proves)


def _sides(tally: Tally, limit: Limit) -> tuple[Side, ...]:
    """The counts against each side of the limit."""
    counts = tally.sums, tally.begun, tally.starts, tally.spread
    above = () if limit.high is None else (Side(limit.high, False, *counts, tally.heavy),)
    return above if limit.low is None else (*above, Side(1 - limit.low, True, *counts, tally.light))
