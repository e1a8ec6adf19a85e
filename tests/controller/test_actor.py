"""What stands between an order and its one write, and what people hear of it: a real journal, a target of our own; waiting moves the clock."""

import sqlite3
import threading
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import NothingToDo
from rollbackd.controller.pause.file import Pause
from rollbackd.policies.known.events import Acked, Applied, Approved, Held, Intended, Offered, Ordered, RungEnd, Stopped
from rollbackd.policies.model.policy import RevertRung
from tests.controller.act_samples import ACT, BEFORE, DONE, ELSEWHERE, ORDER, PLAN, SHOP, THERE, UNDERWAY, AtOnce, Deployments
from tests.controller.journal_samples import CART, CHECKOUT, CLOSED, HELD, HOUR, SECOND, T0, WIDE, acted_and_closed, begin, claim

TICK = timedelta(microseconds=1)


class Later(Executor):
    """What is submitted waits in ``work`` until somebody does it."""

    def __init__(self, work):
        self._work = work

    def submit(self, fn, /, *args, **kwargs):
        self._work.append(partial(fn, *args, **kwargs))
        return Future()


ORDERED = Ordered("inc-1", T0, 0, CHECKOUT, "rev-b", "0123456789abcdef", "ann", "customers say so")


# --- how old an order may be ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "oldest"),
    [pytest.param(10 * SECOND, 120 * SECOND, id="two-minutes"), pytest.param(20 * SECOND, 160 * SECOND, id="eight-looks-where-they-take-longer")],
)
@pytest.mark.parametrize(("older", "kinds"), [(timedelta(0), DONE), (TICK, [])])
def test_what_was_decided_is_carried_out_as_long_as_its_evidence_is_new(acting, every, oldest, older, kinds):
    acting.clock.move(oldest + older)
    acting.actor.begin(replace(ORDER, policy=replace(SHOP, every=every)))
    assert acting.kinds() == kinds
    assert acting.decided == ([CHECKOUT] if kinds else [])


@pytest.mark.parametrize("every", [10 * SECOND, 20 * SECOND])
@pytest.mark.parametrize(("longer", "kinds"), [(timedelta(0), DONE), (TICK, [])])
def test_it_waits_for_a_free_worker_no_longer_than_two_looks_or_half_a_minute(acting, every, longer, kinds):
    later = []
    actor = acting.made(pool=Later(later), stop=acting.stop)
    actor.begin(replace(ORDER, policy=replace(SHOP, every=every)))
    acting.clock.move(max(2 * every, 30 * SECOND) + longer)
    later.pop()()
    assert acting.kinds() == kinds


def test_where_everything_comes_too_late_people_are_told_once_giving_up_is_due(acting):
    acting.clock.move(SHOP.timing.give_up - TICK)
    acting.actor.begin(replace(ORDER, act=replace(ACT, at=T0 - HOUR)))
    assert acting.kinds() == []
    acting.clock.move(TICK)
    acting.actor.begin(replace(ORDER, act=replace(ACT, at=T0 - HOUR)))
    (held,) = acting.events()
    assert (held.guard, acting.queued(), acting.target.written) == ("late", ["held"], [])
    assert "metrics are read too slowly, or too much is under way; nothing was written" in held.reason


def test_what_people_have_just_approved_is_not_given_up_at_the_first_decision_that_comes_too_late(acting):
    """They may have thought about it for longer than that."""
    acting.clock.move(SHOP.timing.give_up)
    plan = Offered("inc-1", T0, 0, CHECKOUT, "rev-b", "rev-a", PLAN.digest, "e1", 1, T0 + HOUR, "put it back", "why")
    acting.record(plan, Approved("inc-1", T0 + SHOP.timing.give_up, PLAN.digest, "ann"))
    acting.actor.begin(replace(ORDER, act=replace(ACT, plan_digest=PLAN.digest, by=("ann",))))
    assert acting.kinds() == [Offered, Approved]


def test_an_order_of_a_person_is_carried_out_however_late(acting):
    acting.record(replace(ORDERED, plan_digest=PLAN.digest))
    acting.clock.move(HOUR)
    acting.actor.begin(replace(ORDER, act=replace(ACT, plan_digest=PLAN.digest, by=("ann",))))
    assert acting.kinds() == [Ordered, *DONE]


# --- when it is decided again at once -------------------------------------------------------------------------------------------------


def test_what_changed_nothing_is_not_decided_again_at_once(acting):
    acting.record(ORDERED)
    acting.actor.begin(ORDER)  # refused: a person has ordered something else
    assert (acting.kinds(), acting.decided) == ([Ordered], [])


def test_what_was_to_begin_while_the_incident_was_busy_is_decided_again(acting):
    later = []
    actor = acting.made(pool=Later(later), stop=acting.stop)
    actor.begin(replace(ORDER, act=replace(ACT, at=T0 - HOUR)))
    actor.begin(ORDER)
    later.pop()()
    assert (acting.kinds(), acting.decided, later) == ([], [CHECKOUT], [])


