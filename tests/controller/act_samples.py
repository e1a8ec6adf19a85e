"""How a target may stand, one that keeps what it was told, and waiting that takes no time: for the tests of what acts."""

import threading
from datetime import timedelta

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Sight, Standing
from tests.controller.journal_samples import CHECKOUT, Clock

BEFORE = Sight(Standing.BEFORE, "still at rev-b", "rev-b")
UNDERWAY = Sight(Standing.UNDERWAY, "1 of 3 ready", "rev-a")
THERE = Sight(Standing.THERE, "3 of 3 ready", "rev-a")
ELSEWHERE = Sight(Standing.ELSEWHERE, "it stands at rev-c", "rev-c")
PLAN = Plan(Intent(CHECKOUT, "inc-1", "rev-b", "rev-a", {"image": "a:1"}), "put checkout back to rev-a", ("image b:1 -> a:1",))


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
    """Every deployment of a cluster: stands where ``stands`` says, and is there once a write was accepted. ``fault``: what a write meets instead."""

    kind = "kubernetes"

    def __init__(self) -> None:
        self.stands = BEFORE
        self.fault: AdapterError | None = None
        self.made = PLAN
        self.looked_for: list[Intent] = []
        self.written: list[Plan] = []

    def plan(self, request: PlanRequest) -> Plan:
        return self.made

    def apply(self, plan: Plan) -> None:
        self.written.append(plan)
        if self.fault is not None:
            raise self.fault
        self.stands = THERE

    def look(self, intent: Intent) -> Sight:
        self.looked_for.append(intent)
        return self.stands
