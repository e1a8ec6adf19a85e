"""What another replica does between the moment at which one has looked, and what that one does then: nobody tells or ends what is another's."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.act.order import Order
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.engine.orphans import Orphans
from rollbackd.controller.journal.store import Store
from rollbackd.policies.known.events import Applied, Approved, Held, IncidentEvent, Intended, Offered, Ordered, Settled, Stopped
from rollbackd.policies.known.incident import Phase
from tests.controller.act_samples import ACT, BEFORE, DONE, ORDER, PLAN, SHOP, THERE, Acting, AtOnce
from tests.controller.journal_samples import APPLIED, CHECKOUT, MINUTE, SECOND, SETTLED, STOPPED, T0, WIDE, claim

NEXT = replace(ORDER, act=replace(ACT, rung=1))


@pytest.fixture
def other(acting: Acting, tmp_path: Path) -> Iterator[Actor]:
    """Another replica's actor, on the same journal and the same target."""
    store = Store.open(f"sqlite:///{tmp_path}/journal.db", "two", acting.journal, patience=2 * SECOND)
    told: Callable[..., None] = lambda *_: None  # noqa: E731
    actor = Actor(store, {"kubernetes": acting.target}, acting.pause, acting.clock, told, told, look_every=SECOND, pool=AtOnce(), stop=acting.stop)
    yield actor
    actor.close()
    store.close()


def test_a_step_that_was_ended_while_it_was_planned_is_not_begun(acting: Acting, other: Actor) -> None:
    def slowly(request: object) -> object:
        acting.target.plan = lambda _: (_ for _ in ()).throw(Refused("a webhook said no"))  # type: ignore[method-assign]
        acting.actor.begin(ORDER)
        return PLAN

    acting.target.plan = slowly  # type: ignore[assignment,method-assign]
    other.begin(ORDER)
    assert (acting.kinds(), acting.target.written) == ([Stopped], [])
    assert acting.store.claim_on("inc-1", 0, CHECKOUT) is None


def test_who_has_lost_the_claim_does_not_end_what_the_successor_writes(acting: Acting) -> None:
    def slowly(plan: object) -> None:
        acting.journal.move(31 * SECOND)
        acting.target.stands = BEFORE
        with acting.store.transaction() as tx:
            assert tx.take_over("inc-1", 0, CHECKOUT, "two")
        raise Transient("read timed out")

    acting.target.apply = slowly  # type: ignore[assignment,method-assign]
    acting.actor.begin(ORDER)
    found = acting.store.claim_on("inc-1", 0, CHECKOUT)
    assert (acting.kinds(), found and (found.claimant, found.ended_at)) == ([Intended], ("two", None))


def test_who_has_lost_the_claim_does_not_end_what_the_successor_has_written(acting: Acting, other: Actor) -> None:
    def slowly(plan: object) -> None:
        acting.journal.move(31 * SECOND)
        acting.target.stands = THERE
        incident = acting.store.incident("inc-1")
        assert incident is not None
        other.resume(incident, SHOP)
        raise Permanent("422 from a server that woke up late")

    acting.target.apply = slowly  # type: ignore[assignment,method-assign]
    acting.actor.begin(ORDER)
    assert acting.kinds() == DONE


@pytest.mark.parametrize("order", [replace(ORDER, is_offer=True), ORDER], ids=["to-be-put-to-people", "paused"])
def test_nobody_is_asked_or_told_about_a_step_that_lies_behind_the_newest(acting: Acting, order: object) -> None:
    acting.record(STOPPED)
    with acting.store.transaction() as tx:
        tx.claim(replace(acting_intent(), rung=1), "two", WIDE)
    acting.pause.pause("game day", "alice", T0)
    acting.actor.begin(order)  # type: ignore[arg-type]
    assert not {Held, Offered}.intersection(acting.kinds())
    assert acting.queued() == []


def acting_intent() -> Intended:
    """What another replica claims."""
    return Intended("inc-1", T0, 0, CHECKOUT, "rev-b", "rev-a", "p", "e", T0 + 30 * SECOND, "put it back")


@pytest.mark.parametrize(("first", "second"), [(SETTLED, STOPPED), (STOPPED, SETTLED)], ids=["settled", "ended"])
def test_of_two_that_saw_a_step_end_the_first_is_believed(acting: Acting, first: Settled | Stopped, second: Settled | Stopped) -> None:
    claim(acting.store)
    acting.record(APPLIED)
    outcomes = acting.actor._outcomes
    outcomes.record(first)
    outcomes.record(second)
    assert acting.kinds() == [Intended, Applied, type(first)]


def test_a_write_that_is_found_accepted_after_its_step_was_called_ended_completes(acting: Acting) -> None:
    claim(acting.store)
    acting.record(STOPPED, APPLIED)
    acting.actor._outcomes.record(SETTLED)
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert (acting.kinds(), incident.phase) == ([Intended, Stopped, Applied, Settled], Phase.VERIFYING)


def test_a_write_that_is_found_accepted_after_its_step_was_called_ended_may_end_once_more(acting: Acting) -> None:
    claim(acting.store)
    acting.record(STOPPED, APPLIED)
    for _ in range(2):
        acting.actor._outcomes.record(replace(STOPPED, reason="not complete by 03:10:00"))
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert (acting.kinds(), incident.phase) == ([Intended, Stopped, Applied, Stopped], Phase.STOPPED)


