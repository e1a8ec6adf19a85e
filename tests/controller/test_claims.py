import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import BEGIN_WITHIN, Blocked, Claim
from rollbackd.policies.known.events import Applied, Closed, CloseHow, IncidentEvent, Ordered, RungEnd
from rollbackd.policies.known.fleet import Flight, Limits
from rollbackd.policies.known.incident import Mended
from tests.controller.journal_samples import (
    APPLIED,
    CART,
    CHECKOUT,
    CLOSED,
    HELD,
    HOUR,
    INTENDED,
    LIMITS,
    MINUTE,
    OPENED,
    SECOND,
    SETTLED,
    STOPPED,
    T0,
    WIDE,
    Clock,
    acted_and_closed,
    begin,
    blocked_by,
    claim,
    intended,
    race,
)


def test_a_claim_makes_the_intent_durable_and_ends_with_the_outcome(store: Store) -> None:
    begin(store)
    given = claim(store)
    assert isinstance(given, Claim)
    assert store.claim_on("inc-1", 0, CHECKOUT) == given
    with store.transaction() as tx:
        tx.record(APPLIED)
    assert store.claim_on("inc-1", 0, CHECKOUT) == replace(given, ended_at=T0)


def test_one_effect_is_claimed_once_ever(store: Store) -> None:
    begin(store)
    claim(store)
    again = claim(store)
    assert again == Blocked("claimed", "rung 0 was begun or has ended already, the newest is 0; no rung is repeated")
    assert [entry.kind for entry in store.history(10)] == ["rung.intended", "incident.opened"]


@pytest.mark.parametrize("row", [APPLIED, SETTLED, STOPPED], ids=["applied", "settled", "ended"])
def test_a_rung_is_claimed_on_one_target_only_whatever_another_replica_reads_in_its_policies(store: Store, row: IncidentEvent) -> None:
    begin(store)
    assert isinstance(claim(store), Claim)
    with store.transaction() as tx:
        tx.record(row)
    assert blocked_by(claim(store, target=CART)) == "claimed"


