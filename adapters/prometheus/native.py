"""Native histograms: their buckets come with the answer, each with its bounds, so what lies around a limit is counted here, not interpolated."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from rollbackd.adapters.base.source import RowKey, Slower
from rollbackd.adapters.prometheus.questions import NEWEST, PART
from rollbackd.adapters.prometheus.rows import Native, Sample, Sorted, nothing


@dataclass(slots=True)
class _Sum:
    """Observations of one workload: ``least`` to ``most`` of ``total`` were slower; its buckets around the limit lie within ``low`` to ``high``."""

    total: float
    least: float
    most: float
    low: float
    high: float


def sort_native(samples: Iterable[Sample], query: Slower) -> Sorted:
    """What one instant's native histograms say of each asked workload, as ``bracket`` says it of buckets that are series of their own."""
    found = nothing()
    sums: dict[RowKey, _Sum] = {}
    for metric, value in samples:
        key = _key(metric, query)
        if key is None or key not in query.only:
            continue
        if isinstance(value, str):
            # Without the mark it is a number where a histogram was asked for, as of a summary of the same name.
            if metric.get(PART) == NEWEST:
                found.stamps[key] = max(float(value), found.stamps.get(key, 0.0))
            continue
        one = _counted(value, query.limit)
        sums[key] = one if key not in sums else _added(sums[key], one)
    for key, whole in sums.items():
        if isfinite(whole.total):
            most = min(whole.most, whole.total)
            row = {"total": whole.total, "most": most, "least": min(whole.least, most), "low": whole.low, "high": whole.high}
            found.values[key] = row
    found.known = {"total"} if sums else set()
    return found


def join(classic: Sorted, native: Sorted) -> None:
    """``classic`` holds what both say from now on: of a workload that has series of both kinds, the sum."""
    for key, row in native.values.items():
        own = classic.values.get(key)
        # Without a total, as after a fault, there is nothing to add to.
        classic.values[key] = _both(own, row) if own and "total" in own else row
        if key in native.stamps:
            classic.stamps[key] = max(native.stamps[key], classic.stamps.get(key, 0.0))
    classic.known |= native.known


def _both(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    summed = {part: one[part] + other[part] for part in ("total", "most", "least")}
    return {**summed, "low": min(one["low"], other["low"]), "high": max(one["high"], other["high"])}


def _key(metric: Mapping[str, str], query: Slower) -> RowKey | None:
    """The workload of a series. A computed label is computed here: some servers lose native histograms in label_replace."""
    derived = query.identity.derived
    if derived is None:
        return tuple(metric.get(label, "") for label in query.identity.labels)
    matched = re.fullmatch(derived.pattern, metric.get(derived.source, ""))
    if matched is None:
        return None
    return tuple(matched[1] if label == derived.label else metric.get(label, "") for label in query.identity.labels)


def _counted(histogram: Native, limit: float) -> _Sum:
    """One histogram. Buckets without observations do not come with the answer, so where none holds the limit it was judged exactly."""
    whole = _Sum(float(histogram["count"]), 0.0, 0.0, limit, limit)
    for left, right, count in _buckets(histogram):
        if left >= limit:
            whole.least += count
            whole.most += count
        elif right > limit:
            whole.most += count
            whole.low, whole.high = max(left, 0.0), right
    return whole


def _buckets(histogram: Native) -> Iterator[tuple[float, float, float]]:
    bucket: Any
    for bucket in histogram.get("buckets", ()):
        _, left, right, count = bucket
        yield float(left), float(right), float(count)


def _added(one: _Sum, other: _Sum) -> _Sum:
    low, high = min(one.low, other.low), max(one.high, other.high)
    return _Sum(one.total + other.total, one.least + other.least, one.most + other.most, low, high)
