"""What signals were before the changes that are judged: read once for each change, by grouped range queries, and kept while it is judged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
        if anchor is None or self._of(policy, anchor) is not None:
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
        return baseline.unread(policy, anchor) if self._is_read else None

    def _of(self, policy: Policy, anchor: datetime) -> _Known | None:
        known = self._known.get(policy.name)
        return known if known is not None and known.digest == policy.digest and known.anchor == anchor else None


def read_before(source: Source, compared: Sequence[Compared], asks: Mapping[str, Sequence[Ask]], at: datetime) -> dict[str, tuple[Before, ...]]:
    """What each policy's signals were before its change. One question for all policies that share a signal and changed within the same hour.

    ``asks``: by policy, on this source. All policies are of one grid. Raises Transient or Permanent: then nothing is known of any.
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
        return found

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
        told = past_readings(self._source, {name: [self._asks[name][i] for i in chosen] for name, chosen in asked.items()}, slots)
        readings = {name: {i: [told[slot][name][place] for slot in slots] for place, i in enumerate(chosen)} for name, chosen in asked.items()}
        return {name: {i: readings[name].get(i, []) for i in chosen} for name, chosen in indexes.items()}


def _relative(policy: Policy) -> tuple[int, ...]:
    return tuple(index for index, condition in enumerate(policy.conditions) if condition.limit.of_before is not None)
