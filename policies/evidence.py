"""What counted evidence proves: bounds on a share, and the numbers a verdict was reached by."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Z = 2.326
"""One-sided 99 % (S6). Until the anytime-valid test lands this is what acts; it carries no bound on false rollbacks over many looks."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The share lies above ``low`` and below ``high``, each with the confidence of ``Z``."""

    low: float
    high: float


def wilson(bad: int, total: int, z: float = Z) -> Bounds:
    """Wilson score bounds on a share of ``bad`` out of ``total`` > 0 (Wilson 1927, one-sided at ``z``)."""
    share = bad / total
    square = z * z
    centre = share + square / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    # Rounding must not put a bound on the wrong side of what was seen.
    return Bounds(max(0.0, min(share, (centre - spread) / scale)), min(1.0, max(share, (centre + spread) / scale)))


@dataclass(frozen=True, slots=True)
class Share:
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


@dataclass(frozen=True, slots=True)
class Happened:
    """``count`` events in (start, end]; ``is_complete``: the whole window of the condition was seen."""

    count: float
    start: datetime
    end: datetime
    newest: datetime
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Value:
    """A level, read once."""

    value: float
    newest: datetime


@dataclass(frozen=True, slots=True)
class Nothing:
    """No evidence, and why."""

    why: str


Evidence: TypeAlias = Share | Happened | Value | Nothing
