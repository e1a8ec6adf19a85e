"""One daemon's core as the product wires it, on virtual time: only threads, network, clock and the place of the store are replaced."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.target import Target
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.status import Reload
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.engine.view import Facts
from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.notify.outbox import Outbox
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.changes import ChangeBook, Survey
from rollbackd.controller.pause.shared import SharedPause
from rollbackd.controller.pause.switch import Switch
from rollbackd.controller.people.by_hand import ByHand, Wish
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.people.hands import Hands
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from tests.simulation.memory import Disk, Memory
from tests.simulation.outside import Outside
from tests.simulation.targets import Flags, Line, Workloads
from tests.simulation.turns import Clock, Killed, Stop, Turns

LOOK_EVERY = timedelta(seconds=5)
DOWN = 25.0
"""Seconds until a killed replica is started again."""


def lift(replica: "Replica") -> None:
    """Whatever paused this replica does so no more."""
    if replica.pause.file.is_dir():
        replica.pause.file.rmdir()
    if not replica.store.is_cut and not replica.store.is_full:
        with contextlib.suppress(Denied):  # the store took nothing: it is paused on
            replica.switch.resume("ann")


class Pager:
    """What reached people. ``is_down``: nothing does."""

    name = "pager"

    def __init__(self, met: Counter[str]) -> None:
        self._met = met
        self.is_down = False
        self.heard: list[Notice] = []

    def send(self, notice: Notice) -> None:
        if self.is_down:
            self._met["pager-down"] += 1
            raise Transient("503 from the pager")
        self.heard.append(notice)


class Replica:
    """``given``: what its sources last said of each policy, newest last, at ``given_at``; ``saw``: when it last saw each target as it was.

    ``again_at``: when it last began to decide about a target between two slots.
    """

    def __init__(self, name: str, clock: Clock, memory: Memory, outside: Outside, pager: Pager, folder: Path, settings: Settings) -> None:
        self.name = name
        self.clock = clock
        self.skew = timedelta(0)
        self.frozen_until = clock.now - timedelta(days=1)
        self.is_dead = False
        self._parts = memory, outside, pager, settings
        self._pause_file = folder / f"pause-{name}"
        self._slots = 0
        self.last_at: datetime | None = None
        self.boot()

    def boot(self) -> None:
        """A new life: nothing is left of the former one but the store and the pause file."""
        memory, outside, pager, settings = self._parts
        self.is_dead = False
        self.given: dict[str, list[Reading]] = {}
        self.given_at: dict[str, datetime] = {}
        self.again_at: dict[str, datetime] = {}
        self.saw: dict[str, datetime] = {}
        self.store = Disk(memory, self.name, lambda: self.clock.now, outside.met)
        self.store.when_killed = self.die
        self.turns = Turns(self.clock, lambda: self.frozen_until)
        self.store.pace = lambda: self.turns.rest(outside.waits())
        self.line = Line(outside, self.name, self.turns, self.die)
        self.targets: Mapping[str, Target] = {"kubernetes": Workloads(self.line), "flagd": Flags(self.line)}
        self.pause = SharedPause(self._pause_file, self.store)
        self.switch = Switch(self.pause, self.store, self.now)
        self.outbox = Outbox(self.store, {"oncall": [pager]})
        self.trouble = StoreTrouble(self.store, pager.heard.append)
        stop = Stop(self.turns)
        self.actor = Actor(
            self.store, self.targets, self.pause, self.now, self._done, self._told, failed=self.trouble.failed,
            look_every=LOOK_EVERY, pool=self.turns, stop=stop, steady=self.clock.steady,
        )  # fmt: skip
        self.engine = Engine(self.store, self.actor, Journalling(self.store, self._told), self.pause, settings, self.trouble)
        self.engine.book = ChangeBook(self.store, lambda: float(self._slots))
        self.desk = Desk(self.engine, self.store, self.pause, self.targets, dict, self._facts, self.now)
        self.hands = Hands(self.desk)
        self._released = False
        self._works: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """Its own wall clock."""
        return self.clock.now + self.skew

    def _facts(self) -> Facts:
        return Facts("simulated", self.name, self.now(), Reload(None, True))

    def die(self) -> None:
        """kill -9; it is started again after a while."""
        self.is_dead = True
        self.clock.after(DOWN, self._rise)
        self.turns.kill()

    def heal(self) -> None:
        """Nothing is broken in it or around it any more."""
        self.skew, self.frozen_until = timedelta(0), self.clock.now
        self.store.is_full = self.store.is_cut = self.line.is_cut = self.line.is_stale = False
        self.store.fate = self.line.fate = ""
        self.line.blind_looks = 0
        lift(self)

    def _rise(self) -> None:
        if self.is_dead:
            self.boot()

    def slot(self, at: datetime, policies: Iterable[Policy], read: Callable[[Policy, datetime], Reading]) -> None:
        """One slot of its clock: survey, read, decide, journal; what follows from it has begun."""
        policies = tuple(policies)
        self._slots += 1
        if not self.engine.policies:
            self.shielded(lambda: self.engine.adopt(policies))
        keys = [key for policy in policies for key in policy.targets]
        states = {kind: target.survey([key for key in keys if key.startswith(kind)]) for kind, target in self.targets.items()}
        seen = {key: state for found in states.values() for key, state in found.items()}
        if not self.line.is_stale and not self.line.is_cut:
            self.saw |= {key: self.clock.now for key, state in seen.items() if not isinstance(state, AdapterError)}
        readings = {policy.name: (read(policy, at),) for policy in policies}
        for name, (reading,) in readings.items():
            self.given[name] = [*self.given.get(name, [])[-5:], reading]
            self.given_at[name] = self.clock.now
        self._engine_does(lambda: self.engine.cycle(Batch(at, Survey(float(self._slots), at, seen), readings)))

    def deliver(self) -> None:
        """The outbox has been worked through once."""
        self.shielded(self._deliver)

    def _deliver(self) -> None:
        if not self._released:
            with self.store.transaction() as tx:
                parcels.release(tx)
            self._released = True
        self.outbox.deliver_due()

    def answers(self) -> bool:
        """Does its API do what it is asked to?"""
        return not (self.is_dead or self.frozen_until > self.clock.now or self.store.is_cut or self.store.is_full)

    def by_hand(self, target: str, say: Callable[[Hands], object]) -> None:
        """A person has said this at the replica's API, if it is up and lets them."""

        def said() -> None:
            with contextlib.suppress(Denied):
                say(self.hands)
                self._done(target)

        self.shielded(said)

    def order(self, policy: Policy) -> None:
        """A person looks at what a rollback would write, and orders the first rung that writes anything; between the two goes what a plan takes."""

        def said() -> None:
            with contextlib.suppress(Denied):
                rung = next((each for each in self.desk.plan(policy.name).rungs if each.outcome == "planned"), None)
                if rung is not None and rung.digest is not None:
                    ByHand(self.desk, self.hands).rollback(policy.name, Wish(rung.number, rung.digest, "ann", "it burns"))
                    self._done(policy.target)

        self.turns.submit(self.shielded, said)

    def undo(self, incident: str) -> None:
        """A person looks at what taking back the incident's newest write would do, and orders that."""

        def said() -> None:
            with contextlib.suppress(Denied):
                by_hand = ByHand(self.desk, self.hands)
                rung = next((each for each in reversed(by_hand.undo_plan(incident).rungs) if each.outcome == "planned"), None)
                if rung is not None and rung.digest is not None:
                    by_hand.undo(incident, Wish(rung.number, rung.digest, "ann", "it was the database", ("quarantine",)))
                    self._done(self.desk.incident(incident).target)

        self.turns.submit(self.shielded, said)

    def _done(self, target: str) -> None:
        def again() -> None:
            self.again_at[target] = self.clock.now
            self.engine.decide_again(target)

        self._soon(lambda: self._engine_does(again))
        self._told()

    def _told(self) -> None:
        self._soon(self._deliver)

    def _soon(self, work: Callable[[], None]) -> None:
        """In a moment, unless this life ends before."""
        life = self.store

        def happen() -> None:
            if self.frozen_until > self.clock.now:
                self.clock.at(self.frozen_until, happen)
            elif self.store is life:
                self.shielded(work)

        self.clock.after(0.05, happen)

    def _engine_does(self, work: Callable[[], None]) -> None:
        """One thing after the other, as on the engine's thread; in the middle of it others go on where transactions take a while."""
        if not self._parts[1].is_slow:
            self.shielded(work)
            return
        self._works.append(work)
        if len(self._works) == 1:
            self.turns.submit(self._work_off, self._works)

    def _work_off(self, works: list[Callable[[], None]]) -> None:
        while works and self._works is works and not self.is_dead:
            self.shielded(works[0])
            works.pop(0)

    def shielded(self, work: Callable[[], None]) -> None:
        """As the product's threads: the store may refuse, the process may be killed; a bug of its own fails the story."""
        if self.is_dead:
            return
        try:
            work()
        except StoreError as fault:
            self.trouble.failed(str(fault))
        except Killed:
            pass
