"""A story told: services, replicas and faults on one virtual clock, watched by the oracles after every step."""

import logging
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from rollbackd.policies.decide.events import Acked, Approved
from rollbackd.policies.decide.incident import Phase
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Lack, Reading
from tests.policies.literals import T0
from tests.simulation.faults import strike
from tests.simulation.memory import Memory
from tests.simulation.oracles import Oracles
from tests.simulation.outside import Outside
from tests.simulation.replica import Pager, Replica
from tests.simulation.shop import EVERY, HEALTHY, MINUTE, service
from tests.simulation.story import FAULTS, SERVICES, SLOTS, Event, Story
from tests.simulation.turns import Clock

CALM_SLOTS = 34
"""So many slots after the last fault: long enough for every claim, time-out and give-up."""


class World:
    """``tell`` plays the story to its end and raises Violation where a promise is broken."""

    def __init__(self, story: Story, memory: Memory, folder: Path, *, has_preconditions: bool = True) -> None:
        memory.clear()
        for old in folder.glob("pause-*"):
            old.rmdir() if old.is_dir() else old.unlink()
        self.story = story
        self.clock = Clock(T0)
        self.memory = memory
        self.outside = Outside(self.clock)
        self.outside.has_preconditions = has_preconditions
        self.pager = Pager()
        self.services = [service(number, needs_people=number == SERVICES - 1) for number in range(SERVICES)]
        for each in self.services:
            self.outside.add(each.key)
            if each.flag:
                self.outside.flags[each.flag] = "off"
        self.outside.changed = self.settle
        self.settle()
        parts = self.clock, memory, self.outside, self.pager, folder, story.settings
        self.replicas = [Replica(f"r{number}", *parts) for number in range(story.replicas)]
        self.oracles = Oracles(self)
        self._released = 1

    def tell(self) -> int:
        """The story went well; returns how many incidents it had."""
        random.seed(self.story.seed)  # for the product's own jitter
        for each in self.services:
            with self.replicas[0].store.transaction() as tx:
                tx.mark(each.key, "v1", *self.oracles.GOOD, self.clock.now)
        for slot in range(1, SLOTS + CALM_SLOTS):
            self.clock.at(T0 + slot * EVERY, lambda slot=slot: self._slot(slot))
        for event in self.story.events:
            self.clock.at(T0 + timedelta(seconds=event.at), lambda event=event: self._happen(event))
        self.clock.at(T0 + SLOTS * EVERY + timedelta(seconds=5), self._calm)
        try:
            self.clock.run(T0 + SLOTS * EVERY + MINUTE, self.oracles.look)
            while not self.oracles.is_quiet() and self.clock.now < T0 + (SLOTS + CALM_SLOTS) * EVERY:
                self.clock.run(self.clock.now + EVERY, self.oracles.look)
            self.oracles.look_back()
        finally:
            for replica in self.replicas:
                replica.turns.kill()
        return self.oracles.incidents

    def settle(self) -> None:
        for each in self.services:
            each.settle(self.outside)

    def read(self, policy: Policy, at: Any) -> Reading:
        return self.services[int(policy.name[1:])].read(at, self.clock.now)

    def later(self, seconds: float, what: Any) -> None:
        self.clock.after(seconds, what)

    # --- parts --------------------------------------------------------------------------------------------------------------------------

    def _slot(self, slot: int) -> None:
        order = list(self.replicas)
        random.Random(self.story.seed * 1_000 + slot).shuffle(order)
        for turn, replica in enumerate(order):
            self.clock.after(0.2 * (turn + 1), lambda replica=replica, slot=slot: self._slot_of(replica, slot))

    def _slot_of(self, replica: Replica, slot: int) -> None:
        if replica.is_dead or replica.frozen_until > self.clock.now:
            return  # missed: never replayed
        at = T0 + slot * EVERY + replica.skew
        at -= (at - T0) % EVERY
        if replica.last_at is not None and at <= replica.last_at:
            return  # its clock went back: no slot comes twice
        replica.last_at = at
        replica.slot(at, [each.policy for each in self.services], self.read)
        replica.deliver()

    def _happen(self, event: Event) -> None:
        if event.kind in FAULTS:
            strike(self, self.replicas[event.who % len(self.replicas)], event)
            return
        getattr(self, f"_{event.kind.replace('-', '_')}")(event)
        self.settle()

    def _deploy(self, event: Event, share: float) -> None:
        self._released += 1
        target = self.services[event.who]
        target.quality[f"v{self._released}"] = share
        self.outside.deploy(target.key, f"v{self._released}")

    def _deploy_bad(self, event: Event) -> None:
        self._deploy(event, event.size)

    def _deploy_good(self, event: Event) -> None:
        self._deploy(event, HEALTHY)

    def _flip(self, event: Event) -> None:
        target = self.services[event.who]
        if target.flag:
            target.flag_share = event.size
            self.outside.flip(target.flag, "on")

    def _storm(self, event: Event) -> None:
        hit = [self.services[(event.who + offset) % SERVICES] for offset in range(int(event.size))]
        for each in hit:
            each.storm = 0.7
        self.later(60, lambda: self._heal_all(hit))

    def _heal_all(self, hit: Any) -> None:
        for each in hit:
            each.storm = 0.0
        self.settle()

    def _heal(self, event: Event) -> None:
        target = self.services[event.who]
        target.quality = dict.fromkeys(target.quality, HEALTHY)
        target.flag_share = 0.0

    def _reapply(self, event: Event) -> None:
        """GitOps puts back what ran before the last write, whoever made that."""
        live = self.outside.workloads[self.services[event.who].key]
        if len(live.kept) > 1:
            self.outside.deploy(live.key, live.kept[-2], "argocd")

    def _unready(self, event: Event) -> None:
        key = self.services[event.who].key
        self.outside.unready.add(key)
        self.later(event.size, lambda: self.outside.make_ready(key))

    def _silent(self, event: Event) -> None:
        target = self.services[event.who]
        target.silent_until = self.clock.now + timedelta(seconds=event.size)
        target.lack = Lack.ERROR if event.size > 20 else Lack.NODATA

    def _ack(self, event: Event) -> None:
        self._by_people(event, lambda incident: Acked(incident.id, self.clock.now, "ann"))

    def _approve(self, event: Event) -> None:
        approving = Event(event.at, event.kind, SERVICES - 1)
        self._by_people(
            approving, lambda i: Approved(i.id, self.clock.now, i.offer.plan_digest, "ann") if i.phase is Phase.AWAITING and i.offer else None
        )

    def _by_people(self, event: Event, word: Any) -> None:
        store = next((each.store for each in self.replicas if not each.is_dead and not each.store.is_cut and not each.store.is_full), None)
        if store is None:
            return
        found = next((each for each in store.open_incidents() if each.target == self.services[event.who].key), None)
        said = word(found) if found is not None else None
        if said is not None:
            with store.transaction() as tx:
                tx.record(said)

    def _calm(self) -> None:
        """Nothing is broken any more; what the services do is up to the product."""
        self.pager.is_down = False
        for key in list(self.outside.unready):
            self.outside.make_ready(key)
        for replica in self.replicas:
            if replica.is_dead:
                replica.boot()
            replica.heal()


def silence() -> None:
    """The product's log is written nowhere: building its lines would take a third of the time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False)
