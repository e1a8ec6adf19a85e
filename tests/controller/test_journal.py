import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Blocked, Claim, How, Note, SeenChange, Standing
from rollbackd.policies.events import Closed, CloseHow
from rollbackd.policies.fleet import Flight, Limits
from rollbackd.policies.incident import Phase, fold
from rollbackd.policies.model import Mode
from tests.controller.journal_samples import (
    APPLIED,
    CART,
    CHECKOUT,
    CLOSED,
    EVENTS,
    HELD,
    HOUR,
    INTENDED,
    JOINED,
    MINUTE,
    OPENED,
    SECOND,
    SETTLED,
    STOPPED,
    T0,
    Clock,
    change,
    intended,
    notice,
    opened,
)

LIMITS = Limits()
WIDE = Limits(in_flight_per_namespace=99, in_flight=99, per_hour=99, per_target_per_day=99, cooldown=timedelta(0))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'journal.db'}"


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = Store.open(url, "one", clock)
    yield store
    store.close()


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


# --- transactions ----------------------------------------------------------------------------------------------------------------------


def test_an_exception_inside_a_transaction_undoes_all_of_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:
        tx.open(OPENED, "shop")
        raise ZeroDivisionError
    assert store.history(10) == ()
    assert store.open_incidents() == ()


def test_what_was_committed_is_there_after_reopening(store: Store, url: str) -> None:
    begin(store)
    store.close()
    again = Store.open(url, "one")
    assert [incident.id for incident in again.open_incidents()] == ["inc-1"]
    again.close()


