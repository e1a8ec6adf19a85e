"""Levels beside what they were at equal age before the change, asked for only where a level is out of its limit. Decides nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Source
from rollbackd.controller.observe.asking import Asking, read
from rollbackd.controller.observe.questions import Ask, asks_of
from rollbackd.policies.judge.verdict import is_level_out
from rollbackd.policies.known.changes import Change, equal_age
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Level, Reading


def aged(policy: Policy, readings: tuple[Reading, ...], changes: Sequence[Change], source: Source, at: datetime) -> Asking[tuple[Reading, ...]]:
    """The policy's readings; a level that is compared at equal age knows what it was then, where ``source`` can tell."""
    pairs = zip(policy.conditions, readings, strict=True)
    asked = [index for index, (condition, reading) in enumerate(pairs) if _is_asked(condition, reading)]
    found = equal_age(changes, policy.target, at) if asked else None
    if found is None:
        return readings
    then, age = found
    asks = asks_of(policy, source.block(policy.every))
    known = list(readings)
    for index in asked:
        before = yield from _level(source, asks[index], then - source.delay)
        known[index] = replace(readings[index], before=before, age=age)  # type: ignore[arg-type]  # a level, as it was asked
    return tuple(known)


def _is_asked(condition: Condition, reading: Reading) -> bool:
    return condition.compares and isinstance(reading, Level) and is_level_out(condition, reading)


def _level(source: Source, one: Ask, then: datetime) -> Asking[float | None]:
    try:
        answer = yield from read(one.group, (one.row,), then)  # type: ignore[arg-type]  # no probe has levels
    except AdapterError:
        return None  # so it suggests at most, and its reason says so
    row = answer.rows.get(one.row)
    if row is None or one.row in answer.faults or row.newest < then - source.freshness:
        return None
    return row.values.get("value")
