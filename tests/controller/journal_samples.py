"""Values that the journal's tests write: one of each, short enough to read."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Blocked, Claim
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import (
    Applied,
    Closed,
    CloseHow,
    Held,
    Intended,
    Joined,
    Opened,
    RungEnd,
    Settled,
    Stopped,
)
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode

T0 = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CHECKOUT = "kubernetes:prod/shop/deployment/checkout"
CART = "kubernetes:prod/shop/deployment/cart"

OPENED = Opened("inc-1", T0, CHECKOUT, "checkout", "d1", "uid/7", "rev-b", ("uid/7",), "error-rate", Mode.AUTO, T0, "0.071 > 0.050", "e1")
JOINED = Joined("inc-1", T0, "checkout", "memory", Mode.AUTO, "0.97 > 0.95")
INTENDED = Intended("inc-1", T0, 0, CHECKOUT, "rev-b", "rev-a", "p1", "e1", T0 + 30 * SECOND, "put checkout back to rev-a", record={"image": "a:1"})
APPLIED = Applied("inc-1", T0, 0, CHECKOUT, "accepted")
SETTLED = Settled("inc-1", T0, 0, CHECKOUT, T0 + MINUTE, "3 of 3 ready")
STOPPED = Stopped("inc-1", T0, 0, CHECKOUT, RungEnd.FAILED, "0 of 3 ready", "look at the pods")
HELD = Held("inc-1", T0, "ladder", "nothing is left to try")
CLOSED = Closed("inc-1", T0, CloseHow.RECOVERED, "0.000 for 5m0s")
EVENTS = (OPENED, JOINED, INTENDED, APPLIED, SETTLED, STOPPED, HELD, CLOSED)


def opened(incident: str, target: str = CHECKOUT, change: str = "") -> Opened:
    """An incident of its own change, unless one is named."""
    return replace(OPENED, incident=incident, target=target, change_id=change or f"change-of-{incident}")


def intended(incident: str, target: str = CHECKOUT, rung: int = 0, deadline: datetime = T0 + 30 * SECOND) -> Intended:
    """The intent of one rung."""
    return replace(INTENDED, incident=incident, target=target, rung=rung, deadline=deadline)


def notice(name: str, key: str = "inc-1", resolved: bool = False) -> Notice:
    """A message whose id is ``name``."""
    return Notice(name, key, "started", f"title of {name}", ("one", "two"), "page", resolved, T0, {"target": CHECKOUT})


def change(name: str, revision: str, predecessor: str | None = None, target: str = CHECKOUT, seen: datetime = T0) -> Change:
    """A change that came to light at ``seen``."""
    return Change(target, name, revision, predecessor, seen - MINUTE, seen, seen)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = T0) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        """Later by so much."""
        self.at += by


LIMITS = Limits()
WIDE = Limits(in_flight_per_namespace=99, in_flight=99, per_hour=99, per_target_per_day=99, cooldown=timedelta(0))


def begin(store: Store, incident: str = "inc-1", target: str = CHECKOUT, namespace: str = "shop") -> None:
    with store.transaction() as tx:
        assert tx.open(opened(incident, target), namespace)


def claim(store: Store, incident: str = "inc-1", target: str = CHECKOUT, rung: int = 0, limits: Limits = LIMITS) -> Claim | Blocked:
    with store.transaction() as tx:
        return tx.claim(intended(incident, target, rung, store.now() + 30 * SECOND), "one", limits)


def acted_and_closed(store: Store, incident: str, target: str = CHECKOUT) -> None:
    begin(store, incident, target)
    assert isinstance(claim(store, incident, target, limits=WIDE), Claim)
    with store.transaction() as tx:
        assert tx.record(Closed(incident, store.now(), CloseHow.RECOVERED, "recovered"))


def blocked_by(outcome: Claim | Blocked) -> str:
    """The guard's name, where a claim was refused."""
    assert isinstance(outcome, Blocked)
    return outcome.guard


def race(url: str, run: Callable[[Store], object]) -> list[object]:
    """What ``run`` answers in eight threads with a store each, all released at once."""
    stores = [Store.open(url, f"replica-{number}", Clock()) for number in range(8)]
    gate, answers = threading.Barrier(8), []

    def contend(store: Store) -> None:
        gate.wait()
        answers.append(run(store))

    threads = [threading.Thread(target=contend, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    return answers
