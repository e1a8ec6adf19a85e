"""What signals were before the changes that are judged: read once for each change, by grouped range queries, and kept while it is judged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.source import Source
from rollbackd.controller.observe.questions import Ask, ProbeQuestion
from rollbackd.controller.observe.readings import past_readings
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching import baseline
from rollbackd.policies.watching.baseline import REFERENCES, Before, Reference
from rollbackd.policies.watching.since import watch_length

log = structlog.get_logger()

READ_AT_ONCE = 200_000
"""So many readings are fetched at a time."""
SPACING = timedelta(minutes=1)
AFTERWARDS = timedelta(hours=1)
"""So long beyond a watch an earlier day is read: an incident outlasts it."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Compared:
    """A policy whose target changed at ``anchor``, and since when (``clean``) it had been in one state; None: as long as is known."""

    policy: Policy
    anchor: datetime
    clean: datetime | None


@dataclass(frozen=True, slots=True)
class _Known:
    digest: str
    anchor: datetime
    before: tuple[Before, ...] | None


class Baselines:
    """The time before each change that is judged, by policy. Reads nothing by itself. Once somebody reads it, what was not told yet is unread."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._is_read = False

    def lacking(self, policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> Compared | None:
        """What has to be read before the policy's change can be compared; None where nothing has."""
        anchor = baseline.anchor(policy, incident, changes, fleet, at)
        known = self._of(policy, anchor) if anchor is not None else None
        if anchor is None or (known is not None and all(before.is_read for before in known.before or ())):
            return None
        return Compared(policy, anchor, baseline.clean_from(changes, anchor))

    def take(self, compared: Iterable[Compared], told: Mapping[str, tuple[Before, ...] | None] | None) -> None:
        """What was read is known from now on; where it is None, the change is compared with nothing. ``told`` is None where nobody reads it."""
        if told is None:
            return
        self._is_read = True
        for one in compared:
            if one.policy.name in told:
                self._known[one.policy.name] = _Known(one.policy.digest, one.anchor, told[one.policy.name])

    def of(self, policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> tuple[Before, ...] | None:
        """What each condition's signal was before the change that is judged at ``at``; None where there is none, or nobody reads it."""
        anchor = baseline.anchor(policy, incident, changes, fleet, at)
        if anchor is None:
            self._known.pop(policy.name, None)
            return None
        if (known := self._of(policy, anchor)) is not None:
            return known.before
        return (baseline.unread(anchor),) * len(policy.conditions) if self._is_read else None

    def _of(self, policy: Policy, anchor: datetime) -> _Known | None:
        known = self._known.get(policy.name)
        return known if known is not None and known.digest == policy.digest and known.anchor == anchor else None


def read_before(source: Source, compared: Sequence[Compared], asks: Mapping[str, Sequence[Ask]], at: datetime) -> dict[str, tuple[Before, ...]]:
    """What each policy's signals were before its change. One question for all policies that share a signal and changed within the same hour.

    ``asks``: by policy, on this source. All policies are of one grid. A question that fails takes no other with it: what it was about is unread,
    or nothing is known of it where it would fail again.
    """
    found: dict[str, tuple[Before, ...]] = {}
    for together in _together(compared):
        reading = _Reading(source, together, asks, at)
        found |= reading.found()
    return found


def _together(compared: Sequence[Compared]) -> Iterator[list[Compared]]:
    by_hour: dict[int, list[Compared]] = defaultdict(list)
    for one in compared:
        by_hour[(one.anchor - _EPOCH) // _HOUR].append(one)
    for group in by_hour.values():
        size = max(1, READ_AT_ONCE // (200 * max(len(one.policy.conditions) for one in group)))
        yield from (group[start : start + size] for start in range(0, len(group), size))


class _Reading:
    """One pass over the past of some policies."""

    def __init__(self, source: Source, compared: Sequence[Compared], asks: Mapping[str, Sequence[Ask]], at: datetime) -> None:
        block = source.block(compared[0].policy.every)
        self._source = source
        self._compared = compared
        self._asks = asks
        self._now = at - source.delay
        self._step = block * max(1, -(-SPACING // block))
        spans = [baseline.span(condition, one.anchor, self._step)[0] for one in compared for condition in one.policy.conditions]
        self._begin, self._end = min(spans), max(one.anchor for one in compared)
        self._faults: dict[tuple[str, int], str] = {}

    def found(self) -> dict[str, tuple[Before, ...]]:
        told = self._told({one.policy.name: range(len(one.policy.conditions)) for one in self._compared}, self._begin, self._end)
        found = {one.policy.name: self._before(one, told[one.policy.name]) for one in self._compared}
        relative = {one.policy.name: _relative(one.policy) for one in self._compared if _relative(one.policy)}
        for name, lag in REFERENCES if relative else ():
            longest = max(watch_length(one.policy) for one in self._compared)
            earlier = self._told(relative, self._begin - lag, self._end + longest + AFTERWARDS - lag)
            for one in self._compared:
                if one.policy.name in relative:
                    found[one.policy.name] = self._with(one, found[one.policy.name], name, lag, earlier[one.policy.name])
        return {one.policy.name: self._without_faults(one, found[one.policy.name]) for one in self._compared}

    def _without_faults(self, one: Compared, before: tuple[Before, ...]) -> tuple[Before, ...]:
        faults = [self._faults.get((one.policy.name, index)) for index in range(len(before))]
        return tuple([known if fault is None else baseline.unread(one.anchor, fault) for known, fault in zip(before, faults, strict=True)])

    def _before(self, one: Compared, told: Mapping[int, list[Reading]]) -> tuple[Before, ...]:
        conditions = enumerate(one.policy.conditions)
        return tuple(baseline.look_back(condition, one.anchor, self._step, one.clean, told[index]) for index, condition in conditions)

    def _with(self, one: Compared, before: tuple[Before, ...], name: str, lag: timedelta, told: Mapping[int, list[Reading]]) -> tuple[Before, ...]:
        return tuple(
            baseline.with_reference(condition, known, self._step, Reference(name, lag, told[index])) if index in told else known
            for index, (condition, known) in enumerate(zip(one.policy.conditions, before, strict=True))
        )

    def _told(self, indexes: Mapping[str, Sequence[int]], begin: datetime, end: datetime) -> dict[str, dict[int, list[Reading]]]:
        """The readings of these conditions of each policy, evenly spaced from ``begin`` to ``end``, as far as that is past. A probe has none."""
        first = _EPOCH + -(-(begin - _EPOCH) // self._step) * self._step
        moments = [first + index * self._step for index in range((min(end, self._now) - first) // self._step + 1)]
        slots = [moment + self._source.delay for moment in moments]
        asked = {name: [i for i in chosen if not isinstance(self._asks[name][i].group, ProbeQuestion)] for name, chosen in indexes.items()}
        told: dict[tuple[str, int], list[Reading]] = defaultdict(list)
        for wanted in _by_question(self._asks, asked):
            told |= self._answered(wanted, slots)
        return {name: {i: told[name, i] for i in chosen} for name, chosen in indexes.items()}

    def _answered(self, wanted: Mapping[str, Sequence[int]], slots: Sequence[datetime]) -> dict[tuple[str, int], list[Reading]]:
        """The readings of these conditions, which ask the same question; none where it fails."""
        places = [(name, index) for name, chosen in wanted.items() for index in chosen]
        try:
            read = past_readings(self._source, {name: [self._asks[name][i] for i in chosen] for name, chosen in wanted.items()}, slots)
        except Transient as fault:
            self._faults |= dict.fromkeys(places, str(fault))
            return {}
        except AdapterError as fault:  # it would fail for ever, and nothing would ever be proven: as where a source keeps no past
            log.warning("baseline.refused", source=self._source.name, conditions=len(places), error=str(fault))
            return {}
        return {(name, i): [read[slot][name][place] for slot in slots] for name, chosen in wanted.items() for place, i in enumerate(chosen)}


def _by_question(asks: Mapping[str, Sequence[Ask]], indexes: Mapping[str, Sequence[int]]) -> Iterable[Mapping[str, Sequence[int]]]:
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for name, chosen in indexes.items():
        for index in chosen:
            found[id(asks[name][index].group)][name].append(index)
    return found.values()


def _relative(policy: Policy) -> tuple[int, ...]:
    return tuple(index for index, condition in enumerate(policy.conditions) if condition.limit.of_before is not None)
