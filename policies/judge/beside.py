"""What pods of the old revision counted while those of the new one ran, and how strongly that says that the new ones are worse. Pure memory.

No control is better: what happens to both sides at once, as the fault of something that both need, is not the change's doing. So each block of the
two is compared by itself, and whatever their shares do from block to block, alike, proves nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rollbackd.policies.judge.evalue import log_evalue
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.trial import Trial
from rollbackd.policies.model.policy import Bound
from rollbackd.policies.model.readings import Counts

MOST = 240
"""So many blocks are kept, the newest: those of four hours."""
LIFTS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""So many times worse than the limit allows the new side is taken to be."""
SURE = math.log(20)
"""In ln: how sure it has to be that the old side was out of a limit as well."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the new and the old side counted in the same block, which ends at ``end``."""

    end: datetime
    new: Sums
    old: Sums


@dataclass(frozen=True, slots=True)
class Beside:
    """The blocks since ``since`` in which both sides ran, none of which overlaps another."""

    since: datetime
    pairs: tuple[Pair, ...] = ()

    @property
    def old(self) -> Sums:
        """All that the old side counted."""
        return _summed([pair.old for pair in self.pairs])

    @property
    def new(self) -> Sums:
        """All that was counted beside it."""
        return _summed([pair.new for pair in self.pairs])


@dataclass(frozen=True, slots=True)
class Duel:
    """The new side against ``factor`` times the share of the old one. ``bursts``: the burstiness that counts are divided by.

    Each bad event is a bet on the side that it comes from: of blocks with ``n`` and ``m`` events it wins ``lift`` where it is one of the new side's,
    and costs (lift * factor * n + m) / (factor * n + m) in any case. While new <= factor * old a block is expected to leave at most what was staked,
    whatever the shares are in it and however they change from block to block: the chance of exactly so many bad events is bounded by Poisson's. So
    the mean over ``LIFTS`` is an e-value at any number of looks.
    """

    pairs: tuple[Pair, ...]
    factor: float
    bursts: float | None

    @property
    def log_e(self) -> float:
        """ln E."""
        logs = [math.fsum(_won(pair, self.factor, lift) for pair in self.pairs) / (self.bursts or 1.0) for lift in LIFTS]
        most = max(logs)
        return most + math.log(math.fsum(math.exp(log - most) for log in logs) / len(logs))

    def reaches(self, needed: float) -> bool:
        """Whether ``log_e`` comes to ``needed``."""
        return self.log_e >= needed


def add(known: Beside, block: Counts) -> Beside:
    """With one more block, where pods of the old revision ran beside and it overlaps none before."""
    if block.old is None or block.start < (known.pairs[-1].end if known.pairs else known.since):
        return known
    pair = Pair(block.end, Sums(block.least, block.most, block.total), Sums(block.old.least, block.old.most, block.old.total))
    return Beside(known.since, (*known.pairs, pair)[-MOST:])


def trial(known: Beside, factor: float, bound: Bound, spread: float | None) -> Trial:
    """What all blocks come to against the new side's share being at most ``factor`` times the old side's."""
    duel, seen, needed = Duel(known.pairs, factor, spread), known.new, math.log(1 / bound.alpha)
    return Trial(known.since, needed, bound.least, seen, (duel,))


def out_as_well(known: Beside, limit: float, spread: float | None) -> Sums | None:
    """What the old side counted since it was most surely out of the limit ``limit`` on bad events; None where it was not."""
    scale, best, found, sums = spread or 1.0, SURE + math.log(max(1, len(known.pairs))), None, Sums()
    for pair in reversed(known.pairs):
        sums = _summed([sums, pair.old])
        bad, total = math.floor(sums.least + 1e-6), math.ceil(sums.total - 1e-6)
        if bad > limit * total and (log_e := log_evalue(bad / scale, total / scale, limit)) >= best:
            best, found = log_e, sums
    return found


def _won(pair: Pair, factor: float, lift: float) -> float:
    """ln of what one block makes of a stake. Counts arrive as fractions: what speaks for the new side being worse is rounded against that."""
    new, old = factor * math.ceil(pair.new.total - 1e-6), math.floor(pair.old.total + 1e-6)
    worse, others = math.floor(pair.new.least + 1e-6), math.ceil(pair.old.most - 1e-6)
    if not new or not old:
        return 0.0
    return worse * math.log(lift) - (worse + others) * math.log((lift * new + old) / (new + old))


def _summed(sums: Sequence[Sums]) -> Sums:
    return Sums(*(math.fsum(getattr(each, name) for each in sums) for name in ("least", "most", "total")))
