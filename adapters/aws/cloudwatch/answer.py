"""From the points of metrics to rows. A period that lacks what it takes to say something says nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from typing import TypeAlias

from rollbackd.adapters.aws.cloudwatch.metrics import AVERAGE, PERCENT, SUM, Metric, Named, named
from rollbackd.adapters.aws.cloudwatch.periods import PERIOD, Points
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Expression, Increases, Levels, Query, Row, Slower

Parts: TypeAlias = Mapping[str, tuple[tuple[Metric, ...], ...]]
"""The metrics that a workload's parts are added up from: for each place of the workload the one that a part is named by, and what is added to it."""
LATE = 2
"""A level may be so many periods old: Amazon's services do not all report at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question asks of each workload: ``parts`` by where the workload is found, and what is made of their points.

    ``silent``: the parts whose metrics have no datapoint where nothing happened.
    """

    parts: Callable[[Sequence[Mapping[str, str]]], Parts]
    row: Callable[[Mapping[str, Points], datetime], Row | None]
    periods: int
    silent: frozenset[str] = frozenset()


def plan_of(query: Query) -> Plan:
    """How the question is asked of CloudWatch. Raises Permanent for what it cannot answer."""
    match query:
        case Increases():
            return _increases(query)
        case Slower():
            return _slower(query)
        case Levels():
            return _levels(query)
        case Expression():
            raise Permanent("CloudWatch has no PromQL; nothing was asked; write the signal as ratio, latency, gauge, count or rate")


def _increases(query: Increases) -> Plan:
    if query.where is not None:
        raise Permanent(f"CloudWatch cannot choose series by {query.where.metric}; nothing was asked; leave the condition out")
    read = {part: named(selector) for part, selector in query.parts}
    silent = frozenset(part for part, each in read.items() if each.is_zero_when_missing and part != "total" and "total" in read)
    periods = query.window // PERIOD

    def row(points: Mapping[str, Points], end: datetime) -> Row | None:
        # Only beside requests that were counted does silence mean that none of them failed.
        sums = {part: _sum(points[part], points["total"] if part in silent else {}, end, periods) for part in read}
        values = {part: count for part, count in sums.items() if count is not None}
        return Row(values, end, (end - periods * PERIOD, end)) if values else None

    return Plan(lambda places: {part: _metrics(each, places, SUM) for part, each in read.items()}, row, periods, silent)


def _slower(query: Slower) -> Plan:
    histogram = named(query.histogram)
    periods = query.window // PERIOD
    # Both sides of the limit, whose sum is the number of samples. Either of them alone may be left out where it is zero; were both, it would not be
    # known whether anything was counted at all.
    limit = f"{query.limit:.10f}".rstrip("0").rstrip(".")
    stats = {"slow": f"TC({limit}:)", "fast": f"TC(:{limit})"}

    def row(points: Mapping[str, Points], end: datetime) -> Row | None:
        slow, fast = _sum(points["slow"], points["fast"], end, periods), _sum(points["fast"], points["slow"], end, periods)
        if slow is None or fast is None:
            return None
        values = {"total": slow + fast, "most": slow, "least": slow, "low": query.limit, "high": query.limit}
        return Row(values, end, (end - periods * PERIOD, end))

    return Plan(lambda places: {side: _metrics(histogram, places, stat) for side, stat in stats.items()}, row, periods)


def _levels(query: Levels) -> Plan:
    if query.per is not None or query.pick == "second":
        raise Permanent("CloudWatch does not tell the tasks of a service apart; nothing was asked; write the gauge without 'per'")
    value, divisor = named(query.value), None if query.of in (None, PERCENT) else named(query.of)
    stat, scale = value.stat or AVERAGE, 100.0 if query.of == PERCENT else 1.0

    def parts(places: Sequence[Mapping[str, str]]) -> Parts:
        own = {f"value {n}": _metrics(value, (place,), stat) for n, place in enumerate(places)}
        return own if divisor is None else own | {f"of {n}": _metrics(divisor, (place,), divisor.stat or AVERAGE) for n, place in enumerate(places)}

    def row(points: Mapping[str, Points], end: datetime) -> Row | None:
        for moment in (end - n * PERIOD for n in range(LATE)):
            found = [level for level in _each_level(points, moment, scale, is_share=divisor is not None) if level is not None]
            if found:
                return Row({"value": _pick(query.pick, found)}, moment)
        return None

    return Plan(parts, row, LATE)


def _each_level(points: Mapping[str, Points], moment: datetime, scale: float, *, is_share: bool) -> Iterator[float | None]:
    for name in (name for name in points if name.startswith("value ")):
        value, of = points[name].get(moment), points[name.replace("value", "of")].get(moment) if is_share else scale
        # No limit is no limit breached.
        yield value / of if value is not None and of is not None and of > 0 else None


def _metrics(each: Named, places: Sequence[Mapping[str, str]], stat: str) -> tuple[tuple[Metric, ...], ...]:
    return tuple(dict.fromkeys(each.metrics(place, stat) for place in places))


def added(groups: Sequence[Sequence[Metric]], points: Mapping[Metric, Points], *, is_silent: bool) -> Points:
    """The sum over the places. At each it is there where the metric that names it is: what is added to that one may be silent where it is zero.

    ``is_silent``: so may the one that names it.
    """
    found: dict[datetime, float] = {}
    for group in groups:
        for moment in {moment for metric in (group if is_silent else group[:1]) for moment in points[metric]}:
            found[moment] = fsum((found.get(moment, 0.0), *(points[metric].get(moment, 0.0) for metric in group)))
    return found


def _sum(points: Points, beside: Points, end: datetime, periods: int) -> float | None:
    """The sum over the periods; None unless each is known. One that is missing is zero where ``beside`` was counted."""
    moments = [end - n * PERIOD for n in range(periods)]
    if any(moment not in points and moment not in beside for moment in moments):
        return None
    return fsum(points.get(moment, 0.0) for moment in moments)


def _pick(pick: str, values: Sequence[float]) -> float:
    match pick:
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "sum":
            return fsum(values)
    return fsum(values) / len(values)