def test_a_person_who_orders_does_not_wait_for_what_was_written_before(acting):
    """The rollout of an earlier rung may take hours; it is waited for no longer than until the order is to begin."""
    later, order = [], replace(ORDERED, rung=1)
    actor = acting.made(pool=Later(later), stop=acting.stop)
    look = acting.target.look

    def ordered_meanwhile(intent):
        if len(acting.target.looked_for) == 2:
            acting.record(HELD, order)
            actor.begin(replace(ORDER, act=replace(ACT, rung=1, by=("ann",))))
        acting.target.looked_for.append(intent)
        return UNDERWAY

    acting.target.look = ordered_meanwhile
    actor.begin(ORDER)
    later.pop()()
    acting.target.look = look
    assert (acting.kinds(), acting.decided, actor.is_busy("inc-1")) == ([Intended, Applied, Held, Ordered], [CHECKOUT], False)


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


def meets_somebody_who_has_taken_it(acting):
    acting.record(Acked("inc-1", T0, "ann"))
    return [Acked]


def meets_an_order_for_another_rung(acting):
    acting.record(replace(ORDERED, rung=1))
    return [Ordered]


def meets_its_own_deadline(acting):
    acting.target.made = replace(PLAN, apply_within=timedelta(0))
    return []


@pytest.mark.parametrize(
    "meets", [meets_a_claim, meets_people, meets_somebody_who_has_taken_it, meets_an_order_for_another_rung, meets_its_own_deadline]
)
def test_what_others_did_meanwhile_or_the_next_look_decides_anew_is_no_reason_to_hold(acting, meets):
    there = meets(acting)
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.queued(), acting.target.written) == (there, [], [])


@pytest.mark.parametrize(
    "made", [Refused("it stands at rev-a"), NothingToDo("it serves rev-a"), Transient("503"), Permanent("403")], ids=lambda made: type(made).__name__
)
def test_what_was_planned_after_another_one_had_claimed_the_step_does_not_end_it(acting, made):
    claim(acting.store)
    acting.target.stands = THERE
    acting.target.made = made
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.queued()) == ([Intended], [])


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(replace(ORDER, is_offer=True), id="to-be-put-to-people"),
        pytest.param(replace(ORDER, act=replace(ACT, plan_digest="0123456789abcdef", by=("ann",))), id="decided-on-another-plan"),
        pytest.param(ORDER, id="paused"),
    ],
)
def test_nobody_is_asked_or_told_about_a_step_that_another_one_has_claimed_meanwhile(acting, order):
    claim(acting.store)
    acting.pause.pause("game day", "alice", T0)
    acting.actor.begin(order)
    assert (acting.kinds(), acting.queued()) == ([Intended], [])


def test_what_the_machine_decided_is_not_begun_in_an_incident_that_somebody_has_taken_and_what_they_order_is(acting):
    acting.record(Acked("inc-1", T0, "ann"))
    acting.actor.begin(replace(ORDER, act=replace(ACT, by=("ann",))))
    assert (acting.kinds(), len(acting.target.written)) == ([Acked, *DONE], 1)


def test_an_order_waits_for_nothing_that_the_machine_decided_meanwhile(acting):
    ordered = replace(ORDERED, plan_digest=PLAN.digest)
    acting.record(ordered)
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.store.incident("inc-1").order) == ([Ordered], ordered)
    acting.actor.begin(replace(ORDER, act=replace(ACT, by=("ann",), plan_digest=PLAN.digest)))
    assert (acting.kinds(), len(acting.target.written)) == ([Ordered, *DONE], 1)


def test_a_pause_that_is_set_after_the_intent_is_durable_stops_the_write(acting):
    acting.when_told = lambda: acting.pause.pause("game day", "alice", T0)
    acting.actor.begin(ORDER)
    ended = acting.events()[-1]
    assert (acting.kinds(), acting.target.written) == ([Intended, Stopped], [])
    assert (ended.how, ended.reason.startswith("paused: game day")) == (RungEnd.REFUSED, True)


def test_what_a_person_put_back_before_the_plan_was_made_is_superseded_and_no_further_rung_is_reached(acting):
    acting.target.stands, acting.target.made = THERE, NothingToDo("it serves rev-a")
    acting.actor.begin(ORDER)
    assert [(event.how, event.reason) for event in acting.events()] == [(RungEnd.SUPERSEDED, "it serves rev-a")]


def test_what_stands_as_it_was_judged_and_needs_nothing_leads_on_to_the_next_rung(acting):
    acting.target.made = NothingToDo("no flag is on")
    acting.actor.begin(ORDER)
    assert [event.how for event in acting.events()] == [RungEnd.NOTHING]


