"""What stands between an order and its one write, and what people hear of it: a real journal, a target of our own; waiting moves the clock."""

import threading
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.act.order import Order
from rollbackd.controller.journal.rows import parcel_of
from rollbackd.controller.journal.schema import claims, outbox
from rollbackd.controller.journal.store import Store
from rollbackd.controller.pause.file import Pause
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.events import Applied, Held, Intended, RungEnd, Settled, Stopped
from rollbackd.policies.model.policy import RevertRung
from tests.controller.act_samples import BEFORE, ELSEWHERE, PLAN, THERE, Deployments, Stop
from tests.controller.journal_samples import (
    CART,
    CHECKOUT,
    CLOSED,
    HELD,
    HOUR,
    SECOND,
    T0,
    WIDE,
    Clock,
    acted_and_closed,
    begin,
    claim,
)
from tests.policies.literals import POLICY

SHOP = replace(POLICY, target=CHECKOUT, every=10 * SECOND)
ACT = Act("inc-1", T0, 0, RevertRung(CHECKOUT), "rev-b", None, "uid/7", "0.071 > 0.050", "e1")
ORDER = Order(ACT, SHOP, ("rev-a",), {}, WIDE, ("oncall",))
TICK = timedelta(microseconds=1)
DONE = [Intended, Applied, Settled]


class AtOnce(Executor):
    """What is submitted is done when that returns."""

    def submit(self, fn, /, *args, **kwargs):
        fn(*args, **kwargs)
        return Future()


class Acting:
    """An actor over a journal with an open incident. ``when_told``: what happens each time that a message was queued."""

    def __init__(self, folder):
        self.clock, self.journal = Clock(), Clock()
        self.store = Store.open(f"sqlite:///{folder}/journal.db", "one", self.journal)
        self.target = Deployments()
        self.pause = Pause(folder / "pause")
        self.stop = Stop(self.clock)
        self.decided, self.told = [], []
        self.when_told = lambda: None
        self.actor = self.made(pool=AtOnce(), stop=self.stop)
        begin(self.store)

    def made(self, **how):
        targets = {"kubernetes": self.target}
        return Actor(self.store, targets, self.pause, self.clock, self.decided.append, self._told, look_every=SECOND, **how)

    def _told(self):
        self.told.append(self.queued())
        self.when_told()

    def queued(self):
        """The kinds of the messages that wait to be sent."""
        with self.store.transaction() as tx:
            return [parcel_of(row).notice.kind for row in tx.connection.execute(select(outbox).order_by(outbox.c.turn))]

    def record(self, *events):
        with self.store.transaction() as tx:
            for event in events:
                assert tx.record(event)

    def events(self, incident="inc-1"):
        return list(self.store.events(incident)[1:])

    def kinds(self, incident="inc-1"):
        return [type(event) for event in self.events(incident)]

    def guards(self):
        return [event.guard for event in self.events() if isinstance(event, Held)]

    def taken_over(self, *claimants):
        """Each of them took the claim of the one before, once that had run out."""
        for name in claimants:
            self.journal.move(30 * SECOND)
            with self.store.transaction() as tx:
                assert tx.take_over("inc-1", 0, CHECKOUT, name)


@pytest.fixture
def acting(tmp_path):
    acting = Acting(tmp_path)
    yield acting
    acting.actor.close()
    acting.store.close()


# --- how old an order may be ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "oldest"),
    [pytest.param(10 * SECOND, 30 * SECOND, id="half-a-minute"), pytest.param(20 * SECOND, 40 * SECOND, id="two-looks-where-they-take-longer")],
)
@pytest.mark.parametrize(("older", "kinds"), [(timedelta(0), DONE), (TICK, [])])
def test_an_order_is_carried_out_as_long_as_its_evidence_is_new(acting, every, oldest, older, kinds):
    acting.clock.move(oldest + older)
    acting.actor.begin(replace(ORDER, policy=replace(SHOP, every=every)))
    assert acting.kinds() == kinds
    assert acting.decided == [CHECKOUT]


# --- what stands against a claim ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guard", "limits"),
    [
        ("in-flight-namespace", {"in_flight_per_namespace": 0}),
        ("in-flight", {"in_flight": 0}),
        ("per-hour", {"per_hour": 0}),
        ("per-target-day", {"per_target_per_day": 0}),
        ("cool-down", {"cooldown": HOUR}),
    ],
)
def test_a_guard_that_is_met_as_late_as_the_claim_gives_the_incident_to_people(acting, guard, limits):
    with acting.store.transaction() as tx:
        tx.record(CLOSED)
    acted_and_closed(acting.store, "inc-0")
    begin(acting.store, "inc-2")
    acting.actor.begin(replace(ORDER, act=replace(ACT, incident="inc-2"), limits=replace(WIDE, **limits)))
    (held,) = acting.events("inc-2")
    assert held.guard == guard
    assert (acting.queued(), acting.target.written) == (["held"], [])


def meets_a_claim(acting):
    claim(acting.store)
    return [Intended]


def meets_people(acting):
    acting.record(HELD)
    return [Held]


def meets_its_own_deadline(acting):
    acting.target.made = replace(PLAN, apply_within=timedelta(0))
    return []


@pytest.mark.parametrize("meets", [meets_a_claim, meets_people, meets_its_own_deadline])
def test_what_others_did_meanwhile_or_the_next_look_decides_anew_is_no_reason_to_hold(acting, meets):
    there = meets(acting)
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.queued(), acting.target.written) == (there, [], [])


