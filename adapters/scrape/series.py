"""One series of one endpoint: its value and how much it grew, scrape by scrape.

Times are seconds since the epoch. Growth is counted exactly: a value below the former one, or of another process, is a reset and counts in full.
A value that no counter can have is kept too: how much was added around it is not known, and ``oddity`` says so.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from enum import Enum


class Process(Enum):
    """Whose values a scrape shows, compared with the scrape before."""

    SAME = "same"
    RESTARTED = "restarted"  # it began after the scrape before: all it counted is new
    SWAPPED = "swapped"  # it was running all along, behind the same address: what it counted may be old


class Series:
    """One series of one endpoint. A point is kept only where something changed."""

    __slots__ = ("_alive", "_grown", "_has_oddity", "_times", "_values", "labels", "name", "seen", "stamped")

    def __init__(self, name: str, labels: Mapping[str, str], stamped: bool, time: float, value: float, grown: float) -> None:
        self.name = name
        self.labels = labels
        self.stamped = stamped
        self.seen = 0.0
        self._times = array("d", (time,))
        self._values = array("d", (value,))
        self._grown = array("d", (grown,))
        self._alive = bytearray((1,))
        self._has_oddity = _is_odd(value)

    def take(self, time: float, value: float, process: Process) -> None:
        """The scrape at ``time`` showed ``value``."""
        former = self._values[-1]
        if value == former and self._alive[-1] and process is not Process.RESTARTED and not self.stamped:
            return
        growth = value if process is Process.RESTARTED or value < former else value - former
        growth = 0.0 if process is Process.SWAPPED else growth
        self._add(time, value, growth if math.isfinite(growth) else 0.0, 1)

    def miss(self, time: float) -> None:
        """The scrape at ``time`` did not show it any more."""
        if self._alive[-1]:
            self._add(time, self._values[-1], 0.0, 0)

    def _add(self, time: float, value: float, growth: float, alive: int) -> None:
        # A page that gives its samples old times adds nothing new.
        if time <= self._times[-1]:
            return
        self._has_oddity |= _is_odd(value)
        self._times.append(time)
        self._values.append(value)
        self._grown.append(self._grown[-1] + growth)
        self._alive.append(alive)

    def growth(self, start: float, at: float) -> float:
        """How much was seen to be added by the scrapes in (start, at]. Means nothing where there is an ``oddity``."""
        first, last = bisect_right(self._times, start) - 1, bisect_right(self._times, at) - 1
        return (self._grown[last] if last >= 0 else 0.0) - (self._grown[first] if first >= 0 else 0.0)

    def oddity(self, start: float, at: float) -> float | None:
        """The first value that its growth over (start, at] rests on though no counter can have it; None if there is none."""
        if not self._has_oddity:  # as nearly always: most series need not be searched
            return None
        first, last = bisect_right(self._times, start) - 1, bisect_right(self._times, at)
        return next(filter(_is_odd, self._values[max(first, 0) : last]), None)

    def is_part_of(self, start: float, at: float) -> bool:
        """It was there at some time in (start, at]."""
        last = bisect_right(self._times, at) - 1
        return last >= 0 and (self._alive[last] == 1 or self._times[last] > start)

    def value(self, at: float) -> float | None:
        """Its value as of ``at``; None if it was not there."""
        last = bisect_right(self._times, at) - 1
        return self._values[last] if last >= 0 and self._alive[last] else None

    def newest(self, scrapes: "array[float]", at: float) -> float:
        """The time of its newest sample as of ``at``; its endpoint was scraped at ``scrapes``."""
        last = bisect_right(self._times, at) - 1
        if not self._alive[last]:
            return scrapes[max(bisect_left(scrapes, self._times[last]) - 1, 0)]
        return self._times[last] if self.stamped else scrapes[bisect_right(scrapes, at) - 1]

    def trim(self, before: float) -> bool:
        """Forget what no window that starts at or after ``before`` needs; False if that is everything."""
        first = bisect_right(self._times, before) - 1
        if first > 0:
            for points in (self._times, self._values, self._grown):
                del points[:first]
            del self._alive[:first]
        return bool(self._alive[-1]) or self._times[-1] > before


def _is_odd(value: float) -> bool:
    """Whether no counter can have this value. NaN is neither below nor above anything."""
    return not 0 <= value < math.inf