def test_a_target_that_cannot_be_reached_at_one_moment_ends_no_step(acting):
    acting.target.made = Transient("429")
    acting.actor.begin(ORDER)
    acting.clock.move(9 * SECOND)
    acting.actor.begin(ORDER)
    assert acting.kinds() == []
    acting.target.made = PLAN
    acting.actor.begin(ORDER)
    assert acting.kinds() == DONE


def test_a_target_that_cannot_be_reached_ten_seconds_later_ends_the_step(acting):
    acting.target.made = Transient("429")
    acting.actor.begin(ORDER)
    acting.clock.move(10 * SECOND)
    acting.actor.begin(ORDER)
    assert [(event.how, event.reason) for event in acting.events()] == [(RungEnd.REFUSED, "429; nothing was written")]


# --- what people see before anything is written ---------------------------------------------------------------------------------------


def test_an_order_of_people_for_another_plan_than_the_one_that_would_be_carried_out_now_is_held(acting):
    acting.record(ORDERED)
    acting.actor.begin(replace(ORDER, act=replace(ACT, plan_digest="0123456789abcdef", by=("ann",))))
    held = acting.events()[-1]
    seen, now = "0123456789ab", PLAN.digest[:12]
    assert (held.guard, acting.queued(), acting.target.written) == ("plan", ["held"], [])
    assert held.reason == f"the plan is no longer the one that ann saw ({seen} -> {now}); nothing was written; look again"


class InPlace(Deployments):
    """The cart already stands where a plan would put it."""

    def plan(self, request):
        return NothingToDo("it serves rev-a") if request.target == CART else super().plan(request)


def test_what_ended_before_the_plan_that_people_are_asked_about_is_on_record_and_what_follows_it_is_not(acting):
    acting.target = InPlace()
    cart = replace(ACT, remedy=RevertRung(CART))
    others = (replace(ORDER, act=replace(ACT, rung=1)), replace(ORDER, act=replace(cart, rung=2)))
    acting.made(pool=AtOnce(), stop=acting.stop).begin(replace(ORDER, act=cart, others=others, is_offer=True))
    assert [(type(event), event.rung) for event in acting.events()] == [(Stopped, 0), (Offered, 1)]


# --- between the claim and the write --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [10 * SECOND, 30 * SECOND], ids=["too-late-to-be-over-in-time", "run-out"])
def test_nothing_is_written_on_a_claim_that_ends_before_the_write_has_to(acting, late):
    acting.when_told = lambda: acting.journal.move(late)
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_the_time_of_a_write_counts_from_when_its_claim_was_looked_at(acting):
    moments = iter((7.0, 99.0))

    class Standing(Pause):
        """The process stands still while it looks at the switch."""

        def read(self):
            now[0] = next(moments)
            return super().read()

    now = [1.0]
    acting.pause = Standing(acting.pause.file)  # looked at before the intent, and again just before the write
    acting.made(pool=AtOnce(), stop=acting.stop, steady=lambda: now[0]).begin(ORDER)
    assert ([plan.begun for plan in acting.target.written], now) == ([7.0], [99.0])


def test_nothing_is_written_on_a_claim_that_another_replica_has_taken_over(acting):
    acting.when_told = lambda: acting.taken_over("two")
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_nothing_is_written_once_the_daemon_stops(acting):
    acting.when_told = acting.stop.set
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_nothing_is_written_on_a_claim_that_somebody_took_out_of_the_journal(acting):
    acting.when_told = acting.edited
    acting.actor.begin(ORDER)
    assert acting.kinds() == [Intended, Stopped]
    assert (acting.events()[1].how, acting.target.written, acting.target.looked_for) == (RungEnd.OVERTAKEN, [], [])


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
    assert acting.clock() == T0 + after * SECOND, "there is no end state to wait for"


@pytest.mark.parametrize("answer", [Transient("no answer"), Refused("it was written by us already")])
def test_a_write_without_an_accepting_answer_that_is_seen_is_waited_for(acting, answer):
    acting.target.fault, acting.target.stands = answer, THERE
    acting.actor.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])


# --- a store that takes nothing ---------------------------------------------------------------------------------------------------------


def test_a_store_that_takes_no_intent_is_told_of_and_nothing_is_written_nor_decided_again_at_once(acting):
    failed = []
    actor = acting.made(pool=AtOnce(), stop=acting.stop, failed=failed.append)
    with closing(sqlite3.connect(acting.store.database.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        actor.begin(ORDER)
        other.rollback()
    assert ["nothing was written" in why for why in failed] == [True]
    assert (acting.decided, acting.target.written, actor.is_busy("inc-1")) == ([], [], False)
    actor.begin(ORDER)
    assert (acting.decided, acting.kinds()) == ([CHECKOUT], DONE)


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
    actor = acting.made(most=1, stop=stop)
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
