"""The past of some policies, slot by slot, as the daemon would have read it: few range queries, and nothing kept that was passed on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, runtime_checkable

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.source import Source
from rollbackd.controller.observe.baselines import Compared, read_before
from rollbackd.controller.observe.questions import Ask, ProbeQuestion, Question, TargetQuestion, asks_of
from rollbackd.controller.observe.readings import past_readings, unread
from rollbackd.controller.schedule import Grid
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.baseline import Before

READ_AT_ONCE = 40_000
"""So many readings are fetched at a time: a month of them would take more memory than everything else."""
FEWEST = 250
"""So few slots are not halved again where a range of them is not answered."""

Slots: TypeAlias = Mapping[datetime, Mapping[str, tuple[Reading, ...]]]


IN_CALM = " in calm"
"""After a policy's name: what is asked of it where nothing is watched, if that is something else."""


@runtime_checkable
class PastSource(Source, Protocol):
    """A source that keeps history, and counts what it was asked."""

    @property
    def asked(self) -> int:
        """How many requests were sent."""
        ...

    @property
    def waited(self) -> timedelta:
        """How long their answers were waited for."""
        ...

    def clock_skew(self, now: datetime) -> timedelta:
        """How far its clock is ahead of ``now``. Raises AdapterError where it cannot be reached."""
        ...


class History:
    """What a source tells of the past slots of one grid. ``asked``: for how many it was asked so far, each question by itself."""

    def __init__(self, source: PastSource, policies: Sequence[Policy]) -> None:
        self.asked = 0
        self._refused, self._why = 0, ""
        self._source = source
        known: dict[Question, Question] = {}  # one object for equal questions, which are asked once

        def asks(policy: Policy, *, in_calm: bool) -> tuple[Ask, ...]:
            asked = asks_of(policy, source.block(policy.every), in_calm=in_calm)
            return tuple(Ask(known.setdefault(one.group, one.group), one.row) for one in asked)

        self._wanted = {policy.name: asks(policy, in_calm=False) for policy in policies}
        calm = {policy.name: asks(policy, in_calm=True) for policy in policies}
        self._wanted |= {name + IN_CALM: asked for name, asked in calm.items() if asked != self._wanted[name]}

    def read(self, slots: Sequence[datetime]) -> Iterator[tuple[datetime, Mapping[str, tuple[Reading, ...]]]]:
        """The readings of every policy at each slot, in order, for ``as_looked``. What is not answered reads as an error at its slots.

        Raises Transient or Permanent where the source cannot be asked at all any more: that is no fault of the history.
        """
        size = max(FEWEST, READ_AT_ONCE // max(1, sum(len(asks) for asks in self._wanted.values())))
        for start in range(0, len(slots), size):
            piece = slots[start : start + size]
            read = self._read(piece)
            for at in piece:
                yield at, read[at]

    @property
    def refusal(self) -> str:
        """Why nothing at all was answered of what was asked so far; empty where anything was."""
        return self._why if self._refused == self.asked else ""

    def look_back(self, compared: Sequence[Compared], at: datetime) -> Mapping[str, tuple[Before, ...]]:
        """What was before these changes, as the daemon would read it at ``at``; nothing where it is not answered."""
        try:
            return read_before(self._source, compared, self._wanted, at)
        except (Permanent, Transient):
            return {}

    def _read(self, slots: Sequence[datetime]) -> Slots:
        # Each question by itself: one that the source does not answer takes no other with it.
        found: dict[datetime, dict[str, list[Reading]]] = {at: {name: [] for name in self._wanted} for at in slots}
        read: dict[int, Mapping[datetime, Mapping[str, tuple[Reading, ...]]]] = {}
        for name, asks in self._wanted.items():
            for one in asks:
                key = id(one.group)
                if key not in read:
                    read[key] = self._one(one.group, slots)
                for at in slots:
                    found[at][name].append(read[key][at][f"{name}\n{one.row}"][0])
        return {at: {name: tuple(readings) for name, readings in by_name.items()} for at, by_name in found.items()}

    def _one(self, group: Question, slots: Sequence[datetime]) -> Slots:
        wanted = {f"{name}\n{one.row}": (one,) for name, asks in self._wanted.items() for one in asks if one.group is group}
        if not isinstance(group, ProbeQuestion | TargetQuestion):  # of which nobody is asked
            self.asked += len(slots)
        return past(self._source, wanted, slots, self._note)

    def _note(self, refused: int, why: str) -> None:
        self._refused += refused
        self._why = why


def check_answered(histories: Sequence[History]) -> None:
    """Something was answered of what was asked. Raises Permanent where nothing was: what follows from that says nothing."""
    asked = [history for history in histories if history.asked]
    if asked and all(history.refusal for history in asked):
        raise Permanent(f"no range of the past was answered in full, so nothing was judged: {asked[-1].refusal}")


def as_looked(policy: Policy, readings: Mapping[str, tuple[Reading, ...]], *, in_calm: bool) -> tuple[Reading, ...]:
    """What the daemon would have read of the policy in this slot, with nothing or something of it watched."""
    return readings.get(policy.name + IN_CALM, readings[policy.name]) if in_calm else readings[policy.name]


def past(
    source: PastSource, wanted: Mapping[str, Sequence[Ask]], slots: Sequence[datetime], told: Callable[[int, str], None] = lambda refused, why: None
) -> Slots:
    """What was ``wanted`` at these slots. What is not answered reads as an error at its slots; ``told`` of how many, and why.

    Raises Transient or Permanent where the source cannot be asked at all any more.
    """
    try:
        return past_readings(source, wanted, slots)
    except Permanent as fault:
        why = str(fault)
    except Transient as fault:
        source.clock_skew(slots[-1])  # raises where nobody answers at all
        why = str(fault) if len(slots) <= FEWEST else ""
    if why:
        told(len(slots), why)
        return unread(source, wanted, slots, why)
    half = len(slots) // 2
    return {**past(source, wanted, slots[:half], told), **past(source, wanted, slots[half:], told)}


def slots_between(grid: Grid, since: datetime, until: datetime) -> list[datetime]:
    """The daemon's own slots from the last one at or before ``since`` up to ``until``."""
    first = grid.slot(since)
    return [first + index * grid.every for index in range((until - first) // grid.every + 1)] if until >= first else []
