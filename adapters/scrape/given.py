"""A source over samples that are given: it answers what a scrape of exactly these pages would answer. Reads nothing, knows no clock."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.adapters.base.source import Answer, Query
from rollbackd.adapters.scrape.answer import Asked, answer
from rollbackd.adapters.scrape.pace import Pace
from rollbackd.adapters.scrape.page import Endpoint, Sample
from rollbackd.adapters.scrape.ring import Ring


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page showed when it was read at ``at``: the value of each series, by its text as in the exposition format."""

    at: datetime
    values: Mapping[str, float]


class Given:
    """A ``Source``. ``pages``: what each endpoint showed, in the order of time; a scrape that failed is left out.

    Raises Transient where a series' text is no series.
    """

    def __init__(self, name: str, pages: Iterable[Sequence[Shown]], *, interval: timedelta) -> None:
        pace = Pace(interval)
        self.name = name
        self.delay = timedelta(0)
        self.freshness = pace.freshness
        self.block = pace.block
        self._gap = pace.gap.total_seconds()
        self._ring = Ring(math.inf, max_series=1_000_000)
        for number, page in enumerate(pages):
            track = self._ring.track(Endpoint(f"page {number}"))
            for shown in page:
                samples = [Sample(series, value, None) for series, value in shown.values.items()]
                self._ring.take(track, samples, track.unknown(samples), shown.at.timestamp())

    def read(self, query: Query, at: datetime) -> Answer:
        """The answer from what was shown up to ``at``. Raises Permanent for an Expression."""
        return answer(query, Asked(self._ring, at.timestamp(), self._gap, self.freshness.total_seconds()))

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        """The answers at these instants."""
        return {at: self.read(query, at) for at in instants}