def test_a_transaction_reads_what_it_has_written(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        assert tx.incident("inc-1") == fold([OPENED])


def test_a_reader_does_not_wait_for_a_writer_and_sees_the_state_before_it(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        assert store.open_incidents() == ()


def test_a_snapshot_answers_every_question_from_one_state(store: Store) -> None:
    with store.snapshot() as read:
        assert read.open_incidents() == ()
        begin(store)
        assert read.history(10) == ()
        assert read.incident("inc-1") is None


def test_the_database_clock_is_aware_and_utc(url: str) -> None:
    store = Store.open(url, "one")
    assert abs(store.now() - datetime.now(UTC)) < MINUTE
    store.close()


# --- notes -----------------------------------------------------------------------------------------------------------------------------


def test_a_second_note_with_the_same_key_changes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.note(Note("policy.observed", T0, {"reason": "first"}), "observed:1")
        assert not tx.note(Note("policy.observed", T0, {"reason": "second"}), "observed:1")
    assert [entry.body for entry in store.history(10)] == [{"reason": "first"}]
    assert store.has_entry("observed:1")


def test_notes_without_a_key_may_repeat(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.note(Note("daemon.paused", T0))
        assert tx.note(Note("daemon.paused", T0))
    assert [entry.seq for entry in store.history(10)] == [2, 1]


def test_history_of_a_target_holds_the_rows_of_its_incidents_too(store: Store) -> None:
    begin(store)
    begin(store, "inc-2", CART)
    with store.transaction() as tx:
        tx.record(HELD)
        tx.note(Note("change.seen", T0, target=CHECKOUT))
    assert [entry.kind for entry in store.history(10, target=CHECKOUT)] == ["change.seen", "incident.held", "incident.opened"]
    assert [entry.kind for entry in store.history(1, incident="inc-2")] == ["incident.opened"]


# --- incidents -------------------------------------------------------------------------------------------------------------------------


def test_an_incident_is_the_fold_of_what_was_recorded(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.open(OPENED, "shop")
        assert tx.record(JOINED)
        assert isinstance(tx.claim(INTENDED, "one", LIMITS), Claim)
        assert tx.record(APPLIED)
        assert tx.record(SETTLED)
        assert tx.record(STOPPED)
        assert tx.record(HELD)
        assert tx.record(CLOSED)
    assert store.events("inc-1") == EVENTS
    assert store.incident("inc-1") == fold(EVENTS)


def test_a_second_incident_on_a_target_with_an_open_one_is_not_opened(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        assert not tx.open(opened("inc-2"), "shop")
    assert store.incident("inc-2") is None
    assert len(store.history(10)) == 1


def test_a_change_that_was_answered_is_never_answered_again(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.open(OPENED, "shop")
        assert tx.record(CLOSED)
        assert not tx.open(replace(OPENED, incident="inc-2"), "shop")
    assert store.answered() == {(CHECKOUT, "uid/7")}
    assert store.answered([CART]) == frozenset()


def test_an_incident_below_auto_begins_as_proposed(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.open(replace(OPENED, mode=Mode.SUGGEST), "shop")
    (incident,) = store.open_incidents()
    assert incident.phase is Phase.PROPOSED


@pytest.mark.parametrize("event", [JOINED, APPLIED, SETTLED, STOPPED, HELD, CLOSED], ids=lambda event: type(event).__name__)
def test_the_same_transition_is_recorded_once(store: Store, event: object) -> None:
    begin(store)
    with store.transaction() as tx:
        assert tx.record(event)  # type: ignore[arg-type]  # one of each
        assert not tx.record(event)  # type: ignore[arg-type]
    assert len(store.history(10)) == 2


def test_an_incident_that_moved_on_may_be_held_again(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        assert tx.record(HELD)
        assert tx.record(replace(HELD, guard="pause"))
        assert isinstance(tx.claim(INTENDED, "one", LIMITS), Claim)
        assert tx.record(HELD)


@pytest.mark.parametrize("event", [JOINED, SETTLED, HELD, CLOSED], ids=lambda event: type(event).__name__)
def test_a_closed_incident_takes_no_further_row(store: Store, event: object) -> None:
    begin(store)
    with store.transaction() as tx:
        tx.record(replace(CLOSED, how=CloseHow.ACKED))
        assert not tx.record(event)  # type: ignore[arg-type]
    assert [entry.kind for entry in store.history(10)] == ["incident.closed", "incident.opened"]


def test_what_was_done_outside_is_on_record_even_if_the_incident_was_closed_meanwhile(store: Store) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(CLOSED)
        assert tx.record(APPLIED)
    assert store.unfinished_claims() == ()
    assert store.open_incidents() == ()
    assert store.history(1)[0].kind == "rung.applied"


def test_an_event_of_an_unknown_incident_is_not_recorded(store: Store) -> None:
    with store.transaction() as tx:
        assert not tx.record(HELD)
    assert store.history(10) == ()


# --- claims ----------------------------------------------------------------------------------------------------------------------------


def test_a_claim_makes_the_intent_durable_and_ends_with_the_outcome(store: Store) -> None:
    begin(store)
    given = claim(store)
    assert isinstance(given, Claim)
    assert store.unfinished_claims() == (given,)
    with store.transaction() as tx:
        tx.record(APPLIED)
    assert store.unfinished_claims() == ()
    ended = store.claim_on("inc-1", 0, CHECKOUT)
    assert ended == replace(given, ended_at=T0)


def test_one_effect_is_claimed_once_ever(store: Store) -> None:
    begin(store)
    claim(store)
    again = claim(store)
    assert again == Blocked("claimed", f"rung 0 on {CHECKOUT} was claimed by one")
    assert [entry.kind for entry in store.history(10)] == ["rung.intended", "incident.opened"]


def test_two_targets_of_one_rung_are_two_effects(store: Store) -> None:
    begin(store)
    assert isinstance(claim(store), Claim)
    assert isinstance(claim(store, target=CART), Claim)
    assert [each.intended.target for each in store.unfinished_claims()] == [CHECKOUT, CART]


def test_no_rung_is_claimed_after_a_later_one(store: Store) -> None:
    begin(store)
    claim(store, rung=1)
    assert blocked_by(claim(store, rung=0)) == "claimed"


def test_a_closed_or_unknown_incident_gives_no_claim(store: Store) -> None:
    assert blocked_by(claim(store)) == "closed"
    begin(store)
    with store.transaction() as tx:
        tx.record(CLOSED)
    assert blocked_by(claim(store)) == "closed"


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
    assert not taken.is_held_by("one", clock.at)
    assert taken.is_held_by("two", clock.at)
    assert not taken.is_held_by("two", T0 + MINUTE)
    assert store.history(1)[0].kind == "claim.taken_over"


def test_a_claim_with_an_outcome_is_not_taken_over(store: Store, clock: Clock) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(STOPPED)
    clock.move(HOUR)
    with store.transaction() as tx:
        assert tx.take_over("inc-1", 0, CHECKOUT, "two") is None


# --- guards that count -----------------------------------------------------------------------------------------------------------------


def blocked_by(outcome: Claim | Blocked) -> str:
    assert isinstance(outcome, Blocked)
    return outcome.guard


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


def test_a_target_cools_down_after_an_incident_that_acted(store: Store, clock: Clock) -> None:
    acted_and_closed(store, "inc-1")
    begin(store, "inc-2")
    assert claim(store, "inc-2") == Blocked("cool-down", "last incident closed 03:00:00, cool-down until 03:30:00")
    clock.move(30 * MINUTE)
    assert isinstance(claim(store, "inc-2"), Claim)


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


# --- two replicas ----------------------------------------------------------------------------------------------------------------------


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


# --- changes ---------------------------------------------------------------------------------------------------------------------------


def test_a_change_is_written_once_and_read_back_as_it_was_first_seen(store: Store) -> None:
    first = SeenChange(replace(change("uid/7", "rev-b", "uid/6"), parts=("new-cart",)), {"new-cart": {"on": True}}, "alice")
    late = replace(first, change=replace(first.change, first_seen=T0 + MINUTE), writer="bob")
    with store.transaction() as tx:
        assert tx.see_change(first) == first
        assert tx.see_change(late) == first
    assert store.changes() == (first,)
    assert [entry.body["writer"] for entry in store.history(10)] == ["alice"]


def test_replicas_that_make_their_own_id_of_first_sight_all_get_the_first_row(store: Store) -> None:
    mine = SeenChange(change("rev-b@03:00:00", "rev-b", "rev-a@02:00:00"), dated=True)
    theirs = SeenChange(change("rev-b@03:00:01", "rev-b", "rev-a@02:00:00"), dated=True)
    with store.transaction() as tx:
        tx.see_change(mine)
        assert tx.see_change(theirs) == mine
    assert store.changes() == (mine,)


def test_the_first_sight_of_a_target_collides_too(store: Store) -> None:
    mine = SeenChange(change("rev-a@03:00:00", "rev-a"), dated=True)
    with store.transaction() as tx:
        tx.see_change(mine)
        assert tx.see_change(SeenChange(change("rev-a@03:00:01", "rev-a"), dated=True)) == mine


def test_a_target_with_a_history_may_come_to_the_same_revision_again(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("uid/7", "rev-b", "uid/6")))
        tx.see_change(SeenChange(change("uid/9", "rev-b", "uid/6")))
    assert [seen.change.id for seen in store.changes()] == ["uid/7", "uid/9"]


def test_a_dated_target_may_come_to_the_same_revision_after_another_one(store: Store) -> None:
    steps = (("1", "on", None), ("2", "off", "1"), ("3", "on", "2"))
    with store.transaction() as tx:
        for name, revision, predecessor in steps:
            tx.see_change(SeenChange(change(name, revision, predecessor), dated=True))
    assert [seen.change.id for seen in store.changes()] == ["1", "2", "3"]


def test_readiness_that_comes_later_completes_the_change_and_the_first_one_stays(store: Store) -> None:
    seen = SeenChange(change("uid/7", "rev-b"))
    with store.transaction() as tx:
        tx.see_change(seen)
        ready = tx.see_change(replace(seen, change=replace(seen.change, ready=T0 + MINUTE)))
        again = tx.see_change(replace(seen, change=replace(seen.change, ready=T0 + HOUR)))
    assert ready.change.ready == T0 + MINUTE
    assert again == ready
    assert store.changes() == (ready,)


def test_changes_are_asked_for_by_target_and_time(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("old", "a", target=CHECKOUT, seen=T0 - HOUR)))
        tx.see_change(SeenChange(change("new", "b", target=CHECKOUT)))
        tx.see_change(SeenChange(change("other", "c", target=CART)))
    assert [seen.change.id for seen in store.changes([CHECKOUT])] == ["old", "new"]
    assert [seen.change.id for seen in store.changes(since=T0)] == ["new", "other"]
    assert [seen.change.id for seen in store.changes([])] == []


def test_the_latest_change_of_a_target_is_not_one_that_was_merely_posted(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("real", "a")))
        tx.see_change(SeenChange(replace(change("posted", "b"), posted=True)))
    assert {target: seen.change.id for target, seen in store.latest_changes().items()} == {CHECKOUT: "real"}


def test_more_targets_than_one_statement_takes_are_asked_for_in_turn(store: Store) -> None:
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("real", "a")))
    assert len(store.changes([*(f"target-{number}" for number in range(1200)), CHECKOUT])) == 1


# --- the ledger ------------------------------------------------------------------------------------------------------------------------


def test_known_goods_come_newest_served_first_without_the_bad_and_the_old(store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "old", Standing.GOOD, How.BAKED, T0 - 9 * 24 * HOUR)
        tx.mark(CHECKOUT, "first", Standing.GOOD, How.BAKED, T0 - 3 * HOUR)
        tx.mark(CHECKOUT, "second", Standing.GOOD, How.DECLARED, T0 - 2 * HOUR)
        tx.mark(CHECKOUT, "poor", Standing.BAD, How.DECLARED, T0)
        tx.mark(CHECKOUT, "undone", Standing.QUARANTINED, How.ROLLED_BACK, T0)
        tx.served(CHECKOUT, "first", T0 - HOUR)
    assert [known.revision for known in store.good(CHECKOUT, T0 - 7 * 24 * HOUR)] == ["first", "second"]
    assert [known.revision for known in store.ledger(CHECKOUT)] == ["poor", "undone", "first", "second", "old"]
    assert store.quarantined() == {(CHECKOUT, "undone")}


@pytest.mark.parametrize(
    ("before", "standing", "how", "moves"),
    [
        pytest.param(Standing.GOOD, Standing.GOOD, How.BAKED, False, id="good-stays-good"),
        pytest.param(Standing.GOOD, Standing.BAD, How.DECLARED, True, id="good-may-turn-bad"),
        pytest.param(Standing.GOOD, Standing.QUARANTINED, How.ROLLED_BACK, True, id="good-may-be-rolled-back"),
        pytest.param(Standing.BAD, Standing.GOOD, How.BAKED, False, id="bad-does-not-bake-into-good"),
        pytest.param(Standing.BAD, Standing.GOOD, How.DECLARED, True, id="bad-may-be-declared-good"),
        pytest.param(Standing.BAD, Standing.QUARANTINED, How.ROLLED_BACK, True, id="bad-may-be-rolled-back"),
        pytest.param(Standing.QUARANTINED, Standing.GOOD, How.DECLARED, False, id="quarantine-is-not-declared-away"),
        pytest.param(Standing.QUARANTINED, Standing.BAD, How.DECLARED, False, id="quarantine-is-not-weakened"),
    ],
)
def test_a_standing_changes_only_where_it_may(store: Store, before: Standing, standing: Standing, how: How, moves: bool) -> None:
    with store.transaction() as tx:
        assert tx.mark(CHECKOUT, "rev", before, How.DECLARED, T0)
        assert tx.mark(CHECKOUT, "rev", standing, how, T0 + HOUR) is moves
    assert store.ledger(CHECKOUT)[0].standing is (standing if moves else before)
    assert len(store.history(10)) == (2 if moves else 1)


def test_declaring_a_good_revision_again_makes_it_young(store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "rev", Standing.GOOD, How.BAKED, T0)
        tx.mark(CHECKOUT, "rev", Standing.GOOD, How.DECLARED, T0 + HOUR)
    assert store.ledger(CHECKOUT)[0].last_at == T0 + HOUR


def test_rearm_takes_a_revision_out_of_quarantine_on_record(store: Store) -> None:
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "rev", Standing.QUARANTINED, How.ROLLED_BACK, T0)
        assert tx.rearm(CHECKOUT, "rev", "alice", T0)
        assert not tx.rearm(CHECKOUT, "rev", "alice", T0)
    assert store.ledger(CHECKOUT) == ()
    assert store.history(1)[0].body == {"revision": "rev", "who": "alice"}


# --- the outbox table ------------------------------------------------------------------------------------------------------------------


def test_a_notice_is_queued_once_for_each_contact(store: Store) -> None:
    with store.transaction() as tx:
        tx.queue(notice("n-1"), ("oncall", "owners"))
        tx.queue(notice("n-1"), ("oncall", "owners"))
    assert (store.outbox_state().waiting, store.outbox_state().oldest) == (2, T0)


def test_a_notice_of_a_transaction_that_failed_is_not_queued(store: Store) -> None:
    with pytest.raises(StoreError), store.transaction() as tx:
        tx.queue(notice("n-1"), ("oncall",))
        raise StoreError("disk full")
    assert store.outbox_state().waiting == 0