def test_a_rung_that_another_replica_has_ended_unclaimed_gives_no_claim(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        tx.record(STOPPED)
    assert blocked_by(claim(store)) == "claimed"
    assert isinstance(claim(store, rung=1), Claim)


def test_nothing_begins_in_an_incident_that_has_come_to_its_end(store: Store) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(APPLIED)
        tx.record(replace(STOPPED, how=RungEnd.OVERTAKEN, reason="rev-c is there"))
    assert claim(store, rung=1) == Blocked("claimed", "incident inc-1 has come to its end: rev-c is there")


def test_an_order_of_people_waits_for_the_claim_of_an_incident_that_was_held_while_somebody_writes(store: Store, clock: Clock) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(HELD)
        tx.record(Ordered("inc-1", T0, 1, CART, "rev-b", "p1", "ann", "r"))
    ordered = replace(intended("inc-1", CART, 1, T0 + MINUTE), by=("ann",))
    with store.transaction() as tx:
        assert tx.claim(ordered, "two", LIMITS) == Blocked("claimed", "one may be writing rung 0 until its claim ends")
    clock.move(30 * SECOND)
    with store.transaction() as tx:
        assert isinstance(tx.claim(ordered, "two", LIMITS), Claim)


def test_of_two_orders_of_one_person_only_the_newest_is_begun(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        tx.record(HELD)
        tx.record(Ordered("inc-1", T0, 0, CHECKOUT, "rev-b", "p0", "ann", "r"))
        tx.record(Ordered("inc-1", T0, 1, CART, "rev-b", "p1", "ann", "r"))
    for rung, target, guard in ((0, CHECKOUT, "ordered"), (1, CART, None)):
        with store.transaction() as tx:
            given = tx.claim(replace(intended("inc-1", target, rung, T0 + MINUTE), by=("ann",)), "one", LIMITS)
        assert (given.guard if isinstance(given, Blocked) else None) == guard


def test_no_rung_is_claimed_after_a_later_one(store: Store) -> None:
    begin(store)
    claim(store, rung=1)
    assert blocked_by(claim(store, rung=0)) == "claimed"


def test_what_follows_a_rung_is_not_claimed_while_nobody_knows_what_became_of_it(store: Store) -> None:
    begin(store)
    claim(store)
    assert claim(store, rung=1) == Blocked("claimed", "nobody knows yet what became of rung 0; what follows waits for its answer")


def test_a_closed_or_unknown_incident_gives_no_claim_and_the_refusal_says_which(store: Store) -> None:
    assert claim(store) == Blocked("closed", "incident inc-1 is unknown; nothing more is done for it")
    begin(store)
    with store.transaction() as tx:
        tx.record(CLOSED)
    assert claim(store) == Blocked("closed", "incident inc-1 is closed; nothing more is done for it")


def test_a_held_incident_gives_no_claim(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        tx.record(HELD)
    assert blocked_by(claim(store)) == "held"


def test_a_claim_that_is_over_before_it_begins_is_not_given(store: Store, clock: Clock) -> None:
    begin(store)
    clock.move(30 * SECOND)
    with store.transaction() as tx:
        assert blocked_by(tx.claim(INTENDED, "one", LIMITS)) == "deadline"


def test_a_claim_may_be_taken_over_only_after_its_deadline_and_then_lasts_as_long_again(store: Store, clock: Clock) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        assert tx.take_over("inc-1", 0, CHECKOUT, "two") is None
    clock.move(30 * SECOND)
    with store.transaction() as tx:
        taken = tx.take_over("inc-1", 0, CHECKOUT, "two")
    assert taken is not None
    assert (taken.claimant, taken.deadline, taken.attempts) == ("two", T0 + MINUTE, 2)
    assert not taken.lets_begin("one", clock.at)
    assert taken.lets_begin("two", clock.at)
    assert taken.lets_begin("two", clock.at + BEGIN_WITHIN - timedelta(microseconds=1))
    assert not taken.lets_begin("two", clock.at + BEGIN_WITHIN), "what is left of it is what a write may take"
    assert store.history(1)[0].kind == "claim.taken_over"


def test_a_claim_with_an_outcome_is_not_taken_over(store: Store, clock: Clock) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(STOPPED)
    clock.move(HOUR)
    with store.transaction() as tx:
        assert tx.take_over("inc-1", 0, CHECKOUT, "two") is None


def test_a_second_incident_in_flight_in_a_namespace_is_blocked_with_its_count(store: Store) -> None:
    begin(store)
    claim(store)
    begin(store, "inc-2", CART)
    assert claim(store, "inc-2", CART) == Blocked("in-flight-namespace", "1 of 1 incidents in flight in shop")
    assert store.budget(T0).flights == (Flight("inc-1", CHECKOUT, "shop"),)


def test_a_held_incident_is_not_in_flight(store: Store) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(HELD)
    begin(store, "inc-2", CART)
    assert isinstance(claim(store, "inc-2", CART), Claim)


def test_a_fourth_incident_in_flight_anywhere_is_blocked(store: Store) -> None:
    for number in range(4):
        begin(store, f"inc-{number}", f"{CART}-{number}", f"space-{number}")
    for number in range(3):
        assert isinstance(claim(store, f"inc-{number}", f"{CART}-{number}"), Claim)
    assert blocked_by(claim(store, "inc-3", f"{CART}-3")) == "in-flight"


def test_the_eleventh_incident_that_acts_within_an_hour_is_blocked_until_the_first_is_an_hour_old(store: Store, clock: Clock) -> None:
    for number in range(10):
        acted_and_closed(store, f"inc-{number}", f"{CART}-{number}")
    begin(store, "inc-10", CART)
    assert blocked_by(claim(store, "inc-10", CART)) == "per-hour"
    clock.move(HOUR)
    assert isinstance(claim(store, "inc-10", CART), Claim)


def test_the_third_incident_that_acts_on_a_target_within_a_day_is_blocked(store: Store, clock: Clock) -> None:
    acted_and_closed(store, "inc-1")
    clock.move(2 * HOUR)
    acted_and_closed(store, "inc-2")
    clock.move(2 * HOUR)
    begin(store, "inc-3")
    assert blocked_by(claim(store, "inc-3")) == "per-target-day"
    clock.move(20 * HOUR)
    assert isinstance(claim(store, "inc-3"), Claim)


def test_a_target_that_did_not_act_today_has_spent_none_of_its_day(store: Store) -> None:
    begin(store)
    none = claim(store, limits=Limits(per_target_per_day=0))
    assert none == Blocked("per-target-day", "0 of 0 incidents that acted on this target in the last day")
    assert isinstance(claim(store, limits=Limits(per_target_per_day=1)), Claim)


def test_a_target_cools_down_after_an_incident_that_acted(store: Store, clock: Clock) -> None:
    acted_and_closed(store, "inc-1")
    begin(store, "inc-2")
    assert claim(store, "inc-2") == Blocked("cool-down", "last incident closed 03:00:00, cool-down until 03:30:00")
    clock.move(30 * MINUTE)
    assert isinstance(claim(store, "inc-2"), Claim)


def test_without_a_cool_down_a_closing_time_that_is_ahead_of_the_database_clock_holds_nothing(store: Store, clock: Clock) -> None:
    acted_and_closed(store, "inc-1")
    clock.move(-SECOND)
    begin(store, "inc-2")
    assert isinstance(claim(store, "inc-2", limits=replace(LIMITS, cooldown=timedelta(0))), Claim)


def test_incidents_that_did_not_act_spend_nothing(store: Store) -> None:
    for number in range(12):
        begin(store, f"inc-{number}")
        with store.transaction() as tx:
            tx.record(Closed(f"inc-{number}", T0, CloseHow.SUPERSEDED, "newer change"))
    begin(store, "inc-12")
    assert isinstance(claim(store, "inc-12"), Claim)


def test_the_budgets_were_spent_by_the_first_rung(store: Store) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(STOPPED)
    assert isinstance(claim(store, rung=1, limits=Limits(in_flight=0, per_hour=0, per_target_per_day=0)), Claim)


def test_the_budget_names_its_numbers_by_target(store: Store, clock: Clock) -> None:
    acted_and_closed(store, "inc-1")
    clock.move(2 * HOUR)
    acted_and_closed(store, "inc-2", CART)
    budget = store.budget(clock.at)
    assert (budget.flights, budget.acted_in_hour) == ((), 1)
    assert budget.acted_in_day == {CHECKOUT: 1, CART: 1}
    assert budget.closed == {CHECKOUT: T0, CART: T0 + 2 * HOUR}


def applied_and_closed(store: Store, incident: str, target: str) -> tuple[str, Mended]:
    begin(store, incident, target)
    assert isinstance(claim(store, incident, target, limits=WIDE), Claim)
    at = store.now()
    with store.transaction() as tx:
        tx.record(Applied(incident, at, 0, target, "accepted"))
        tx.record(Closed(incident, at, CloseHow.ACKED, "by hand"))
    return target, Mended(at, T0)


def test_what_was_mended_is_of_the_incidents_whose_writes_were_accepted_since_then_and_are_closed(store: Store, clock: Clock) -> None:
    acted_and_closed(store, "inc-0")
    first = applied_and_closed(store, "inc-1", CHECKOUT)
    clock.move(2 * HOUR)
    second = applied_and_closed(store, "inc-2", CART)
    begin(store, "inc-3")
    for _ in range(2):  # the second time without reading their rows
        assert store.mended(T0 - MINUTE) == (first, second)
    assert store.mended(T0 + HOUR) == (second,)


def test_replicas_that_open_the_same_new_file_at_once_all_find_a_ready_store(url: str) -> None:
    gate, answers = threading.Barrier(6), []

    def start(name: str) -> None:
        gate.wait()
        store = Store.open(url, name)
        answers.append(store.history(1))
        store.close()

    threads = [threading.Thread(target=start, args=(f"replica-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [()] * 6


def test_of_many_replicas_exactly_one_opens_the_incident(store: Store, url: str) -> None:
    def run(replica: Store) -> bool:
        with replica.transaction() as tx:
            return tx.open(OPENED, "shop")

    assert sorted(race(url, run)) == [False] * 7 + [True]  # type: ignore[type-var]
    assert len(store.history(10)) == 1


def test_of_many_replicas_exactly_one_claims_the_effect(store: Store, url: str) -> None:
    begin(store)

    def run(replica: Store) -> type:
        with replica.transaction() as tx:
            return type(tx.claim(INTENDED, replica.writer, LIMITS))

    answers = race(url, run)
    assert answers.count(Claim) == 1
    assert answers.count(Blocked) == 7


def test_of_many_incidents_claiming_at_once_only_as_many_as_the_guard_allows_act(store: Store, url: str) -> None:
    for number in range(8):
        begin(store, f"inc-{number}", f"{CART}-{number}", f"space-{number}")

    def run(replica: Store) -> type:
        number = replica.writer.removeprefix("replica-")
        with replica.transaction() as tx:
            return type(tx.claim(intended(f"inc-{number}", f"{CART}-{number}"), replica.writer, LIMITS))

    assert race(url, run).count(Claim) == 3
