"""The CloudWatch source: few requests, none of them twice, and no number where Amazon gave none."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import TypeAlias

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.cloudwatch.answer import Parts, Plan, added, plan_of
from rollbackd.adapters.aws.cloudwatch.fetch import Fetch
from rollbackd.adapters.aws.cloudwatch.metrics import Metric
from rollbackd.adapters.aws.cloudwatch.periods import KEPT, PERIOD, Heard, Known, Points, Range, ended
from rollbackd.adapters.aws.cloudwatch.service import Found
from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.source import Answer, Identity, Query, Row, RowKey

DELAY = timedelta(minutes=2)
"""Load balancers and ECS report one to three minutes late."""
Places = Callable[[Collection[str], frozenset[str], datetime], Mapping[str, Found]]
"""At which values of these dimensions each of the targets is found. Raises nothing."""
_Open: TypeAlias = tuple[str, frozenset[str]]
"""The key of the target that gives a workload's open dimensions, and their names."""


class CloudWatch:
    """One account's metrics in one region; a ``MeteredSource``.

    A selector names a metric; its matchers are the dimensions, all of them, and ``namespace``, ``stat`` (of a gauge), ``plus`` (metrics that are
    added to it) and ``missing="0"`` (of the bad events of a ratio: a period without a datapoint had none). A value of the identity that is the key
    of a target is looked up by ``places``. Counts are those of whole periods, of one minute: the newest that had ended ``delay`` before the slot.
    Whatever Amazon does not give completely is a fault of the workloads that need it.
    """

    def __init__(self, name: str, caller: Caller, places: Places, *, delay: timedelta = DELAY) -> None:
        self.name = name
        self.delay = delay
        self.freshness = 2 * PERIOD + timedelta(seconds=10)
        self._places = places
        self._fetch = Fetch(name, caller)
        self._known = Known()
        # One question at a time: two that share a metric would both pay for it.
        self._turn = threading.Lock()

    @property
    def asked(self) -> int:
        """How many requests for metrics were sent so far."""
        return self._fetch.asked

    @property
    def metrics_asked(self) -> int:
        """How many metrics they asked for: what Amazon takes money for."""
        return self._fetch.metrics

    def block(self, every: timedelta) -> timedelta:
        """The smallest multiple of ``every`` that holds a period."""
        return every * max(1, ceil(PERIOD / every))

    def read(self, query: Query, at: datetime) -> Answer:
        """The answer as of ``at``: of the periods that had ended then. Raises Transient or Permanent."""
        return self._answers(query, (at,))[at]

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        """What ``read`` answers at each instant. Raises Transient or Permanent, also beyond the fifteen days that minutes are kept for."""
        if instants and instants[-1] - instants[0] > KEPT:
            raise Permanent(f"{self.name}: CloudWatch keeps minutes for {KEPT.days} days, so nothing was asked: ask for less of the past")
        return self._answers(query, instants) if instants else {}

    def clock_skew(self, now: datetime) -> timedelta:
        """How far Amazon's clock is ahead of ``now``, to the second. Raises Transient or Permanent."""
        end = ended(now - self.delay)
        return self._fetch.clock(Range(end - PERIOD, end)) - now

    def _answers(self, query: Query, instants: Sequence[datetime]) -> dict[datetime, Answer]:
        if not query.only:
            return {at: Answer({}) for at in instants}
        plan = plan_of(query)
        ends = [ended(at) for at in instants]
        asked = Range(min(ends) - plan.periods * PERIOD, max(ends))
        parts, faults = self._parts(plan, query.identity, query.only, instants[-1])
        heard = self._hear(_metrics_of(parts.values()), asked)
        found: dict[RowKey, Mapping[str, Points]] = {}
        for key, wanted in parts.items():
            if untrusted := [said for metric in _metrics_of((wanted,)) if isinstance(said := heard[metric], str)]:
                faults[key] = untrusted[0]
            else:
                found[key] = _points(plan, wanted, heard)  # type: ignore[arg-type]  # points, all of them
        return {at: _answer(plan, found, faults, end) for at, end in zip(instants, ends, strict=True)}

    def _parts(self, plan: Plan, identity: Identity, only: Iterable[RowKey], at: datetime) -> tuple[dict[RowKey, Parts], dict[RowKey, str]]:
        """The metrics of each workload; the faults of those whose place is not known."""
        said = {key: dict(zip(identity.labels, key, strict=True)) for key in sorted(only)}
        found = self._looked_up(said.values(), at)
        parts: dict[RowKey, Parts] = {}
        faults: dict[RowKey, str] = {}
        for key, dimensions in said.items():
            places = found.get(_open(dimensions), ({},))
            if isinstance(places, AdapterError):
                faults[key] = str(places)
            else:
                written = {name: value for name, value in dimensions.items() if not is_key(value)}
                parts[key] = plan.parts([{**written, **place} for place in places])
        return parts, faults

    def _looked_up(self, workloads: Iterable[Mapping[str, str]], at: datetime) -> dict[_Open, Found]:
        """Where the workloads are found whose dimensions were left open, all that leave the same ones open at once."""
        keys: dict[frozenset[str], dict[str, None]] = {}
        for key, names in map(_open, workloads):
            if names:
                keys.setdefault(names, {})[key] = None
        return {(key, names): found for names, wanted in keys.items() for key, found in self._places(list(wanted), names, at).items()}

    def _hear(self, metrics: Sequence[Metric], asked: Range) -> dict[Metric, Heard]:
        with self._turn:
            lacking = self._known.lacking(metrics, asked)
            if lacking:
                self._known.keep(self._fetch.read(lacking, asked), asked)
            return self._known.recall(metrics, asked)


def is_key(value: str) -> bool:
    """Whether the value of a dimension is the key of a target that has to be looked up."""
    return value.startswith("ecs:")


def _open(dimensions: Mapping[str, str]) -> _Open:
    keys = {name: value for name, value in dimensions.items() if is_key(value)}
    return next(iter(keys.values()), ""), frozenset(keys)


def _metrics_of(parts: Iterable[Parts]) -> list[Metric]:
    return list(dict.fromkeys(metric for each in parts for groups in each.values() for group in groups for metric in group))


def _points(plan: Plan, parts: Parts, heard: Mapping[Metric, Points]) -> Mapping[str, Points]:
    return {part: added(groups, heard, is_silent=part in plan.silent) for part, groups in parts.items()}


def _answer(plan: Plan, found: Mapping[RowKey, Mapping[str, Points]], faults: Mapping[RowKey, str], end: datetime) -> Answer:
    rows: dict[RowKey, Row] = {key: row for key, points in found.items() if (row := plan.row(points, end)) is not None}
    known = frozenset(part for row in rows.values() for part in row.values)
    return Answer(rows, dict(faults), known_parts=known)
