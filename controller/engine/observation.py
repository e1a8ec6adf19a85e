"""One pass: survey the targets and read the signals of the policies that are due, and hand both to the engine."""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.notify.clocks import Clocks
from rollbackd.controller.observe.aging import aged
from rollbackd.controller.observe.asking import Asking
from rollbackd.controller.observe.baselines import Compared, read_before
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.observe.facts import with_facts
from rollbackd.controller.observe.migrations import Migrations
from rollbackd.controller.observe.past import Past
from rollbackd.controller.observe.readings import Observer, SourceHealth
from rollbackd.controller.observe.sides import Slot, beside_old, beside_old_past
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.controller.observe.traffic import Traffics
from rollbackd.controller.observe.vanished import Absences
from rollbackd.controller.schedule import Grid
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching import baseline
from rollbackd.policies.watching.since import counts_from, evidence_since, is_watching

CALM_REACH = timedelta(hours=2)
"""So much of the time before a change says how bursty its calm was."""
MOST_SIDES = 100
"""Of so many policies what old pods counted is asked in one slot; the others are judged from the next one on."""
MOST_READINGS = 200_000
"""So many readings of the past are kept at most while watches are rebuilt; where many are watched, they reach back less far."""

log = structlog.get_logger()

PATIENCE = 1.0
"""So many seconds a slot waits for what was before a change, at most."""
Before: TypeAlias = tuple[Sequence[Compared], Mapping[str, tuple[baseline.Before, ...]]]
"""Whose time before a change was read, and what it told. What is not told of is asked for again; no breach is proven until then."""
NOTHING_READ: Before = ((), {})
BEFORE, BESIDE = "what was before a change", "what old pods counted beside new ones"


