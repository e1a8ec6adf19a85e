"""What the baselines' queries read of a service: shares over a window, as a Prometheus would give them from its scrapes."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from tests.bench.scorecard.generator import Scrape, Service


@dataclass(frozen=True, slots=True)
class Grown:
    """How much the counters had grown by a scrape, restarts made good."""

    total: int
    bad: int
    slow: int


class Seen:
    """A service's scrapes, made to be asked for windows."""

    def __init__(self, service: Service) -> None:
        self._times = [scrape.at for scrape in service.scrapes]
        self._grown = _grown(service.scrapes)

    def window(self, at: float, length: float) -> Grown | None:
        """The growth between the first and the last scrape in (at - length, at]; None where there are not two."""
        first, last = bisect_right(self._times, at - length), bisect_right(self._times, at) - 1
        return self._between(first, last) if last > first else None

    def last_two(self, at: float, lookback: float) -> Grown | None:
        """The growth between the last two scrapes in (at - lookback, at], as ``irate`` takes it."""
        first, last = bisect_right(self._times, at - lookback), bisect_right(self._times, at) - 1
        return self._between(last - 1, last) if last > first else None

    def _between(self, first: int, last: int) -> Grown:
        a, b = self._grown[first], self._grown[last]
        return Grown(b.total - a.total, b.bad - a.bad, b.slow - a.slow)


def _grown(scrapes: tuple[Scrape, ...]) -> list[Grown]:
    found = [Grown(0, 0, 0)]
    for before, now in pairwise(scrapes):
        # One process counts all three: where the total fell, it began anew.
        since = Scrape(0, 0, 0, 0, 0, 0) if now.total < before.total else before
        last = found[-1]
        found.append(Grown(last.total + now.total - since.total, last.bad + max(0, now.bad - since.bad), last.slow + max(0, now.slow - since.slow)))
    return found
