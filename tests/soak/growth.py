"""What the virtual days promise, and what they made of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rollbackd.controller.journal.chain import Break
from tests.soak.trend import Trend, trend

WARM_UP = 1 / 5
MIB_A_DAY = 1.0
"""By the virtual day: an hour is four slots of each service, and a leak of 23 MiB a day kept a limit of 1 MiB an hour."""


@dataclass(frozen=True, slots=True)
class Day:
    """At the end of one. ``size``: bytes of the journal, its write-ahead log folded in."""

    number: int
    rss_mib: float
    size: int
    rows: int
    incidents: int


def faults(seen: Sequence[Day], broken: Break | None) -> list[str]:
    """What these days broke. Without an incident, or with too few days for a trend, nothing was shown."""
    found = rise(seen)
    checks = {
        "no incident": seen[-1].incidents > 0,
        f"RSS {said(found)}, limit < {MIB_A_DAY:g}": found.is_known and found.slope < MIB_A_DAY,
        f"audit chain: {broken}": broken is None,
    }
    return [fault for fault, is_kept in checks.items() if not is_kept]


def rise(seen: Sequence[Day]) -> Trend:
    """How memory changes a virtual day, after the warm-up."""
    later = warm(seen)
    return trend([float(day.number) for day in later], [day.rss_mib for day in later])


def warm(seen: Sequence[Day]) -> list[Day]:
    """Those after the warm-up."""
    return [day for day in seen if day.number > WARM_UP * len(seen)]


def said(found: Trend) -> str:
    """The trend in words."""
    if not found.is_known:
        return "of too few days for a slope"
    return f"slope {found.slope:+.3f} ({found.low:+.3f} to {found.high:+.3f}) MiB a virtual day"
