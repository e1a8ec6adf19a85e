"""What counted evidence proves: bounds on a share, and the numbers a verdict was reached by."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

Z = 2.326
"""One-sided 99 % for one look. It proves health; a breach it proves only where a policy says ``max_false_rollback: none``."""


class Bounds(NamedTuple):
    """The share lies above ``low`` and below ``high``, each with the confidence of ``Z``."""

    low: float
    high: float


def wilson(bad: int, total: int, z: float = Z) -> Bounds:
    """Wilson score bounds on a share of ``bad`` out of ``total`` > 0 (Wilson 1927, one-sided at ``z``)."""
    share, square = bad / total, z * z / total
    spread = z * math.sqrt((share * (1 - share) + square / 4) / total)
    low, high = (share + square / 2 - spread) / (1 + square), (share + square / 2 + spread) / (1 + square)
    # Rounding must not put a bound on the wrong side of what was seen.
    return Bounds(max(0.0, min(share, low)), min(1.0, max(share, high)))


class Share(NamedTuple):
    """``least`` to ``most`` of ``total`` events in (start, end] were bad. ``low``/``high``: bucket bounds around a latency limit, in its unit.

    ``bounds`` hold for the whole bracket: ``bounds.low`` for ``least``, ``bounds.high`` for ``most``.
    """

    least: int
    most: int
    total: int
    bounds: Bounds
    start: datetime
    end: datetime
    newest: datetime
    low: float | None = None
    high: float | None = None


class Sums(NamedTuple):
    """Events summed over blocks: between ``least`` and ``most`` of ``total`` were bad."""

    least: float = 0.0
    most: float = 0.0
    total: float = 0.0

    @property
    def share(self) -> float:
        """The middle of the bracket as a share of all; 0 of no events."""
        return (self.least + self.most) / 2 / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Happened:
    """``count`` events in (start, end], of which ``span`` was seen; ``is_complete``: that is the whole window of the condition."""

    count: float
    span: timedelta
    start: datetime
    end: datetime
    newest: datetime
    is_complete: bool

    @property
    def per_second(self) -> float:
        """How often they came in the time that was seen."""
        return self.count / self.span.total_seconds()


@dataclass(frozen=True, slots=True)
class Value:
    """A level, read once; see Level."""

    value: float
    newest: datetime
    units: int = 0
    before: float | None = None
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """What the target itself said."""

    said: str
    newest: datetime


@dataclass(frozen=True, slots=True)
class Trickle:
    """``count`` events in (start, end], where ``expected`` were to be expected by ``than``; ``agrees``: a second fact that says the same."""

    count: float
    expected: float
    than: str
    start: datetime
    end: datetime
    newest: datetime
    agrees: str | None


@dataclass(frozen=True, slots=True)
class Nothing:
    """No evidence, and why."""

    why: str


Evidence: TypeAlias = Share | Happened | Value | Fact | Trickle | Nothing
