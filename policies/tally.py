"""What was counted since a change, each event once, and how strongly that speaks against a share being within its limit (S7). Pure memory.

Blocks are taken in as they end, none that overlaps one before and none that began before the change. What happened since the last of them is
counted at each look too, as far as it is certain, and anew at the next. Beside the sums since the change it keeps what had been counted whenever a
later start began, so that a late onset does not drown in the healthy time before it.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.policies.evalue import log_evalue, mixed, most_log_evalue
from rollbackd.policies.evidence import Sums, Trial
from rollbackd.policies.model import Bound, Limit
from rollbackd.policies.readings import Counts

SPACING = timedelta(minutes=5)
"""A later start begins so often (S7)."""
MOST_STARTS = 72
"""So many later starts at most: those of six hours. In a longer watch they are further apart."""
CALM_BLOCKS = 10
CALM_BAD = 10
"""So many blocks with so many bad events in all are needed before bursts can be told from chance."""
CALM_MEMORY = 120
"""Over about so many blocks burstiness is averaged; what is older fades."""
SLIGHT = 30.0
"""A start that has so much less evidence than another, in ln, adds nothing that shows."""
_MILLION = 2**20
NOTHING = Sums()


@dataclass(frozen=True, slots=True)
class Calm:
    """How bad events came before a change: sums over disjoint ``blocks`` that end at ``end``. ``squares``: of bad^2/total."""

    end: datetime
    blocks: float = 0.0
    bad: float = 0.0
    total: float = 0.0
    squares: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts from ``since`` to ``end``. ``begun``: what had been counted when each of the later ``starts``, ``spacing`` apart, began.

    ``spread``: how bursty the time before was (None: unknown). ``last``: the block that was taken in last. ``closed``: what all blocks come to;
    ``open``: what they come to with what happened since, where that is more.
    """

    since: datetime
    end: datetime
    spacing: timedelta
    starts: int
    spread: float | None
    sums: Sums = NOTHING
    begun: tuple[Sums, ...] = ()
    last: Counts | None = None
    closed: Trial | None = None
    open: Trial | None = None

    @property
    def trial(self) -> Trial | None:
        """What all that is known by now comes to."""
        return self.open or self.closed


def begin(since: datetime, length: timedelta, calm: Calm | None) -> Tally:
    """A tally that has counted nothing, of a watch of this length."""
    spacing = max(SPACING, length / MOST_STARTS)
    return Tally(since, since, spacing, max(0, math.ceil(length / spacing) - 1), None if calm is None else spread(calm))


def add(tally: Tally, block: Counts) -> Tally:
    """The tally with one more block, or as it was where the block overlaps what is counted already. Its trial is that of before."""
    if block.start < tally.end:
        return tally
    due = min(tally.starts, int((block.start - tally.since) / tally.spacing))
    begun = tally.begun if due <= len(tally.begun) else tally.begun + (tally.sums,) * (due - len(tally.begun))
    sums = tally.sums
    sums = Sums(sums.least + block.least, sums.most + block.most, sums.total + block.total)
    return Tally(tally.since, block.end, tally.spacing, tally.starts, tally.spread, sums, begun, block, tally.closed)


def tried(tally: Tally, limit: Limit, bound: Bound) -> Tally:
    """The tally with the trial of its blocks. Each side of a range has its part of alpha."""
    return _with_trials(tally, _trial(tally, limit, bound), None)


def ahead(tally: Tally, block: Counts, limit: Limit, bound: Bound) -> Tally:
    """The tally with what happened since its last block, which ``block`` overlaps: what it has beyond that one is certainly newer.

    It is so many bad events at least, among all of ``block`` at most: that can only be too little evidence, so the bound holds (S7).
    """
    newer = _newer(tally, block, limit)
    known = None if newer is None else add(tally, newer)
    if known is None or tally.closed is None or tally.closed.is_proven or not _may_reach(known, limit, tally.closed.needed):
        return tally if tally.open is None else _with_trials(tally, tally.closed, None)
    found = _trial(known, limit, bound)
    return _with_trials(tally, tally.closed, found if found.log_e > tally.closed.log_e else None)


def _newer(tally: Tally, block: Counts, limit: Limit) -> Counts | None:
    """What is certain of the time from the tally's end to that of ``block``; None where that speaks for no breach."""
    last = tally.last
    if last is None or not last.start <= block.start < last.end < block.end or (last.low, last.high) != (block.low, block.high):
        return None
    least, good = block.least - last.least, (block.total - block.most) - (last.total - last.most)
    if (limit.high is None or least < 1) and (limit.low is None or good < 1):
        return None
    return Counts(last.end, block.end, max(0.0, least), block.total - max(0.0, good), block.total, block.newest, block.low, block.high)


def _trial(tally: Tally, limit: Limit, bound: Bound) -> Trial:
    sides = (limit.high is not None) + (limit.low is not None)
    needed, sums = math.log(sides / bound.alpha), tally.sums
    counts = _floor(sums.least), _ceil(sums.most), _ceil(sums.total)
    return Trial(tally.since, _log_evalue(tally, limit), needed, bound.least, *counts, tally.spread)


