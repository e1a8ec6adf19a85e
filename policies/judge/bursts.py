"""How bursty bad events are: ten failures of one cause are one piece of evidence, not ten, and counts are divided by it. Pure memory."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.model.readings import Counts

CALM_BLOCKS = 10
CALM_BAD = 10
"""So many blocks with so many bad events in all are needed before bursts can be told from chance."""
CALM_MEMORY = 120
"""Over about so many blocks burstiness is averaged; what is older fades."""
BURSTIEST = 8.0
"""As so bursty a watch is taken at most: a fault that passed looks like a burst, and the next one has to be found all the same."""

_SOME_DAY = datetime(2001, 1, 1, tzinfo=UTC)


class Calm(NamedTuple):
    """How bad events came where nothing broke: sums over disjoint ``blocks`` that end at ``end``. ``squares``: of bad^2/total."""

    end: datetime
    blocks: float = 0.0
    bad: float = 0.0
    total: float = 0.0
    squares: float = 0.0


def calmer(calm: Calm | None, block: Counts) -> Calm:
    """What is known of the time before a change, with one more block; as it was where the block overlaps."""
    if calm is None:
        calm = Calm(block.start)
    return calm if block.start < calm.end else _taken(calm, block.end, (block.least + block.most) / 2, block.total)


def _taken(calm: Calm, end: datetime, bad: float, total: float) -> Calm:
    if not total:
        return calm._replace(end=end)
    kept = 1 - 1 / CALM_MEMORY
    return Calm(end, kept * calm.blocks + 1, kept * calm.bad + bad, kept * calm.total + total, kept * calm.squares + bad * bad / total)


def spread(calm: Calm) -> float | None:
    """How many times more the bad events of a block vary than independent ones would, at least 1; None where too few were seen."""
    if calm.blocks < CALM_BLOCKS * 0.95 or calm.bad < CALM_BAD or calm.bad >= calm.total:
        return None
    share = calm.bad / calm.total
    # The mean of (bad - total * share)^2 / (total * share * (1 - share)) over the blocks.
    squares = calm.squares - 2 * share * calm.bad + share * share * calm.total
    return max(1.0, squares / (calm.blocks * share * (1 - share)))


def spreads(begun: Sequence[Sums], before: float | None) -> list[float | None]:
    """The burstiness that was known when each of the later starts of a watch began; to know it by then spoils no bound. None: it was not.

    ``begun``: what had been counted by then. ``before``: the burstiness of the time before the change, which holds until the watch has shown enough
    of its own, piece by piece from one start to the next. What came before the first of them is left out: a rollout brings errors of its own.
    """
    known, calm = [before] if begun else [], Calm(_SOME_DAY)
    for last, sums in pairwise(begun):
        calm = _taken(calm, calm.end, (sums.least + sums.most - last.least - last.most) / 2, sums.total - last.total)
        seen = spread(calm)
        known.append(known[-1] if seen is None else min(seen, BURSTIEST))
    return known
