"""A metric that is gone, beside what it was before the change, what says that monitoring lives, and what is known of the pods. Decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Answer, Identity, Increases, Levels, RowKey, Selector, Source
from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.observe.asking import Asking, read, read_past
from rollbackd.controller.observe.questions import NOBODY, PART, Ask, asks_of
from rollbackd.controller.observe.reader import is_countable
from rollbackd.controller.observe.remembered import Remembered, newest_start
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Absence, Lack, Reading, Unknown
from rollbackd.policies.model.signals import Vanished

MINUTE = timedelta(minutes=1)
LOOKS = 60
"""In the hour before the change."""
SINCE_LOOKS = 200
"""From the change on, at most: in a long watch they are further apart."""
ANYBODY: RowKey = ()


@dataclass(frozen=True, slots=True)
class Before:
    """In how many looks of the hour before a change the metric was there, and how many events a second it counted (None: not known)."""

    seen: int
    rate: float | None


class Absences:
    """Remembers what was there before each change, so that it is asked for once. Safe to call from several threads."""

    def __init__(self) -> None:
        self._before: Remembered[Before] = Remembered()

    def beside(
        self,
        policy: Policy,
        readings: tuple[Reading, ...],
        changes: Sequence[Change],
        source: Source,
        state: TargetState | AdapterError | None,
        at: datetime,
    ) -> Asking[tuple[Reading, ...]]:
        """The policy's readings; of a metric that is gone they say since when. What the workload never had stays unknown, as without a change."""
        pairs = enumerate(zip(policy.conditions, readings, strict=True))
        asked = [(i, r) for i, (c, r) in pairs if isinstance(c.signal, Vanished) and isinstance(r, Unknown) and r.lack is Lack.NODATA]
        if not asked:
            return readings
        if (began := newest_start(policy, changes, at)) is None:
            return readings
        asks, known = asks_of(policy, source.block(policy.every)), list(readings)
        for index, lacking in asked:
            try:
                gone = yield from self._gone(policy, policy.conditions[index], began, lacking, asks[index], source)
                known[index] = _with_pods(gone, state)
            except AdapterError:
                continue  # what the source does not tell stays unknown
        return tuple(known)

    def _gone(self, policy: Policy, condition: Condition, began: datetime, lacking: Unknown, one: Ask, source: Source) -> Asking[Reading]:
        before = yield from self._before.of(policy, condition, began, lambda: _before(source, one, began))
        if before is None or not before.seen:
            return lacking
        scrapes = 1.5 * source.freshness  # which is two scrapes and some
        lives = yield from _lives(source, one, lacking.end, max(condition.window, scrapes))
        if lives is None:
            return replace(
                lacking, why="no series, and nothing says that monitoring lives: no other workload has the metric, no target of this one is up"
            )
        since = yield from _gone_since(source, one, began, lacking.end)
        return Absence(lacking.end, since, before.seen, LOOKS, before.rate, lives, scrapes)


def _before(source: Source, one: Ask, began: datetime) -> Asking[Before | None]:
    """None where the source keeps no history."""
    query = _levels(one)
    found = yield from read_past(query, (one.row,), [began - i * MINUTE for i in range(LOOKS, 0, -1)])
    if not found:
        return None
    span = LOOKS * MINUTE
    counted = yield from read(Increases(((PART, query.value),), span, query.identity, NOBODY), (one.row,), began)
    row = counted.rows.get(one.row)
    count = None if row is None else row.values.get(PART)
    rate = None if count is None or not is_countable(count) else count / span.total_seconds()
    return Before(sum(_level(source, answer, one.row, at) is not None for at, answer in found.items()), rate)


def _gone_since(source: Source, one: Ask, began: datetime, end: datetime) -> Asking[datetime | None]:
    """The look after the last that found the metric, so never too early; None where that was before the change."""
    reach = end - began + source.freshness + MINUTE
    step = max(MINUTE, reach / SINCE_LOOKS)
    found = yield from read_past(_levels(one), (one.row,), [end - i * step for i in range(int(reach / step), -1, -1)])
    there = [at for at, answer in found.items() if _level(source, answer, one.row, at) is not None]
    return max(there) + step if there else None


def _lives(source: Source, one: Ask, end: datetime, span: timedelta) -> Asking[str | None]:
    """What says that monitoring lived for all of ``span``: other workloads had the metric, or the workload's own targets were scraped.

    Now alone says little: after an outage the first scrape may reach the others first.
    """
    looks, query = [end - i * MINUTE for i in range(ceil(span / MINUTE), -1, -1)], _levels(one)
    others = yield from read_past(replace(query, identity=Identity(())), (ANYBODY,), looks)
    if others and all(_level(source, answer, ANYBODY, at) is not None for at, answer in others.items()):
        return "other workloads have it"
    up = yield from read_past(replace(query, value=Selector("up")), (one.row,), looks)
    return "its targets are up" if up and all(_level(source, answer, one.row, at) for at, answer in up.items()) else None


def _levels(one: Ask) -> Levels:
    if not isinstance(one.group, Levels):
        raise TypeError(f"a metric that may vanish is asked for as a level, not as {one.group}")
    return one.group


def _level(source: Source, answer: Answer, row: RowKey, at: datetime) -> float | None:
    found = answer.rows.get(row)
    return None if found is None or found.newest < at - source.freshness else found.values.get("value")


def _with_pods(reading: Reading, state: TargetState | AdapterError | None) -> Reading:
    progress = state.progress if isinstance(state, TargetState) else None
    if progress is None or not isinstance(reading, Absence):
        return reading
    return replace(reading, wanted=progress.wanted, ready=progress.ready)