# --- between the claim and the write --------------------------------------------------------------------------------------------------


def test_nothing_is_written_on_a_claim_that_has_run_out(acting):
    acting.when_told = lambda: acting.journal.move(30 * SECOND)
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_nothing_is_written_on_a_claim_that_another_replica_has_taken_over(acting):
    acting.when_told = lambda: acting.taken_over("two")
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_nothing_is_written_once_the_daemon_stops(acting):
    acting.when_told = acting.stop.set
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_nothing_is_written_on_a_claim_that_somebody_took_out_of_the_journal(acting):
    def edited():
        with acting.store.transaction() as tx:
            tx.connection.execute(delete(claims))

    acting.when_told = edited
    acting.actor.begin(ORDER)
    assert acting.kinds() == [Intended, Stopped]
    assert (acting.events()[1].how, acting.target.written) == (RungEnd.OVERTAKEN, [])


# --- what the target answers ----------------------------------------------------------------------------------------------------------


def test_an_accepted_write_is_sent_once_and_waited_for(acting):
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])
    assert set(map(str, acting.target.looked_for)) == {str(PLAN.intent)}


@pytest.mark.parametrize(
    ("answer", "stands", "after", "how", "reason", "advice"),
    [
        pytest.param(Transient("no answer"), BEFORE, 10, RungEnd.FAILED, "no answer", "", id="lost-and-not-seen"),
        pytest.param(Transient("no answer"), ELSEWHERE, 0, RungEnd.OVERTAKEN, "it stands at rev-c", "", id="lost-and-somebody-else-was-there"),
        pytest.param(Refused("it is paused", advice="resume it"), BEFORE, 10, RungEnd.REFUSED, "it is paused", "resume it", id="unsafe"),
        pytest.param(Refused("it moved"), ELSEWHERE, 0, RungEnd.SUPERSEDED, "it stands at rev-c", "", id="unsafe-since-somebody-else-was-there"),
        pytest.param(Permanent("forbidden"), THERE, 0, RungEnd.REFUSED, "forbidden", "", id="rejected"),
    ],
)
def test_a_write_that_is_not_accepted_is_not_repeated_and_says_why(acting, answer, stands, after, how, reason, advice):
    acting.target.fault, acting.target.stands = answer, stands
    acting.actor.begin(ORDER)
    assert acting.events()[1:] == [Stopped("inc-1", T0 + after * SECOND, 0, CHECKOUT, how, reason, advice)]
    assert acting.target.written == [PLAN]


# --- those who died on a step ---------------------------------------------------------------------------------------------------------


def picked_up_by_one(acting):
    """This daemon finds the incident with its claim run out."""
    acting.journal.move(30 * SECOND)
    acting.actor.resume(acting.store.incident("inc-1"), SHOP)


def test_the_third_claimant_of_a_step_still_tries(acting):
    claim(acting.store)
    acting.taken_over("two")
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])


def test_after_three_claimants_a_step_is_given_to_people(acting):
    claim(acting.store)
    acting.taken_over("two", "three")
    picked_up_by_one(acting)
    assert acting.events()[1:] == [Stopped("inc-1", T0, 0, CHECKOUT, RungEnd.FAILED, "3 claimants died on this step")]
    assert acting.target.written == []


def test_a_step_whose_claimant_may_live_is_left_to_it(acting):
    claim(acting.store)
    acting.actor.resume(acting.store.incident("inc-1"), SHOP)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


# --- what people hear -----------------------------------------------------------------------------------------------------------------


def test_the_outbox_is_woken_once_the_message_of_a_step_is_in_it(acting):
    acting.actor.begin(ORDER)
    assert acting.told == [["started"]]


def test_the_outbox_is_woken_once_the_message_of_what_holds_is_in_it(acting):
    acting.pause.pause("game day", "alice", T0)
    acting.actor.begin(ORDER)
    assert (acting.guards(), acting.told) == (["pause"], [["held"]])
    acting.actor.begin(ORDER)
    assert (acting.guards(), acting.told) == (["pause"], [["held"]]), "it was on record before"


def test_the_outbox_is_woken_once_the_plan_that_people_are_asked_about_is_in_it(acting):
    acting.actor.begin(replace(ORDER, is_offer=True))
    assert acting.told == [["approval"]]


# --- the end of the daemon ------------------------------------------------------------------------------------------------------------


class Slow(Deployments):
    """A write is under way until the daemon stops."""

    def __init__(self, stop):
        super().__init__()
        self.is_writing = threading.Event()
        self._stop = stop

    def apply(self, plan):
        self.is_writing.set()
        assert self._stop.wait(20), "nothing stopped"
        super().apply(plan)


def test_at_the_end_what_is_under_way_is_waited_for_and_nothing_more_begins(acting):
    stop = threading.Event()
    slow = acting.target = Slow(stop)
    actor = acting.made(workers=1, stop=stop)
    begin(acting.store, "inc-2", CART)
    second = replace(ORDER, act=replace(ACT, rung=1))
    actor.begin(replace(ORDER, others=(second,)))
    assert slow.is_writing.wait(20)
    waiting = replace(ORDER, act=replace(ACT, incident="inc-2", remedy=RevertRung(CART)))
    actor.begin(waiting)
    actor.close()
    assert (acting.kinds(), acting.kinds("inc-2"), actor.is_busy("inc-1")) == ([Intended, Applied], [], False)
    actor.begin(replace(ORDER, act=replace(ACT, incident="inc-3")))
    assert not actor.is_busy("inc-3")
