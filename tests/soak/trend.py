"""A line through points over time by least squares, and how sure its slope is."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964
"""95 %, two-sided."""
BINS = 25


@dataclass(frozen=True, slots=True)
class Trend:
    """The slope by unit of time and its 95 % interval; ``low`` and ``high`` are infinite where there are too few points."""

    slope: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """There were points enough for an interval: what is not known keeps no limit."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def is_sure_to_rise(self) -> bool:
        """The whole interval lies above zero."""
        return self.low > 0


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """The line through the medians of ``BINS`` equal stretches of time: neighbouring samples are alike, and would feign certainty."""
    points = _medians(times, values)
    n = len(points)
    if n < 3:
        return Trend(0.0, -math.inf, math.inf)
    line = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    middle = statistics.fmean(x for x, _ in points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    rest = sum((y - line.intercept - line.slope * x) ** 2 for x, y in points)
    error = student(n - 2) * math.sqrt(rest / (n - 2) / spread)
    return Trend(line.slope, line.slope - error, line.slope + error)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; a series in 1/freedom (Abramowitz and Stegun 26.7.5), within 1 % from 4 on."""
    terms = (Z, (Z**3 + Z) / 4, (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96, (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384)
    return sum(term / freedom**power for power, term in enumerate(terms))


def _medians(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    if not times:
        return []
    first, width = times[0], (times[-1] - times[0]) / BINS or 1.0
    bins: dict[int, list[tuple[float, float]]] = {}
    for x, y in zip(times, values, strict=True):
        bins.setdefault(min(BINS - 1, int((x - first) / width)), []).append((x, y))
    return [(statistics.median(x for x, _ in bin_), statistics.median(y for _, y in bin_)) for bin_ in bins.values()]
