"""Which buckets of a histogram stand around a limit, as the server spells them."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, isfinite, nan

from rollbackd.adapters.base.source import Selector

KEPT_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Around:
    """The finite bounds next to a limit: at or below it, at or above it. ``spellings``: as the server writes them ("2", "2.0")."""

    spellings: tuple[str, ...]
    bounds: frozenset[float]


def around(spellings: Iterable[str], limit: float) -> Around:
    """The nearest of these bounds on both sides of ``limit``: one where a bucket ends at the limit."""
    values = {text: value for text in spellings if isfinite(value := bound_of(text))}
    nearest = {
        max((bound for bound in values.values() if bound <= limit), default=inf),
        min((bound for bound in values.values() if bound >= limit), default=inf),
    } - {inf}
    return Around(tuple(sorted(text for text, bound in values.items() if bound in nearest)), frozenset(nearest))


class KnownBounds:
    """The bounds of histograms, each remembered for ``KEPT_FOR`` by the asked times, not by a clock. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Selector, tuple[datetime, tuple[str, ...]]] = {}

    def recall(self, histogram: Selector, at: datetime) -> tuple[str, ...] | None:
        """The spellings of its bounds, if they were read within ``KEPT_FOR`` of ``at``."""
        with self._lock:
            read_at, spellings = self._known.get(histogram, (None, ()))
        return spellings if read_at is not None and abs(at - read_at) < KEPT_FOR else None

    def remember(self, histogram: Selector, at: datetime, spellings: tuple[str, ...]) -> None:
        """``recall`` answers with these from now on. None at all is not remembered: the histogram may be born at any moment."""
        if spellings:
            with self._lock:
                self._known[histogram] = (at, spellings)


def bound_of(text: str) -> float:
    """The bound that a bucket's label spells; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return nan
