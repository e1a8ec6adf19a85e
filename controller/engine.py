"""The engine thread: one slot after the other, each decided by the pure function and journalled before anything is done about it."""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.controller.act import Actor
from rollbackd.controller.blind import Blindness
from rollbackd.controller.changes import ChangeBook, Survey
from rollbackd.controller.fleet import Breaches, Settings, fleet_at
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.journalling import Journalling
from rollbackd.controller.observe import SourceHealth
from rollbackd.controller.pause import Pause
from rollbackd.controller.schedule import Grid
from rollbackd.policies.evaluate import Evaluation, decide
from rollbackd.policies.fleet import Fleet
from rollbackd.policies.incident import Incident
from rollbackd.policies.model import Policy
from rollbackd.policies.readings import Reading
from rollbackd.policies.step import look_interval
from rollbackd.policies.watch import Watch, new_watch, take

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Batch:
    """One slot as it was observed: how the targets stand, the readings of each due policy, past slots of new ones, how the sources are."""

    at: datetime
    survey: Survey
    readings: Mapping[str, tuple[Reading, ...]]
    past: Mapping[datetime, Mapping[str, tuple[Reading, ...]]] = field(default_factory=dict)
    health: Mapping[str, SourceHealth] = field(default_factory=dict)
    grid: Grid | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A policy's last slot: ``before`` is its watch with the readings taken in and not yet marked, so that the slot can be decided again."""

    before: Watch
    evaluation: Evaluation
    at: datetime

    def unwritten(self) -> "Standing":
        """As it is while its decisions are not durable: that a revision is known good is decided once, so it has to be decided again."""
        evaluation = self.evaluation
        return replace(self, evaluation=replace(evaluation, watch=replace(evaluation.watch, baked=self.before.baked)))


