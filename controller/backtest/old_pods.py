"""Pods of the old revision beside those of the new in the past, where the changes name their ReplicaSets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TypeAlias

from rollbackd.adapters.base.target import Sides
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.history import FEWEST, PastSource, past
from rollbackd.controller.observe.sides import asks_by_side, told_apart
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Counts, Reading

OLDER = 2
"""So many changes before one may still serve beside it."""

BySide: TypeAlias = Mapping[int, Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What was read of one change up to ``until``: of every slot in it what the sides counted. ``is_last``: no old pod counted anything in it."""

    sides: Sides
    found: Mapping[datetime, BySide]
    until: datetime
    is_last: bool


class OldPods:
    """What a source tells of both sides at past slots, which are asked about in their order. Few range queries for each rollout."""

    def __init__(self, source: PastSource, given: Sequence[GivenChange]) -> None:
        self._source = source
        self._sides = {target: _sides_of([one for one in given if one.target == target]) for target in {one.target for one in given}}
        self._read: dict[str, _Stretch] = {}

    def beside(self, policy: Policy, readings: tuple[Reading, ...], at: datetime) -> tuple[Reading, ...]:
        """The readings with what old pods counted beside, as the daemon would have asked for it.

        Raises Transient or Permanent where the source cannot be asked at all any more.
        """
        sides = _at(self._sides.get(policy.target, ()), at)
        if sides is None:
            return readings
        known = self._read.get(policy.name)
        if known is None or known.sides != sides or (at > known.until and not known.is_last):
            known = self._read[policy.name] = self._stretch(policy, sides, at)
        return told_apart(policy, readings, known.found.get(at, {}))

    def _stretch(self, policy: Policy, sides: Sides, at: datetime) -> _Stretch:
        slots = [at + index * policy.every for index in range(FEWEST)]
        asks = {str(index): each for index, each in asks_by_side(policy, self._source, sides).items()}
        read = past(self._source, asks, slots) if asks else {}
        found = {slot: {int(index): each for index, each in by_place.items()} for slot, by_place in read.items()}
        is_beside = any(isinstance(one, Counts) for by_place in found.values() for _, *old in by_place.values() for one in old)
        return _Stretch(sides, found, slots[-1], not is_beside)


def _sides_of(given: Sequence[GivenChange]) -> Sequence[tuple[datetime, Sides | None]]:
    """From when on which sides there are, of the changes of one target."""
    found: list[tuple[datetime, Sides | None]] = []
    names: list[str] = []
    for one in sorted(given, key=lambda one: one.at):
        old = [name for name in dict.fromkeys(reversed(names)) if name != one.replicaset][:OLDER]
        found.append((one.at, Sides(one.replicaset, tuple(old)) if one.replicaset and old else None))
        if one.rolled_back_at is not None:
            found.append((one.rolled_back_at, None))
        names += [one.replicaset] if one.replicaset else []
    return sorted(found, key=lambda each: each[0])


def _at(sides: Sequence[tuple[datetime, Sides | None]], at: datetime) -> Sides | None:
    begun = list(takewhile(lambda each: each[0] <= at, sides))
    return begun[-1][1] if begun else None
