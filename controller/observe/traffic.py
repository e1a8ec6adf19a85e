"""Traffic beside what it was before the change and a week ago, and what the target says of its pods. Decides nothing; what is not known stays so."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Increases, Source
from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.observe.asking import Asking, read
from rollbackd.controller.observe.questions import PART, Ask, asks_of
from rollbackd.controller.observe.reader import is_countable
from rollbackd.controller.observe.remembered import Remembered, newest_start
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Events, Flow, Reading
from rollbackd.policies.model.signals import Traffic

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


class Traffics:
    """Remembers what the traffic was before each change, so that it is asked for once. Safe to call from several threads."""

    def __init__(self) -> None:
        self._before: Remembered[float] = Remembered()

    def beside(
        self,
        policy: Policy,
        readings: tuple[Reading, ...],
        changes: Sequence[Change],
        source: Source,
        state: TargetState | AdapterError | None,
        at: datetime,
    ) -> Asking[tuple[Reading, ...]]:
        """The policy's readings; traffic knows what it was. The week before is asked for only where the hour before makes it look low."""
        asked = [
            i for i, (c, r) in enumerate(zip(policy.conditions, readings, strict=True)) if isinstance(c.signal, Traffic) and isinstance(r, Events)
        ]
        if not asked:
            return readings
        asks, known = asks_of(policy, source.block(policy.every)), list(readings)
        for index in asked:
            flow = _flow(readings[index], state)  # type: ignore[arg-type]  # events, as they were asked
            known[index] = yield from self._compared(policy, policy.conditions[index], flow, changes, source, asks[index], at)
        return tuple(known)

    def _compared(
        self, policy: Policy, condition: Condition, flow: Flow, changes: Sequence[Change], source: Source, one: Ask, at: datetime
    ) -> Asking[Flow]:
        if (began := newest_start(policy, changes, at)) is None:
            return flow
        before = yield from self._before.of(policy, condition, began, lambda: _rate(source, one, HOUR, began - source.delay))
        flow = replace(flow, before=before)
        length = flow.end - flow.start
        if before is None or flow.count >= (condition.limit.low or 0.0) * before * length.total_seconds():
            return flow
        return replace(flow, week=(yield from _rate(source, one, length, flow.end - WEEK)))


def _flow(events: Events, state: TargetState | AdapterError | None) -> Flow:
    progress = state.progress if isinstance(state, TargetState) else None
    wanted, ready = (None, None) if progress is None else (progress.wanted, progress.ready)
    return Flow(events.start, events.end, events.count, events.newest, wanted=wanted, ready=ready)


def _rate(source: Source, one: Ask, window: timedelta, at: datetime) -> Asking[float | None]:
    """Events a second in the window that ends at ``at``."""
    if not isinstance(one.group, Increases):
        return None
    try:
        answer = yield from read(replace(one.group, window=window), (one.row,), at)
    except AdapterError:
        return None
    row = answer.rows.get(one.row)
    count = None if row is None or row.newest < at - source.freshness else row.values.get(PART)
    return None if count is None or not is_countable(count) else count / window.total_seconds()
