"""Shares told apart by revision while pods of the old one serve beside those of the new. Asked for only then. Decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Identity, Increases, MeteredSource, RowKey, Slower, Source
from rollbackd.adapters.base.target import Sides, TargetState
from rollbackd.controller.observe.asking import Asking, read
from rollbackd.controller.observe.questions import Ask, asks_of, by_side
from rollbackd.controller.observe.readings import SLOTS_AT_ONCE, column, past_readings
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Counts, Lack, Reading, Unknown

Slot: TypeAlias = tuple[datetime, tuple[Reading, ...]]
"""A policy's readings at a slot."""


def beside_old(
    policy: Policy, readings: tuple[Reading, ...], source: Source, state: TargetState | AdapterError | None, at: datetime
) -> Asking[tuple[Reading, ...]]:
    """The policy's readings; shares know what old pods counted beside, where the metrics carry the pod's name.

    A condition with a limit of the old pods is about the new ones alone. A source that costs money by the question is not asked.
    """
    sides = state.sides if isinstance(state, TargetState) else None
    if sides is None or isinstance(source, MeteredSource):
        return readings
    found: dict[int, Sequence[Reading]] = {}
    for index, asks in asks_by_side(policy, source, sides).items():
        if isinstance(readings[index], Counts):
            found[index] = yield from _counted(asks, source, at - source.delay)
    return told_apart(policy, readings, found)


def _counted(asks: Sequence[Ask], source: Source, asked: datetime) -> Asking[Sequence[Reading]]:
    """What each side counted, which all ask the same question; nothing where it fails."""
    group, rows = asks[0].group, [one.row for one in asks]
    try:
        answer = yield from read(group, rows, asked)  # type: ignore[arg-type]  # no probe counts
    except AdapterError as fault:
        return [Unknown(asked, Lack.ERROR, str(fault))] * len(rows)
    return column(group, rows, answer, asked, source)


def beside_old_past(
    policy: Policy, past: Sequence[Slot], source: Source, state: TargetState | AdapterError | None, since: datetime
) -> Sequence[Slot]:
    """The policy's past slots as ``beside_old`` would have given them: a comparison with old pods that are gone by now holds on.

    It is asked for only where a share was out of its limit after ``since``: else there is nothing that both sides may have suffered. Raises Transient
    or Permanent.
    """
    sides = state.past_sides if isinstance(state, TargetState) else None
    slots = [at for at, _ in past if at > since]
    if sides is None or isinstance(source, MeteredSource) or not any(_is_out(policy, readings) for at, readings in past if at > since):
        return past
    asks = {str(index): each for index, each in asks_by_side(policy, source, sides).items()}
    chunks = [slots[start : start + SLOTS_AT_ONCE] for start in range(0, len(slots), SLOTS_AT_ONCE)] if asks else []
    found = {at: told for chunk in chunks for at, told in past_readings(source, asks, chunk).items()}
    return [(at, told_apart(policy, readings, {int(index): each for index, each in found.get(at, {}).items()})) for at, readings in past]


def _is_out(policy: Policy, readings: Sequence[Reading]) -> bool:
    for condition, reading in zip(policy.conditions, readings, strict=True):
        if condition.bound is not None and isinstance(reading, Counts):
            if condition.limit.of_before is not None:
                return True  # what that comes to is not reckoned here
            limit = share_limit(condition)
            is_above = limit.high is not None and reading.least > limit.high * reading.total
            if is_above or (limit.low is not None and reading.most < limit.low * reading.total):
                return True
    return False


def asks_by_side(policy: Policy, source: Source, sides: Sides) -> Mapping[int, Sequence[Ask]]:
    """By the place of each condition about shares: what asks for the new pods' counts, and then for those of each older revision."""
    asks = asks_of(policy, source.block(policy.every))
    return {
        index: _by_side(group, asks[index].row, sides)
        for index, condition in enumerate(policy.conditions)
        if condition.bound is not None and isinstance(group := asks[index].group, Increases | Slower)
    }


def told_apart(policy: Policy, readings: tuple[Reading, ...], found: Mapping[int, Sequence[Reading]]) -> tuple[Reading, ...]:
    """The readings with what was ``found`` of each side, by the place of the condition."""
    known = list(readings)
    for index, sides in found.items():
        whole = readings[index]
        if isinstance(whole, Counts):
            known[index] = _told_apart(policy.conditions[index], whole, sides)
    return tuple(known)


def _told_apart(condition: Condition, whole: Counts, found: Sequence[Reading]) -> Counts:
    new, *others = found
    old = [each for each in others if isinstance(each, Counts) and _is_comparable(each, whole)]
    if not isinstance(new, Counts) or not old or not _is_comparable(new, whole):
        return whole
    beside = replace(old[0], least=sum(o.least for o in old), most=sum(o.most for o in old), total=sum(o.total for o in old))
    return replace(whole if condition.limit.of_old is None else new, old=beside)


def _is_comparable(side: Counts, whole: Counts) -> bool:
    """Whether it was counted by the same bounds, or exactly: a side without requests in the limit's own bucket of a native histogram is exact."""
    return (side.low, side.high) == (whole.low, whole.high) or side.low == side.high


def _by_side(group: Increases | Slower, row: RowKey, sides: Sides) -> Sequence[Ask]:
    identity, row = _by_revision(group.identity, row)
    asked = replace(group, identity=identity)
    return [Ask(asked, (*row, name)) for name in (sides.new, *sides.old)]


def _by_revision(identity: Identity, row: RowKey) -> tuple[Identity, RowKey]:
    """The identity with the ReplicaSet beside it; where the workload itself is read out of the pod's name, in its place."""
    kept = [(name, value) for name, value in zip(identity.labels, row, strict=True) if identity.derived is None or name != identity.derived.label]
    return by_side(tuple(name for name, _ in kept)), tuple(value for _, value in kept)
