"""A whole backtest: the past of every grid, replayed, and what it came to."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.controller.backtest.beside import Beside
from rollbackd.controller.backtest.cases import Alarm, GivenChange, Judged
from rollbackd.controller.backtest.conclude import alarms, judged
from rollbackd.controller.backtest.history import History, PastSource, slots_between
from rollbackd.controller.backtest.replay import Replay
from rollbackd.controller.backtest.spans import span_of, windows_of
from rollbackd.controller.schedule import Grid
from rollbackd.policies.model.policy import Policy

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


def run(asked: Asked, source_of: Callable[[str], PastSource], told: Callable[[int, int], None] = lambda done, of: None) -> Outcome:
    """The outcome; ``told`` how many slots of how many are done. Raises Transient or Permanent where a source cannot be asked at all."""
    began, slots_done = time.perf_counter(), 0
    sources: dict[str, PastSource] = {}
    found: list[Judged] = []
    false: list[Alarm] = []
    for grid, policies in by_grid(asked.policies).items():
        source = sources.setdefault(grid.source, source_of(grid.source))
        given = [change for change in asked.changes if any(change.target in policy.targets for policy in policies)]
        if not given:
            continue
        since, until = span_of(policies, given, asked.since, asked.until)
        slots = slots_between(grid, since, min(until, asked.now - source.delay))
        beside, history = Beside(source, given), History(source, policies)
        replay = Replay(policies, given, {policy.name: windows_of(policy, given) for policy in policies}, history.look_back)
        for done, (at, readings) in enumerate(history.read(slots)):
            if done % SAID_EVERY == 0:
                told(done, len(slots))
            replay.slot(at, {policy.name: beside.read(policy, readings[policy.name], replay.of(policy.targets), at) for policy in policies})
        slots_done += len(slots)
        for way in replay.ways:
            found += judged(way, given, slots[-1] if slots else since)
            false += alarms(way, asked.since, asked.until)
    queries = sum(source.asked for source in sources.values())
    ordered = tuple(sorted(found, key=lambda one: (one.change.at, one.change.line, one.policy.name)))
    waited = sum((source.waited for source in sources.values()), timedelta(0))
    return Outcome(ordered, tuple(false), slots_done, queries, timedelta(seconds=time.perf_counter() - began), waited)


def by_grid(policies: Sequence[Policy]) -> Mapping[Grid, Sequence[Policy]]:
    """The policies that are looked at in the same slots."""
    found: dict[Grid, list[Policy]] = defaultdict(list)
    for policy in policies:
        found[Grid(policy.source, policy.every)].append(policy)
    return found