def test_a_plan_before_people_is_withdrawn_once_the_step_before_it_is_found_accepted(acting: Acting) -> None:
    claim(acting.store)
    acting.record(STOPPED)
    with acting.store.transaction() as tx:
        assert tx.record(Offered("inc-1", T0, 1, CHECKOUT, "rev-b", "rev-a", "p1", "e", 1, T0 + MINUTE, "put it back", "why"))
        assert tx.record(APPLIED)
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert (incident.phase, incident.offer) == (Phase.SETTLING, None)


OFFER = Offered("inc-1", T0, 1, CHECKOUT, "rev-b", "rev-a", "p1", "e", 1, T0 + MINUTE, "put it back", "why")
OTHER = replace(OFFER, plan_digest="p2")
ANN = Approved("inc-1", T0, "p1", "ann")
ORDERED = Ordered("inc-1", T0, 1, CHECKOUT, "rev-b", "p1", "ann", "customers say so")


def recorded(acting: Acting, *events: IncidentEvent) -> list[bool]:
    """Of each, whether it was news."""
    with acting.store.transaction() as tx:
        return [tx.record(event) for event in events]  # type: ignore[arg-type]


def test_a_plan_is_put_to_people_once_while_they_are_asked_about_it(acting: Acting) -> None:
    assert recorded(acting, OFFER, replace(OFFER, at=T0 + SECOND), OTHER) == [True, False, True]


def test_a_plan_that_was_replaced_or_withdrawn_is_put_to_people_again_and_approved_anew(acting: Acting) -> None:
    claim(acting.store)
    assert recorded(acting, STOPPED, OFFER, ANN, OTHER, ANN, OFFER, ANN, ANN) == [True, True, True, True, False, True, True, False]
    assert recorded(acting, APPLIED, SETTLED, ANN, OFFER, ANN) == [True, True, False, True, True]
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert (incident.phase, incident.approvals) == (Phase.AWAITING, (ANN,))


def test_each_time_that_people_are_asked_they_hear_of_it(acting: Acting) -> None:
    claim(acting.store)
    recorded(acting, STOPPED)
    asked = replace(ORDER, act=replace(ACT, rung=1), is_offer=True)
    acting.actor.begin(asked)
    acting.actor.begin(asked)
    assert acting.queued() == ["approval"]
    recorded(acting, APPLIED, SETTLED)
    acting.clock.move(SECOND)
    acting.actor.begin(asked)
    assert acting.queued() == ["approval", "approval"]


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(replace(NEXT, is_offer=True), id="a-plan-for-people"),
        pytest.param(replace(NEXT, act=replace(NEXT.act, plan_digest="p9", by=("bob",))), id="approved-as-another-plan"),
        pytest.param(replace(NEXT, act=replace(NEXT.act, plan_digest="p9", by=("ann",))), id="approved-as-another-plan-by-themselves"),
    ],
)
def test_a_person_who_orders_while_the_machine_plans_is_obeyed(acting: Acting, machine: Order) -> None:
    def slowly(_: object) -> object:
        recorded(acting, ORDERED)
        return PLAN

    acting.target.plan = slowly  # type: ignore[assignment,method-assign]
    acting.actor.begin(machine)
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert (acting.kinds(), incident.phase, incident.order) == ([Ordered], Phase.OPEN, ORDERED)


def test_people_are_not_asked_while_the_step_before_is_still_coming(acting: Acting) -> None:
    """Its late acceptance came while the plan was made; once it has settled they are, also where the plan is the same."""
    claim(acting.store)
    assert recorded(acting, STOPPED, APPLIED, OFFER) == [True, True, False]
    assert recorded(acting, SETTLED, OFFER, replace(OFFER, at=T0 + SECOND)) == [True, True, False]
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert incident.phase is Phase.AWAITING


def test_a_machines_plan_that_fails_does_not_end_the_step_that_a_person_ordered(acting: Acting) -> None:
    def refused(_: object) -> object:
        recorded(acting, ORDERED)
        raise Refused("an admission webhook did not answer")

    acting.target.plan = refused  # type: ignore[assignment,method-assign]
    acting.actor.begin(NEXT)
    assert acting.kinds() == [Ordered]


# --- incidents without a policy -----------------------------------------------------------------------------------------------------------


def test_an_incident_whose_policy_is_gone_is_not_held_while_somebody_writes(acting: Acting) -> None:
    journalling = Journalling(acting.store, lambda: None)
    before = acting.store.incident("inc-1")
    assert before is not None
    claim(acting.store)
    during = acting.store.incident("inc-1")
    assert during is not None
    for seen in (before, during):
        journalling.orphaned(seen, {}, T0)
        assert acting.kinds() == [Intended]
    acting.journal.move(30 * SECOND)
    journalling.orphaned(during, {}, T0)
    assert acting.kinds() == [Intended, Held]


def test_an_incident_whose_policy_came_back_waits_anew_the_next_time(acting: Acting) -> None:
    orphans = Orphans(5 * MINUTE)
    incident = acting.store.incident("inc-1")
    assert incident is not None
    assert not orphans.is_due(incident, T0)
    orphans.is_found(incident)
    assert not orphans.is_due(incident, T0 + 6 * MINUTE)
    assert orphans.is_due(incident, T0 + 11 * MINUTE)
