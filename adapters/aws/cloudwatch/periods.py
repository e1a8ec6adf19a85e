"""The periods that CloudWatch counts in, and what was read of them: a period that was asked for once is not asked for again."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from rollbackd.adapters.aws.cloudwatch.metrics import Metric

PERIOD = timedelta(minutes=1)
"""The finest that Amazon's own services report in; it is kept for ``KEPT``."""
KEPT = timedelta(days=15)
MOST_KNOWN = 50_000
"""So many ranges are remembered, the newest."""
Points: TypeAlias = Mapping[datetime, float]
"""The finite values of one metric by the end of their period."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def ended(at: datetime) -> datetime:
    """The end of the newest whole period at or before ``at``."""
    return _EPOCH + ((at - _EPOCH) // PERIOD) * PERIOD


def points(stamps: Sequence[datetime], values: Sequence[float]) -> dict[datetime, float]:
    """The values by the end of their period; CloudWatch stamps a period by its start. What is not finite is no data."""
    pairs = zip(stamps, values, strict=True)
    return {stamp.astimezone(UTC) + PERIOD: float(value) for stamp, value in pairs if math.isfinite(value)}


@dataclass(frozen=True, slots=True)
class Range:
    """The whole periods within (start, end]."""

    start: datetime
    end: datetime


Heard: TypeAlias = Points | str
"""The points of a metric, or why they cannot be trusted."""


class Known:
    """What each metric said of a range. A word that cannot be trusted is remembered too: asking again within the period would cost again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Metric, Range], Heard] = {}

    def lacking(self, metrics: Iterable[Metric], asked: Range) -> list[Metric]:
        """Those that were not asked for the range, in order, without repeats."""
        return [metric for metric in dict.fromkeys(metrics) if (metric, asked) not in self._known]

    def keep(self, found: Mapping[Metric, Heard], asked: Range) -> None:
        """This is what these metrics said of the range."""
        for metric, heard in found.items():
            self._known[metric, asked] = heard
        for key in list(self._known)[: max(0, len(self._known) - MOST_KNOWN)]:
            del self._known[key]

    def recall(self, metrics: Iterable[Metric], asked: Range) -> dict[Metric, Heard]:
        """What the metrics said of a range that none of them is lacking for."""
        return {metric: self._known[metric, asked] for metric in metrics}
