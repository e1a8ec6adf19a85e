"""Counts as shares with their Wilson intervals, and medians with theirs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964
"""95 %, two-sided."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and its 95 % interval; ``n``: of how many services."""

    value: float
    low: float
    high: float
    n: int


def share(count: int, n: int) -> Estimate | None:
    """``count`` of ``n`` with the Wilson score interval; None of nothing."""
    if not n:
        return None
    p, square = count / n, Z * Z
    middle, spread = p + square / (2 * n), Z * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    low, high = (middle - spread) / (1 + square / n), (middle + spread) / (1 + square / n)
    return Estimate(p, 0.0 if not count else low, 1.0 if count == n else high, n)


def quantile(found: Sequence[float], n: int, q: float) -> Estimate | None:
    """The ``q`` quantile of ``n`` waits of which ``found`` came to an end, the others never: by order statistics, its interval too."""
    if not n:
        return None
    waits = sorted(found) + [math.inf] * (n - len(found))
    spread = Z * math.sqrt(n * q * (1 - q))
    at = [min(n - 1, max(0, math.ceil(rank) - 1)) for rank in (n * q, n * q - spread, n * q + spread + 1)]
    return Estimate(waits[at[0]], waits[at[1]], waits[at[2]], n)


def percent(value: float) -> str:
    """As people read it: 0.4 %, 12 %."""
    shown = 100 * value
    return f"{shown:.1f} %" if 0 < shown < 10 else f"{shown:.0f} %"


def minutes(seconds: float) -> str:
    """As people read it: 2m01s; never: what is not found."""
    if math.isinf(seconds):
        return "never"
    whole, rest = divmod(round(seconds), 60)
    return f"{whole}m{rest:02d}s"
