"""A whole backtest: the past of every grid, replayed, and what it came to."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from operator import itemgetter

from rollbackd.controller.backtest.beside import Beside
from rollbackd.controller.backtest.cases import Alarm, GivenChange, Judged
from rollbackd.controller.backtest.conclude import alarms, judged
from rollbackd.controller.backtest.history import History, PastSource, as_looked, check_answered, slots_between
from rollbackd.controller.backtest.replay import Replay
from rollbackd.controller.backtest.spans import span_of, windows_of
from rollbackd.controller.observe.baselines import Compared
from rollbackd.controller.schedule import Grid
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.baseline import Before

SAID_EVERY = 1000  # slots


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be backtested. ``now``: the source's own, after which there is no past."""

    policies: tuple[Policy, ...]
    changes: tuple[GivenChange, ...]
    now: datetime
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backtest came to. ``slots``: how many were replayed. ``waited``: how much of the time the sources ``took``."""

    judged: tuple[Judged, ...]
    alarms: tuple[Alarm, ...]
    slots: int
    queries: int
    took: timedelta
    waited: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class _Past:
    """What is read of one grid: ``slots`` of its ``policies``."""

    policies: Sequence[Policy]
    slots: Sequence[datetime]
    history: History
    beside: Beside

    def read(self, grid: Grid) -> Iterator[tuple[datetime, Grid, Mapping[str, tuple[Reading, ...]]]]:
        """The readings of each slot, in order, and whose they are."""
        return ((at, grid, readings) for at, readings in self.history.read(self.slots))

    def completed(self, readings: Mapping[str, tuple[Reading, ...]], replay: Replay, at: datetime) -> Mapping[str, tuple[Reading, ...]]:
        """The slot's readings with what the daemon would have asked for beside them, by the changes that are known."""
        calm = replay.in_calm(self.policies, at)
        looked = {one.name: as_looked(one, readings, in_calm=one.name in calm) for one in self.policies}
        return {one.name: self.beside.read(one, looked[one.name], replay.of(one.targets), at) for one in self.policies}


def run(asked: Asked, source_of: Callable[[str], PastSource], told: Callable[[int, int], None] = lambda done, of: None) -> Outcome:
    """The outcome; ``told`` how many slots of how many are done.

    Raises Transient or Permanent where a source cannot be asked at all, or nothing that was asked is answered in full.
    """
    began = time.perf_counter()
    given = [change for change in asked.changes if any(change.target in policy.targets for policy in asked.policies)]
    if not given and asked.since is None:
        return Outcome((), (), 0, 0, timedelta(0))
    sources = {name: source_of(name) for name in dict.fromkeys(policy.source for policy in asked.policies)}
    # One span for all grids: who has no change of his own is a neighbour of those who have.
    since, until = span_of(asked.policies, given, asked.since, asked.until or (None if given else asked.now))
    pasts = {}
    for grid, policies in by_grid(asked.policies).items():
        source = sources[grid.source]
        slots = slots_between(grid, since, min(until, asked.now - source.delay))
        pasts[grid] = _Past(policies, slots, History(source, policies), Beside(source, given))
    replay = _replay(asked.policies, given, pasts)
    of = sum(len(past.slots) for past in pasts.values())
    # In the order of their time, whichever grid they are of: a common cause shows in neighbours that are looked at at other times.
    for done, (at, grid, readings) in enumerate(merge(*(past.read(grid) for grid, past in pasts.items()), key=itemgetter(0))):
        if done % SAID_EVERY == 0:
            told(done, of)
        replay.slot(at, pasts[grid].completed(readings, replay, at))
    check_answered([past.history for past in pasts.values()])
    found = [one for way in replay.ways for one in judged(way, given, max(pasts[grid_of(way.policy)].slots, default=since))]
    ordered = tuple(sorted(found, key=lambda one: (one.change.at, one.change.number, one.policy.name)))
    false = tuple(one for way in replay.ways for one in alarms(way, asked.since, asked.until))
    queries, waited = sum(source.asked for source in sources.values()), sum((source.waited for source in sources.values()), timedelta(0))
    return Outcome(ordered, false, of, queries, timedelta(seconds=time.perf_counter() - began), waited)


def _replay(policies: Sequence[Policy], given: Sequence[GivenChange], pasts: Mapping[Grid, _Past]) -> Replay:
    def look_back(compared: Sequence[Compared], at: datetime) -> Mapping[str, tuple[Before, ...]]:
        return pasts[grid_of(compared[0].policy)].history.look_back(compared, at)  # all are of the slot's grid

    return Replay(policies, given, {policy.name: windows_of(policy, given) for policy in policies}, look_back)


def grid_of(policy: Policy) -> Grid:
    """The slots in which it is looked at."""
    return Grid(policy.source, policy.every)


def by_grid(policies: Sequence[Policy]) -> Mapping[Grid, Sequence[Policy]]:
    """The policies that are looked at in the same slots."""
    found: dict[Grid, list[Policy]] = defaultdict(list)
    for policy in policies:
        found[grid_of(policy)].append(policy)
    return found
