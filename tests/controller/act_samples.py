"""How a target may stand, one that keeps what it was told, waiting that takes no time, and an actor among them: for the tests of what acts."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import delete, select

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, Standing, TargetState
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.act.order import Order
from rollbackd.controller.journal.rows import parcel_of
from rollbackd.controller.journal.schema import claims, outbox
from rollbackd.controller.journal.store import Store
from rollbackd.controller.pause.file import Pause
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.events import Applied, Held, IncidentEvent, Intended, Settled
from rollbackd.policies.model.policy import RevertRung
from tests.controller.journal_samples import CHECKOUT, SECOND, T0, WIDE, Clock, begin
from tests.policies.literals import POLICY

BEFORE = Sight(Standing.BEFORE, "still at rev-b", "rev-b")
UNDERWAY = Sight(Standing.UNDERWAY, "1 of 3 ready", "rev-a")
THERE = Sight(Standing.THERE, "3 of 3 ready", "rev-a")
ELSEWHERE = Sight(Standing.ELSEWHERE, "it stands at rev-c", "rev-c")
PLAN = Plan(Intent(CHECKOUT, "inc-1", "rev-b", "rev-a", {"image": "a:1"}), "put checkout back to rev-a", ("image b:1 -> a:1",))
SHOP = replace(POLICY, target=CHECKOUT, every=10 * SECOND)
ACT = Act("inc-1", T0, 0, RevertRung(CHECKOUT), "rev-b", None, "uid/7", "0.071 > 0.050", "e1")
ORDER = Order(ACT, SHOP, ("rev-a",), {}, WIDE, ("oncall",))
DONE = [Intended, Applied, Settled]
Said = TypeVar("Said")


class Stop(threading.Event):
    """Waiting takes no time and moves the clocks."""

    def __init__(self, *clocks: Clock) -> None:
        super().__init__()
        self._clocks = clocks

    def wait(self, timeout: float | None = None) -> bool:
        for clock in self._clocks:
            clock.move(timedelta(seconds=timeout or 0))
        return self.is_set()


class Deployments:
    """Every deployment of a cluster: stands where ``stands`` says, and is there once a write was accepted. ``made``: the plan for whatever is asked.

    An error in the place of either is raised; ``fault`` is what a write meets.
    """

    kind = "kubernetes"

    def __init__(self) -> None:
        self.stands: Sight | AdapterError = BEFORE
        self.fault: AdapterError | None = None
        self.made: Plan | NothingToDo | AdapterError = PLAN
        self.looked_for: list[Intent] = []
        self.written: list[Plan] = []

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        stands = self.stands
        return {key: stands if isinstance(stands, AdapterError) else TargetState(key, stands.revision or "") for key in keys}

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        return _said(self.made)

    def apply(self, plan: Plan) -> None:
        self.written.append(plan)
        if self.fault is not None:
            raise self.fault
        self.stands = THERE

    def look(self, intent: Intent) -> Sight:
        self.looked_for.append(intent)
        return _said(self.stands)


def _said(answer: Said | AdapterError) -> Said:
    if isinstance(answer, AdapterError):
        raise answer
    return answer


class AtOnce(Executor):
    """What is submitted is done when that returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return Future()


class Acting:
    """An actor over a journal with an open incident. ``told``: what was queued each time that it said so; ``when_told``: what happens then."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """``url``: where its journal is, instead of in the folder."""
        self.clock, self.journal = Clock(), Clock()
        self.store = Store.open(url or f"sqlite:///{folder}/journal.db", "one", self.journal, patience=0.1 * SECOND)
        self.target = Deployments()
        self.pause = Pause(folder / "pause")
        self.stop = Stop(self.clock)
        self.decided: list[str] = []
        self.told: list[list[str]] = []
        self.when_told: Callable[[], object] = lambda: None
        self.actor = self.made(pool=AtOnce(), stop=self.stop)
        begin(self.store)

    def made(self, **how: Any) -> Actor:
        """Another actor of the same daemon."""
        targets = {"kubernetes": self.target}
        return Actor(self.store, targets, self.pause, self.clock, self.decided.append, self._told, look_every=SECOND, **how)

    def _told(self) -> None:
        self.told.append(self.queued())
        self.when_told()

    def queued(self) -> list[str]:
        """The kinds of the messages that wait to be sent."""
        with self.store.transaction() as tx:
            return [parcel_of(row).notice.kind for row in tx.connection.execute(select(outbox).order_by(outbox.c.turn))]

    def record(self, *events: IncidentEvent) -> None:
        with self.store.transaction() as tx:
            for event in events:
                assert tx.record(event)

    def events(self, incident: str = "inc-1") -> list[IncidentEvent]:
        """What is on record after the incident was opened."""
        return list(self.store.events(incident)[1:])

    def kinds(self, incident: str = "inc-1") -> list[type[IncidentEvent]]:
        return [type(event) for event in self.events(incident)]

    def guards(self) -> list[str]:
        return [event.guard for event in self.events() if isinstance(event, Held)]

    def taken_over(self, *claimants: str) -> None:
        """Each of them took the claim of the one before, once that had run out."""
        for name in claimants:
            self.journal.move(30 * SECOND)
            with self.store.transaction() as tx:
                assert tx.take_over("inc-1", 0, CHECKOUT, name)

    def edited(self) -> None:
        """Somebody took every claim out of the journal."""
        with self.store.transaction() as tx:
            tx.connection.execute(delete(claims))

    def close(self) -> None:
        self.actor.close()
        self.store.close()
