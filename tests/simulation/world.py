"""A story told: services, replicas and faults on one virtual clock, watched by the oracles after every step."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from rollbackd.controller.people.hands import Hands
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Lack, Reading
from tests.policies.literals import T0
from tests.simulation.faults import strike
from tests.simulation.memory import Memory
from tests.simulation.oracles import Oracles
from tests.simulation.outside import Outside
from tests.simulation.replica import Pager, Replica
from tests.simulation.shop import EVERY, HEALTHY, service
from tests.simulation.story import FAULTS, SLOTS, Event, Story
from tests.simulation.turns import Clock

CALM_SLOTS = 60
"""So many slots after the last fault, at most: for confirmation, patience with neighbours, claim, time-out, settling and give-up in a row."""
LEAST_CALM = 5
"""So many slots at least: what is quiet before the slots after the last fault may not stay so."""


class World:
    """``tell`` plays the story to its end and raises Violation where a promise is broken. ``met``: how often what happened to it."""

    def __init__(self, story: Story, memory: Memory, folder: Path, *, has_preconditions: bool = True) -> None:
        memory.clear()
        for old in folder.glob("pause-*"):
            old.rmdir() if old.is_dir() else old.unlink()
        self.story = story
        self.clock = Clock(T0)
        self.memory = memory
        self.met: Counter[str] = Counter()
        self.outside = Outside(self.clock, self.met)
        self.outside.has_preconditions = has_preconditions
        pace = random.Random(story.seed)
        self.outside.answers_in = lambda: pace.uniform(0.0, story.slow)
        self.outside.is_slow = story.slow > 0
        self.outside.waits = lambda: pace.uniform(0.0, story.slow / 10)
        self.pager = Pager(self.met)
        self.services = [service(number, needs_people=number == story.services - 1) for number in range(story.services)]
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
        try:
            self.begin()
            for slot in range(1, SLOTS + 1):
                self.clock.at(T0 + slot * EVERY, lambda slot=slot: self.slot(slot))
            for event in self.story.events:
                self.clock.at(T0 + timedelta(seconds=event.at), lambda event=event: self.happen(event))
            self.clock.run(T0 + SLOTS * EVERY + timedelta(seconds=5), self.oracles.look)
            self.end()
        finally:
            self.stop()
        return self.oracles.incidents

    def begin(self) -> None:
        """What runs is known good."""
        random.seed(self.story.seed)  # for the product's own jitter
        for each in self.services:
            with self.replicas[0].store.transaction() as tx:
                tx.mark(each.key, "v1", *self.oracles.GOOD, self.clock.now)

    def end(self) -> None:
        """All became calm, and everything that was under way has ended well."""
        first = (self.clock.now - T0) // EVERY + 1
        self._calm()
        for slot in range(first, first + CALM_SLOTS):
            self.slot(slot)
            self.clock.run(T0 + slot * EVERY + timedelta(seconds=5), self.oracles.look)
            if slot >= first + LEAST_CALM and self.oracles.is_quiet():
                break
        self.oracles.look_back()

    def stop(self) -> None:
        """No thread is left."""
        for replica in self.replicas:
            replica.turns.kill()

    def slot(self, slot: int, missed_by: Collection[int] = ()) -> None:
        """Every replica that runs has this slot of its clock, one after the other, but those that miss it."""
        order = [replica for number, replica in enumerate(self.replicas) if number not in missed_by]
        random.Random(self.story.seed * 1_000 + slot).shuffle(order)
        for turn, replica in enumerate(order):
            self.clock.at(T0 + slot * EVERY + timedelta(seconds=0.2 * (turn + 1)), lambda replica=replica: self._slot_of(replica, slot))

    def happen(self, event: Event) -> None:
        """The event happens now."""
        if event.kind in FAULTS:
            strike(self, self.replicas[event.who % len(self.replicas)], event)
            return
        self.met[event.kind] += 1
        getattr(self, f"_{event.kind.replace('-', '_')}")(event)
        self.settle()

    def settle(self) -> None:
        for each in self.services:
            each.settle(self.outside)

    def read(self, policy: Policy, at: Any) -> Reading:
        return self.services[int(policy.name[1:])].read(at, self.clock.now)

    def later(self, seconds: float, what: Any) -> None:
        self.clock.after(seconds, what)

    # --- parts --------------------------------------------------------------------------------------------------------------------------

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
        hit = [self.services[(event.who + offset) % len(self.services)] for offset in range(int(event.size))]
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
        self._by_people(event, lambda hands, incident: hands.ack(incident.id, "ann", "", close=False))

    def _close(self, event: Event) -> None:
        self._by_people(event, lambda hands, incident: hands.ack(incident.id, "ann", "", close=True))

    def _approve(self, event: Event) -> None:
        approving = Event(event.at, event.kind, len(self.services) - 1)
        self._by_people(
            approving, lambda hands, incident: hands.approve(incident.id, incident.offer.plan_digest if incident.offer else "", "ann", "")
        )

    def _order(self, event: Event) -> None:
        asked = next((each for each in self.replicas if each.answers()), None)
        if asked:
            asked.order(self.services[event.who].policy)

    def _undo(self, event: Event) -> None:
        """What was written last for the service, whatever became of that incident."""
        asked = next((each for each in self.replicas if each.answers()), None)
        written = self.oracles.written_last(self.services[event.who].key)
        if asked and written:
            asked.undo(written)

    def _by_people(self, event: Event, say: Callable[[Hands, Incident], object]) -> None:
        """Somebody goes to the first replica that answers."""
        target, asked = self.services[event.who].key, next((each for each in self.replicas if each.answers()), None)
        found = next((each for each in asked.store.open_incidents() if each.target == target), None) if asked else None
        if asked and found:
            asked.by_hand(target, lambda hands: say(hands, found))

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