class Observation:
    """What the scheduler runs at every slot. Decides nothing."""

    def __init__(self, engine: Engine, observer: Observer, surveyor: Surveyor, clocks: Clocks | None = None) -> None:
        self._engine = engine
        self._observer = observer
        self._surveyor = surveyor
        self._clocks = clocks
        self._traffics = Traffics()
        self._absences = Absences()
        self._migrations = Migrations()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="pass")
        self._slow = ThreadPoolExecutor(4, thread_name_prefix="before")
        self._unfinished: dict[Grid, Future[Before]] = {}
        self._untold: dict[tuple[Grid, str], str] = {}

    def close(self) -> None:
        """Nothing is read after this."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)
        self._observer.close()
        self._surveyor.close()

    def observe(self, grid: Grid, at: datetime) -> None:
        """The engine has the slot ``at`` of this grid. Targets are surveyed at every slot, so that a change is known before it is judged."""
        policies = [p for p in tuple(self._engine.policies.values()) if p.source == grid.source and p.every == grid.every]
        if policies:
            self._engine.submit(
                replace(
                    self.batch(policies, self._engine.due(policies, at), at), grid=grid, meanings={policy.name: policy.digest for policy in policies}
                )
            )

    def batch(self, policies: Sequence[Policy], due: Sequence[Policy], at: datetime) -> Batch:
        """The slot as it can be seen now: all targets of ``policies``, the readings of those that are ``due``, and the past of those that are new."""
        keys = [key for policy in policies for key in policy.targets]
        survey = self._pool.submit(self._surveyor.survey, keys, at)
        new = [policy for policy in due if policy.name not in self._engine.standings]
        told = self._observer.read(due, at, self._engine.in_calm(due, at))
        readings = self._aged(due, told, at)  # before the past, which may take long and much memory
        if self._clocks is not None:
            readings = self._clocks.doubted(due, readings)
        past, untold = self._past(new, survey.result(), at)
        for grid in grids(policies[:1]):  # all are of one
            self._note(grid, BESIDE, next(filter(None, untold.values()), None))
        due = [policy for policy in due if policy.name not in untold]
        compared, before = self._before(due, at)
        names = {policy.name for policy in due}
        surveyed = self._migrations.beside(survey.result(), self._engine.policies.values(), names, self._engine.book, self._observer.source, at)
        readings = self._beside(due, with_facts(due, readings, surveyed.states, at), surveyed, at)
        return Batch(at, surveyed, readings, past, self._health(), compared=compared, before=before)

    def _past(self, new: Sequence[Policy], survey: Survey, at: datetime) -> tuple[Past, dict[str, str]]:
        """Of policies in the middle of a watch, as after a restart, all that their counts rest on; of the others what a look rests on.

        And those of which it is not known what old pods counted, and why: they are not judged yet, as what both suffer would be the change's fault.
        """
        begun = {policy.name: since for policy in new if (since := self._begun(policy, at)) is not None}
        watched = [policy for policy in new if policy.name in begun]
        slots = history_slots(watched, at, min(begun.values(), default=at))
        past = self._observer.read_history(watched, slots)
        untold = self._take_sides([(policy, begun[policy.name]) for policy in watched if policy.name in past], past, survey)
        others = [policy for policy in new if policy.name not in past]
        past.join(self._observer.read_history(others, history_slots(others, at)))
        return past, untold

    def _take_sides(self, asked: Sequence[tuple[Policy, datetime]], past: Past, survey: Survey) -> dict[str, str]:
        """The past of these policies, which share a source, knows of old pods since then. Returns those of which that is not known yet, and why.

        One fault, or many of them at once, and the others are asked about in the next slot: this one must not outlast its time.
        """
        untold: dict[str, str] = {}
        asks = [0]

        def beside(one: tuple[Policy, datetime]) -> Sequence[Slot] | None:
            policy, since = one
            known = past.look(policy.name)
            if untold or asks[0] >= MOST_SIDES:
                untold.setdefault(policy.name, "")
                return None
            try:
                told = beside_old_past(policy, known, self._observer.source(policy.source), survey.states.get(policy.target), since)
            except Permanent as fault:  # nobody will ever tell; a whole watch without a judgement would be worse
                log.warning("sides.refused", policy=policy.name, error=str(fault))
                return None
            except AdapterError as fault:
                untold[policy.name] = str(fault)
                return None
            asks[0] += told is not known
            return None if told is known else told

        for (policy, _), slots in zip(asked, list(self._slow.map(beside, asked)), strict=True):
            if slots is not None:
                kept = Past({policy.name: len(policy.conditions)})
                for at, readings in slots:
                    kept.add(at, readings)
                past.join(kept)
        return untold

    def _aged(self, due: Sequence[Policy], readings: Mapping[str, tuple[Reading, ...]], at: datetime) -> dict[str, tuple[Reading, ...]]:
        if not due:
            return {}
        book, source = self._engine.book, self._observer.source(due[0].source)
        asking = {policy.name: aged(policy, readings[policy.name], book.of(policy.targets), source, at) for policy in due}
        return self._observer.settle(source.name, asking)

    def _begun(self, policy: Policy, at: datetime) -> datetime | None:
        """Since when the shares of the policy are counted; None where they are not."""
        changes = self._engine.book.of(policy.targets)
        if all(condition.bound is None for condition in policy.conditions) or not is_watching(policy, None, changes, self._engine.fleet, at):
            return None
        return counts_from(policy, evidence_since(policy, None, changes, self._engine.fleet, at)[0], at)

    def _beside(
        self, due: Sequence[Policy], readings: Mapping[str, tuple[Reading, ...]], survey: Survey, at: datetime
    ) -> dict[str, tuple[Reading, ...]]:
        if not due:
            return {}
        source = self._observer.source(due[0].source)

        def beside(policy: Policy) -> Asking[tuple[Reading, ...]]:
            changes, state = self._engine.book.of(policy.targets), survey.states.get(policy.target)
            told = yield from beside_old(policy, readings[policy.name], source, state, at)
            compared = yield from self._traffics.beside(policy, told, changes, source, state, at)
            return (yield from self._absences.beside(policy, compared, changes, source, state, at))

        return self._observer.settle(source.name, {policy.name: beside(policy) for policy in due})

    def _before(self, due: Sequence[Policy], at: datetime) -> Before:
        """What was before the changes that are judged, as far as it was read since the last slot. The slot does not wait long for it: the readings
        at hand would grow old.
        """
        if not due:
            return NOTHING_READ
        grid = Grid(due[0].source, due[0].every)
        reading, patience = self._unfinished.pop(grid, None), 0.0
        if reading is None:
            compared = self._engine.lacking(due, at)
            if not compared:
                self._note(grid, BEFORE, None)
                return NOTHING_READ
            reading, patience = self._slow.submit(self._read_before, compared, at), PATIENCE
        try:
            return reading.result(patience)
        except TimeoutError:
            self._unfinished[grid] = reading
            return NOTHING_READ

    def _read_before(self, compared: Sequence[Compared], at: datetime) -> Before:
        source, asks = self._observer.asked_of([one.policy for one in compared])
        grid = Grid(source.name, compared[0].policy.every)
        try:
            told = read_before(source, compared, asks, at)
        except (ValueError, KeyError, ArithmeticError) as bug:
            log.exception("baseline.failed", source=source.name)
            self._note(grid, BEFORE, f"its answer cannot be taken in: {type(bug).__name__}: {bug}")
            return NOTHING_READ
        self._note(grid, BEFORE, next((before.lack for each in told.values() for before in each if not before.is_read), None))
        return compared, told

    def _note(self, grid: Grid, what: str, fault: str | None) -> None:
        if fault is None:
            self._untold.pop((grid, what), None)
        elif (grid, what) not in self._untold:  # once, not at each slot
            log.warning("past.unread", source=grid.source, what=what, error=fault)
            self._untold[grid, what] = fault

    def _health(self) -> dict[str, SourceHealth]:
        """How the sources are. One that tells nothing of the past is as blind as one that does not answer: what is judged by it stays unproven."""
        health = dict(self._observer.health)
        live = grids(tuple(self._engine.policies.values())) if self._untold else set()
        for (grid, what), fault in tuple(self._untold.items()):
            if grid not in live:  # nobody asks there any more
                self._note(grid, what, None)
            elif health[grid.source].fault is None:
                health[grid.source] = replace(health[grid.source], fault=f"it answers, but not about the past: {fault}")
        return health


def history_slots(policies: Sequence[Policy], at: datetime, begun: datetime | None = None) -> list[datetime]:
    """The past slots from which watches are rebuilt, on the grid of the policies: the longest evidence and confirmation of any.

    Where counts have ``begun`` they reach back to that, and to the calm before it; as far as ``MOST_READINGS`` allow.
    """
    spans = [c.window + getattr(c.confirm, "duration", timedelta(0)) for policy in policies for c in policy.conditions]
    if not spans:
        return []
    every = policies[0].every
    looks = int(max(spans) / every) + 1
    if begun is not None:
        looks = max(looks, min(math.ceil((at - begun + CALM_REACH) / every), MOST_READINGS // len(spans)))
    return [at - i * every for i in range(looks, 0, -1)]


def grids(policies: Iterable[Policy]) -> set[Grid]:
    """The grids that these policies need."""
    return {Grid(policy.source, policy.every) for policy in policies}