def _with_trials(tally: Tally, closed: Trial | None, opened: Trial | None) -> Tally:
    return Tally(tally.since, tally.end, tally.spacing, tally.starts, tally.spread, tally.sums, tally.begun, tally.last, closed, opened)


def more_needed(tally: Tally, limit: Limit, bound: Bound) -> int | None:
    """About how many more bad events in the next block would prove the breach, were nothing else to happen; None beyond a million."""
    if limit.high is None:
        return None

    def proves(more: int) -> bool:
        trial = tried(add(tally, Counts(tally.end, tally.end, more, more, more, tally.end)), limit, bound).trial
        return trial is not None and trial.is_proven

    most = 1
    while not proves(most):
        most *= 2
        if most > _MILLION:
            return None
    return bisect_left(range(most), True, key=proves) if most > 1 else int(not proves(0))


def _log_evalue(tally: Tally, limit: Limit) -> float:
    """ln of the mixture over start times; of a range, that of the side which is further out."""
    if limit.low is None and _is_calm(tally, limit.high):
        return mixed([-math.inf] * (1 + len(tally.begun)), tally.starts)
    return max([_mixture(tally, most, bad) for most, bad in _sides(limit)])


def _may_reach(tally: Tally, limit: Limit, needed: float) -> bool:
    """False where no start, and so no mixture of them, comes to ``needed``: that is known for a fraction of the price."""
    scale = tally.spread or 1.0
    return any(_most(*counts, most) / scale >= needed for most, bad in _sides(limit) for counts in _counts(tally, bad))


def _sides(limit: Limit) -> list[tuple[float, Callable[[Sums], float]]]:
    """For each side of a limit the largest share that is within it, and of what."""
    above = None if limit.high is None else (limit.high, _bad)
    below = None if limit.low is None else (1 - limit.low, _good)
    return [side for side in (above, below) if side is not None]


def _bad(sums: Sums) -> float:
    return sums.least


def _good(sums: Sums) -> float:
    return sums.total - sums.most


def _counts(tally: Tally, bad: Callable[[Sums], float]) -> list[tuple[int, int]]:
    """How much was counted since each start: so many at least among so many at most."""
    whole, total = bad(tally.sums), tally.sums.total
    since = [(whole, total), *((whole - bad(begun), total - begun.total) for begun in tally.begun)]
    # Sources extrapolate, so counts arrive as fractions: a breach has to be proven by whole events among more of them.
    return [(max(0, _floor(bad)), _ceil(total)) for bad, total in since]


def _is_calm(tally: Tally, high: float | None) -> bool:
    """Whether there was traffic and no start has more than the limit's share: nearly all are so, nearly always, and need no further thought."""
    least, total = tally.sums.least, tally.sums.total
    if high is None or not total or least > total * high:
        return False
    return all(least - begun.least <= (total - begun.total) * high for begun in tally.begun)


def _mixture(tally: Tally, limit: float, bad: Callable[[Sums], float]) -> float:
    """ln of the mixture over start times, or less by nothing that shows: what cannot matter beside the strongest start is not computed."""
    counts, scale = _counts(tally, bad), tally.spread or 1.0
    found = [_most(certain, among, limit) / scale for certain, among in counts]
    strongest = max(range(len(found)), key=found.__getitem__)
    least = -math.inf
    for index in (strongest, *(index for index in range(len(found)) if index != strongest)):
        certain, among = counts[index]
        if not among or math.isinf(found[index]):
            continue
        is_slight = found[index] < least - SLIGHT
        found[index] = -math.inf if is_slight else log_evalue(min(certain, among) / scale, among / scale, limit)
        least = max(least, found[index])
    return mixed(found, tally.starts)


def _most(certain: int, among: int, limit: float) -> float:
    """What ln E of these counts is at most; on the limit's own side E is at most 1, and is not worth computing."""
    if certain <= among * limit or limit >= 1:
        return 0.0 if not among else -math.inf
    return math.inf if limit <= 0 else most_log_evalue(min(certain, among), among, limit)


def _floor(count: float) -> int:
    return math.floor(count + 1e-6)


def _ceil(count: float) -> int:
    return math.ceil(count - 1e-6)


def calmer(calm: Calm | None, block: Counts) -> Calm:
    """What is known of the time before a change, with one more block; as it was where the block overlaps."""
    if calm is None:
        calm = Calm(block.start)
    if block.start < calm.end:
        return calm
    if not block.total:
        return replace(calm, end=block.end)
    kept = 1 - 1 / CALM_MEMORY
    bad = (block.least + block.most) / 2
    return Calm(
        block.end, kept * calm.blocks + 1, kept * calm.bad + bad, kept * calm.total + block.total, kept * calm.squares + bad * bad / block.total
    )


def spread(calm: Calm) -> float | None:
    """How many times more the bad events of a block vary than independent ones would, at least 1; None where too few were seen (S6)."""
    if calm.blocks < CALM_BLOCKS * 0.95 or calm.bad < CALM_BAD or calm.bad >= calm.total:
        return None
    share = calm.bad / calm.total
    # The mean of (bad - total * share)^2 / (total * share * (1 - share)) over the blocks.
    squares = calm.squares - 2 * share * calm.bad + share * share * calm.total
    return max(1.0, squares / (calm.blocks * share * (1 - share)))