class Engine:
    """Owns the watches and the change book; everything reaches it through its queue."""

    def __init__(self, store: Store, actor: Actor, journalling: Journalling, pause: Pause, settings: Settings) -> None:
        self._store = store
        self._actor = actor
        self._journalling = journalling
        self._pause = pause
        self._blindness = Blindness(store)
        self.settings = settings
        self.book = ChangeBook(store)
        self.breaches = Breaches()
        self.policies: dict[str, Policy] = {}
        self.standings: dict[str, Standing] = {}
        self.fleet = Fleet()
        self.incidents: tuple[Incident, ...] = ()
        self.store_fault: str | None = None
        self._is_behind = False
        self.last_slot: datetime | None = None
        self.slots = 0
        self.overtaken = 0
        self._newest: dict[Grid | None, datetime] = {}
        self.verdicts: Counter[str] = Counter()
        self._queue: queue.SimpleQueue[Batch | str | tuple[Policy, ...] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    # --- what others call -----------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Slots are worked through from now on."""
        self._thread.start()

    def stop(self) -> None:
        """The slot under way is finished, and no other begins."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, batch: Batch) -> None:
        """The slot will be worked through after those before it, unless a newer one of its grid overtakes it."""
        self._newest[batch.grid] = batch.at
        self._queue.put(batch)

    def wake(self, target: str) -> None:
        """The policies of this target will be decided again on the evidence at hand: an outcome has arrived."""
        self._queue.put(target)

    def replace(self, policies: Sequence[Policy]) -> None:
        """These policies hold from the next slot on; a policy whose meaning is unchanged keeps its memory."""
        self._queue.put(tuple(policies))

    def due(self, policies: Iterable[Policy], at: datetime) -> list[Policy]:
        """The policies that are to be looked at in the slot ``at``: all with an open watch or incident, the others once a minute."""
        open_on = {incident.target: incident for incident in self.incidents}
        return [p for p in policies if self._is_due(p, open_on.get(p.target), at)]

    def _is_due(self, policy: Policy, incident: Incident | None, at: datetime) -> bool:
        if policy.name not in self.standings:
            return True
        interval = look_interval(policy, incident, self.book.of(policy.targets), self.fleet, at)
        return at - self.standings[policy.name].at >= interval - policy.every / 2

    # --- the thread -----------------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._work(item)
            except StoreError as fault:
                self.store_failed(str(fault))
            except Exception:  # the seam: a pass may die, the daemon not
                log.exception("slot.crashed")

    def _work(self, item: Batch | str | tuple[Policy, ...]) -> None:
        match item:
            case Batch():
                if item.at < self._newest.get(item.grid, item.at):
                    self.overtaken += 1  # the store was slow: old evidence is not worth deciding on
                else:
                    self.cycle(item)
            case str():
                self.decide_again(item)
            case _:
                self.adopt(item)

    def adopt(self, policies: Sequence[Policy]) -> None:
        """The set of policies is this one; memory of unchanged policies is kept, that of others begins anew."""
        known = {name: policy.digest for name, policy in self.policies.items()}
        self.policies = {policy.name: policy for policy in policies}
        kept = [p.name for p in policies if known.get(p.name) == p.digest]
        self.standings = {name: self.standings[name] for name in kept if name in self.standings}
        targets = list(dict.fromkeys(target for policy in policies for target in policy.targets))
        self.book.load(targets, self._store.now())
        self.breaches.keep(policy.target for policy in policies)
        self.incidents = self._store.open_incidents()

    def cycle(self, batch: Batch) -> None:
        """One slot: the survey is taken in, every observed policy is decided, decisions are durable, and then acted on."""
        self.incidents = self._store.open_incidents()
        self.book.refresh()
        self._is_behind = not self._kept(lambda: self._take_in(batch))
        self.fleet = self._fleet(batch.at)
        due = [self.policies[name] for name in batch.readings if name in self.policies]
        for policy in due:
            self._remember(policy, batch.past)
        sound = [self._guarded(policy, batch.at, batch.readings[policy.name]) for policy in self._openers_first(due)]
        self._resume_open(batch.at)
        is_told = self._kept(lambda: self._blindness.check_sources(batch.health, tuple(self.policies.values()), batch.at))
        if is_told and all(sound) and not self._is_behind and self.store_fault is not None:
            self._kept(lambda: self._prove_store(batch.at))
        self._finish(batch.at, due)

    def _take_in(self, batch: Batch) -> None:
        fresh = self.book.take(batch.survey, self.incidents)
        self._journalling.changes_seen(fresh, self.policies.values(), batch.at)

    def _finish(self, at: datetime, due: Sequence[Policy]) -> None:
        self.last_slot = at
        self.slots += 1
        looked = [self.standings[policy.name].evaluation for policy in due if policy.name in self.standings]
        if looked:
            verdicts = Counter(verdict.state.value for evaluation in looked for verdict in evaluation.verdicts)
            self.verdicts.update(verdicts)
            log.info("slot.finished", at=at.isoformat(), policies=len(looked), verdicts=dict(verdicts), incidents=len(self.incidents))

    def decide_again(self, target: str) -> None:
        """The newest slot of the target's policies once more, with the incident as it stands now.

        An intent that is still open is not resumed here but at the next slot: what has no outcome yet would be asked for in a busy loop.
        """
        self.incidents = self._store.open_incidents()
        for policy in self._openers_first([p for p in self.policies.values() if p.target == target]):
            standing = self.standings.get(policy.name)
            if standing is not None:
                self.fleet = self._fleet(standing.at)
                again = decide(policy, standing.before, self._incident(policy), self.book.of(policy.targets), self.fleet, standing.at)
                self._carry_out(policy, Standing(standing.before, again, standing.at))

    def _remember(self, policy: Policy, past: Mapping[datetime, Mapping[str, tuple[Reading, ...]]]) -> None:
        """The watch of a new policy is what it would be had the daemon looked at the past slots; nothing is decided on them."""
        if policy.name in self.standings:
            return
        watch, changes = new_watch(policy), self.book.of(policy.targets)
        for at in sorted(slot for slot in past if policy.name in past[slot]):
            before = take(policy, watch, past[at][policy.name])
            evaluation = decide(policy, before, None, changes, self.fleet, at)
            watch = evaluation.watch
            self.standings[policy.name] = Standing(before, evaluation, at)

    def _guarded(self, policy: Policy, at: datetime, readings: Sequence[Reading]) -> bool:
        """The policy's slot is decided; False where the store refused. A fault of one policy, or a full disk, leaves the others alone."""
        try:
            return self._kept(lambda: self._decide(policy, at, readings))
        except (AdapterError, ValueError, KeyError, ArithmeticError):
            log.exception("policy.failed", policy=policy.name, at=at)
        return True

    def _decide(self, policy: Policy, at: datetime, readings: Sequence[Reading]) -> None:
        standing = self.standings.get(policy.name)
        watch = standing.evaluation.watch if standing is not None else new_watch(policy)
        before = take(policy, watch, readings)
        evaluation = decide(policy, before, self._incident(policy), self.book.of(policy.targets), self.fleet, at)
        self.breaches.note(policy, evaluation.watch, evaluation.verdicts)
        self._carry_out(policy, Standing(before, evaluation, at))
        self._blindness.check_signals(policy, evaluation.watch, at)

    def _carry_out(self, policy: Policy, standing: Standing) -> None:
        self.standings[policy.name] = standing.unwritten()
        if self._is_behind:  # a change that is not on record yet may explain what was judged
            return
        orders = self._journalling.journal(policy, standing.evaluation.decisions, self.fleet, self.book) if standing.evaluation.decisions else ()
        self.standings[policy.name] = standing
        self.incidents = self._store.open_incidents()
        for order in orders:
            self._actor.begin(order)

    def _resume_open(self, at: datetime) -> None:
        for incident in self.incidents:
            policy = self.policies.get(incident.policy)
            if policy is None:
                self._journalling.orphaned(incident, at)
            elif not self._actor.is_busy(incident.id):
                self._actor.resume(incident, policy)

    def _openers_first(self, policies: Sequence[Policy]) -> list[Policy]:
        openers = {incident.policy for incident in self.incidents}
        return sorted(policies, key=lambda policy: policy.name not in openers)

    def _incident(self, policy: Policy) -> Incident | None:
        return next((incident for incident in self.incidents if incident.target == policy.target), None)

    def _fleet(self, at: datetime) -> Fleet:
        watches = {name: standing.evaluation.watch for name, standing in self.standings.items()} if self.incidents else {}
        return fleet_at(at, self.policies, self._store, self.book, self.breaches, self._pause, self.settings, self.incidents, watches)

    # --- a store that fails -----------------------------------------------------------------------------------------------------------------

    def store_failed(self, fault: str) -> None:
        """Why the store did not take something, until it has proven that it takes something again. Called from any thread."""
        if fault != self.store_fault:
            log.error("store.failed", error=fault)
        self.store_fault = fault

    def _kept(self, write: Callable[[], object]) -> bool:
        """The write was made; False where the store refused: judging goes on without it."""
        try:
            write()
        except StoreError as fault:
            self.store_failed(str(fault))
            return False
        return True

    def _prove_store(self, at: datetime) -> None:
        """Only a durable row proves that the store works: a full disk is read from as ever. Raises StoreError."""
        with self._store.transaction() as tx:
            tx.note(Note("store.recovered", at, {"fault": self.store_fault}))
        log.info("store.recovered")
        self.store_fault = None
