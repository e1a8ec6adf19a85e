"""A rank test in Kayenta's manner: Mann-Whitney U with the confidence interval of the shift (Hodges and Lehmann), ties as they come."""

import math
from collections.abc import Sequence
from statistics import NormalDist, median

from tests.bench.scorecard.seen import Seen

CONFIDENCE = 0.98
TOLERANCE = 0.25
STEP = 60.0


def shares(seen: Seen, start: float, end: float, what: str) -> list[float]:
    """The share of each minute in (start, end]; minutes without requests are left out (nanStrategy: remove)."""
    found = (seen.window(end - STEP * step, STEP + 15) for step in range(int((end - start) / STEP)))
    return [getattr(one, what) / one.total for one in found if one is not None and one.total]


def is_high(experiment: Sequence[float], control: Sequence[float]) -> bool:
    """Whether the shift is surely upwards, by more than a quarter of its own estimate. No data on a side: no verdict."""
    if not experiment or not control:
        return False
    shifts = sorted(a - b for a in experiment for b in control)
    n, m = len(experiment), len(control)
    # The bounds of the interval are order statistics of the pairwise shifts (Hollander and Wolfe, with the normal approximation).
    rank = n * m / 2 - NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(n * m * (n + m + 1) / 12)
    lower = shifts[max(0, math.floor(rank) - 1)] if rank >= 1 else shifts[0]
    return lower > TOLERANCE * abs(median(shifts))
