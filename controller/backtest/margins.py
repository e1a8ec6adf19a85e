"""How near a change came to its limits, and which limit would have decided otherwise. Pure.

What would have been confirmed at another limit is told by the same looks: those of a ``for`` that are the furthest out together. It is an
estimate: looks that prove nothing at the written limit may prove something at another.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.controller.backtest.cases import Judged, Look
from rollbackd.policies.judge.evidence import Evidence, Happened, Share, Value
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.model.policy import Breaches, Condition, For
from rollbackd.policies.model.signals import Count, Latency, Rate, Ratio


@dataclass(frozen=True, slots=True)
class Margin:
    """``furthest``: the most that was proven throughout a whole confirmation, from ``since`` on; ``limit``: what is written; ``side``: of what.

    A limit on the other side of ``furthest`` would have decided otherwise. ``unit`` is for people.
    """

    condition: str
    side: str
    furthest: float
    limit: float
    unit: str
    since: datetime

    @property
    def is_beyond(self) -> bool:
        """Whether it is out of the limit."""
        return self.furthest > self.limit if self.side == "above" else self.furthest < self.limit

    @property
    def ratio(self) -> float:
        """How much of the way to the limit it went: 1 is at the limit, above it is beyond."""
        more, less = (self.furthest, self.limit) if self.side == "above" else (self.limit, self.furthest)
        if less > 0:
            return max(more / less, 0.0)
        if more < 0:  # of two negative numbers the one that is less negative is further up
            return abs(less / more)
        return float("inf") if self.is_beyond else 1.0


def nearest(judged: Judged) -> Margin | None:
    """The condition that came nearest to its limit, or went furthest beyond; None where nothing could be compared."""
    found = [margin for index, condition in enumerate(judged.policy.conditions) for margin in _margins(condition, index, judged)]
    return max(found, key=lambda margin: margin.ratio, default=None)


def _margins(condition: Condition, index: int, judged: Judged) -> Iterator[Margin]:
    limit = share_limit(condition)
    if condition.limit.of_before is not None or condition.limit.of_old is not None or any(_is_raised(look, index) for look in judged.looks):
        return  # its limit is another for each change
    if isinstance(condition.signal, Latency):
        return  # what is proven is a share of slow requests, and no latency that a limit could be written as
    looks = needed(condition, judged.policy.every)
    for side, at in (("above", limit.high), ("below", limit.low)):
        sign = 1 if side == "above" else -1
        furthest = _furthest(judged.looks, index, condition, looks, sign)
        if at is not None and furthest is not None and sign * furthest[0] != _nothing(condition, sign):
            yield Margin(condition.name, side, sign * furthest[0], at, limit.unit, furthest[1])


def _is_raised(look: Look, index: int) -> bool:
    return look.conditions[index].limit.is_raised


def _nothing(condition: Condition, sign: int) -> float | None:
    """What is true of every share or number of events, so that proving it proves nothing; None where any number says something."""
    if isinstance(condition.signal, Ratio):
        return 0.0 if sign > 0 else 1.0
    return 0.0 if sign > 0 and isinstance(condition.signal, Rate | Count) else None


def needed(condition: Condition, every: timedelta) -> int:
    """How many looks in a row a confirmation takes."""
    match condition.confirm:
        case For(duration):
            return duration // every + 1
        case Breaches(at_least, _):
            return at_least


def _furthest(looks: Sequence[Look], index: int, condition: Condition, size: int, sign: int) -> tuple[float, datetime] | None:
    """The greatest of all lows of ``size`` looks in a row, and where it began; a look that says nothing breaks the row."""
    best: tuple[float, datetime] | None = None
    row: deque[tuple[float, datetime]] = deque(maxlen=size)
    for look in looks:
        value = proven(look.verdicts[index].evidence, condition, sign)
        if value is None:
            row.clear()
            continue
        row.append((sign * value, look.at))
        lowest = min(value for value, _ in row)
        if len(row) == size and (best is None or lowest > best[0]):
            best = lowest, row[0][1]
    return best


def proven(evidence: Evidence, condition: Condition, sign: int) -> float | None:
    """What the evidence proves the signal to be at least (``sign`` 1) or at most (-1); None where it proves nothing."""
    match evidence:
        case Share() as share:
            if share.total < condition.min_volume:
                return None
            return share.bounds.low if sign > 0 else share.bounds.high
        case Happened() as happened:
            if not happened.is_complete:
                return None
            return happened.per_second if isinstance(condition.signal, Rate) else happened.count
        case Value(value):
            return value
        case _:
            return None
