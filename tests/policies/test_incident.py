"""An incident as the fold of its rows: what each row changes, and what it leaves."""

from dataclasses import replace

import pytest

from rollbackd.policies.known.events import (
    Acked,
    Applied,
    Approved,
    Blame,
    Closed,
    CloseHow,
    Held,
    Joined,
    Offered,
    Ordered,
    RungEnd,
    Settled,
    Stopped,
)
from rollbackd.policies.known.fold import advance, fold
from rollbackd.policies.known.incident import Incident, Phase, has_ended, incident_id
from rollbackd.policies.model.policy import Mode
from tests.policies.literals import FLAGS, MINUTE, OPENED, T0, TARGET, intended, verifying

AT = T0 + 6 * MINUTE
OFFER = Offered("inc-1", AT, 1, TARGET, "bad7", "good6", "p" * 64, "e", 2, T0 + 15 * MINUTE, "put back good6", "error-rate 60/600")
ORDER = Ordered("inc-1", AT, 1, TARGET, "bad7", "p" * 64, "ann", "customers say so")
ANN = Approved("inc-1", AT, OFFER.plan_digest, "ann")
BOB = Approved("inc-1", AT, OFFER.plan_digest, "bob")
ACCEPTED = Applied("inc-1", AT, 1, TARGET, "accepted")
HELD = Held("inc-1", AT, "pause", "paused")
CLOSED = Closed("inc-1", AT, CloseHow.RECOVERED, "healthy")
OPEN = Incident(
    id="inc-1",
    target=TARGET,
    policy="checkout",
    change_id="uid:7",
    revision="bad7",
    suspects=("uid:7",),
    mode=Mode.AUTO,
    onset=OPENED.onset,
    opened_at=OPENED.at,
    reason="error-rate 60/600",
    joined=(("checkout", "error-rate"),),
    phase=Phase.OPEN,
    notify=("oncall",),
)
DECIDED = replace(OPEN, offer=OFFER, approvals=(ANN,), order=ORDER)
"""What people were asked and what one of them ordered, all at once."""


def stopped(rung=1, how=RungEnd.FAILED, target=TARGET):
    return Stopped("inc-1", AT, rung, target, how, "because")


def settled(rung=1, at=AT):
    return Settled("inc-1", at, rung, TARGET, at, "complete")


def test_an_incident_is_what_was_opened():
    assert fold((replace(OPENED, notify=("oncall",)),)) == OPEN


@pytest.mark.parametrize(
    ("mode", "phase", "in_hands"),
    [(Mode.SUGGEST, Phase.PROPOSED, True), (Mode.APPROVE, Phase.OPEN, False), (Mode.AUTO, Phase.OPEN, False)],
)
def test_below_approve_people_are_told_and_only_they_begin_anything(mode, phase, in_hands):
    incident = fold((replace(OPENED, mode=mode),))
    assert (incident.phase, incident.is_in_hands) == (phase, in_hands)


def test_what_a_person_opened_is_theirs_and_about_no_condition():
    incident = fold((replace(OPENED, who="ann", condition=""),))
    assert (incident.opened_by, incident.joined, incident.is_in_hands) == ("ann", (), True)


def test_an_incident_begins_with_opened():
    for rows in ((), (HELD,)):
        with pytest.raises(ValueError, match="begins with 'opened'"):
            fold(rows)


def test_its_id_is_its_target_and_change():
    """Of another release of rollbackd too: an incident that is open while it is upgraded is not opened twice."""
    assert incident_id("t", "c") == "inc-6291489c3068"


def test_opened_again_changes_nothing():
    assert advance(OPEN, replace(OPENED, mode=Mode.SUGGEST)) == OPEN


# --- rows of the machine ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "row", "after"),
    [
        pytest.param(
            replace(DECIDED, evidence_from=T0),
            intended(1),
            replace(OPEN, phase=Phase.ACTING, rung=1, acted=True, intent=intended(1), writes=(intended(1),), begun=(intended(1),)),
            id="intended-answers-what-people-were-asked-and-ends-the-evidence",
        ),
        pytest.param(
            replace(OPEN, rung=1, begun=(intended(0), intended(1))),
            ACCEPTED,
            replace(OPEN, rung=1, phase=Phase.SETTLING, unsettled=(1,), begun=(intended(0), intended(1)), accepted=(intended(1),)),
            id="accepted",
        ),
        pytest.param(
            replace(OPEN, phase=Phase.SETTLING, rung=1, unsettled=(1,)),
            settled(),
            replace(OPEN, phase=Phase.VERIFYING, rung=1, evidence_from=AT),
            id="settled",
        ),
        pytest.param(DECIDED, stopped(), replace(OPEN, phase=Phase.STOPPED, rung=1, stopped=(stopped(),)), id="stopped"),
        pytest.param(DECIDED, HELD, replace(OPEN, phase=Phase.HELD, held=HELD), id="held"),
        pytest.param(OPEN, CLOSED, replace(OPEN, phase=Phase.CLOSED, closed_at=AT, how=CloseHow.RECOVERED), id="closed"),
        pytest.param(DECIDED, OFFER, replace(OPEN, phase=Phase.AWAITING, offer=OFFER, order=ORDER), id="offered-and-not-approved-yet"),
    ],
)
def test_a_row_changes(before, row, after):
    assert advance(before, row) == after


def test_a_second_write_stands_beside_the_first_only_while_that_one_settles():
    beside = fold((OPENED, intended(0), Applied("inc-1", AT, 0, TARGET, "accepted"), intended(1)))
    after = fold((OPENED, intended(0), stopped(0), intended(1)))
    assert ([write.rung for write in beside.writes], [write.rung for write in after.writes]) == ([0, 1], [1])


def test_a_write_that_is_told_after_a_later_one_began_is_ours_and_changes_nothing_else():
    for later in ((), (Applied("inc-1", AT, 1, TARGET, "accepted"), settled(1))):
        before = fold((OPENED, intended(0), stopped(0), intended(1), *later))
        after = advance(before, replace(ACCEPTED, rung=0))
        assert after == replace(before, accepted=(*before.accepted, intended(0)))


def test_of_two_at_once_it_does_not_matter_which_outcome_is_told_first():
    both = OPENED, intended(0), replace(ACCEPTED, rung=0), intended(1)
    assert fold((*both, stopped(1), settled(0))).phase is Phase.VERIFYING
    assert fold((*both, settled(0), stopped(1))).phase is Phase.VERIFYING


def test_it_rests_since_it_was_opened_a_step_ended_or_its_end_state_settled():
    assert OPEN.rested_at == OPENED.at
    assert fold((OPENED, intended(0), stopped(0))).rested_at == AT
    assert fold((OPENED, intended(0), replace(ACCEPTED, rung=0), settled(0, AT + MINUTE))).rested_at == AT + MINUTE
    assert fold((OPENED, OFFER, replace(ANN, at=AT + MINUTE))).rested_at == AT + MINUTE


def test_a_rung_that_ended_does_not_take_the_ladder_back():
    assert advance(replace(OPEN, rung=1, unsettled=(0,)), stopped(0)).rung == 1


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(replace(OFFER, rung=0), id="offered"),
        pytest.param(intended(0), id="intended"),
        pytest.param(replace(ACCEPTED, rung=0), id="accepted"),
        pytest.param(settled(0, AT + MINUTE), id="settled"),
        pytest.param(stopped(0), id="stopped"),
    ],
)
def test_a_row_of_an_earlier_rung_changes_nothing(row):
    incident = verifying()
    assert advance(incident, row) == incident
    assert advance(incident, replace(row, rung=1)) != incident


def test_a_held_row_is_of_no_rung():
    assert advance(verifying(), HELD).phase is Phase.HELD


@pytest.mark.parametrize("row", [OFFER, ORDER, intended(), HELD, Acked("inc-1", AT, "bob")], ids=lambda row: type(row).__name__)
def test_a_closed_incident_stays_as_it_is(row):
    closed = fold((OPENED, CLOSED))
    assert not closed.is_open
    assert advance(closed, row) == closed


def test_a_held_incident_is_open_and_only_an_order_or_its_end_takes_it_on():
    held = fold((OPENED, HELD))
    assert held.is_open
    rows = (OFFER, intended(), ACCEPTED, stopped(), Acked("inc-1", AT, "bob"), ORDER, CLOSED)
    phases = [advance(held, row).phase for row in rows]
    assert phases == [*[Phase.HELD] * 5, Phase.OPEN, Phase.CLOSED]


def test_what_happens_to_a_held_incident_is_kept():
    assert advance(fold((OPENED, HELD)), stopped()).stopped == (stopped(),)


# --- ends after which no rung may follow --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param(stopped(how=RungEnd.OVERTAKEN), True, id="another-writer"),
        pytest.param(stopped(how=RungEnd.OVERTAKEN, target=FLAGS), True, id="another-writer-elsewhere"),
        pytest.param(stopped(how=RungEnd.SUPERSEDED), True, id="what-was-judged-is-gone"),
        pytest.param(stopped(how=RungEnd.SUPERSEDED, target=FLAGS), False, id="another-target-went-on"),
        pytest.param(stopped(how=RungEnd.FAILED), False, id="failed"),
    ],
)
def test_an_end_is_final_where(end, expected):
    incident = fold((OPENED, end))
    assert (incident.phase, has_ended(incident)) == (Phase.STOPPED, expected)


def test_it_has_not_ended_once_it_went_on():
    assert not has_ended(replace(fold((OPENED, stopped(how=RungEnd.OVERTAKEN))), phase=Phase.HELD))


def test_a_final_end_stays_the_last_word_on_what_ends_after_it():
    first = (stopped(0, RungEnd.NOTHING), intended(1), ACCEPTED, intended(2), replace(ACCEPTED, rung=2))
    ended = fold((OPENED, *first, stopped(1, RungEnd.OVERTAKEN), stopped(2)))
    assert [end.how for end in ended.stopped] == [RungEnd.NOTHING, RungEnd.FAILED, RungEnd.OVERTAKEN]
    assert (ended.unsettled, ended.phase) == ((), Phase.STOPPED)


# --- who joins ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opened_as", "mode", "expected"),
    [
        pytest.param(Mode.SUGGEST, Mode.APPROVE, (Phase.OPEN, Mode.APPROVE, "other"), id="one-that-may-act-takes-a-proposed-one-on"),
        pytest.param(Mode.SUGGEST, Mode.SUGGEST, (Phase.PROPOSED, Mode.SUGGEST, "checkout"), id="one-that-may-not-is-evidence"),
        pytest.param(Mode.APPROVE, Mode.AUTO, (Phase.OPEN, Mode.APPROVE, "checkout"), id="one-that-acts-already-keeps-its-ladder"),
    ],
)
def test_a_condition_that_joins(opened_as, mode, expected):
    incident = fold((replace(OPENED, mode=opened_as), Joined("inc-1", AT, "other", "latency", mode, "slow")))
    assert (incident.phase, incident.mode, incident.policy) == expected
    assert incident.joined == (("checkout", "error-rate"), ("other", "latency"))


def test_what_raises_a_proposed_incident_makes_it_one_about_what_it_blames_itself():
    opened = replace(OPENED, mode=Mode.SUGGEST, suspects=("uid:7", "uid:6"), known=("uid:7",))
    blame = Blame(("f2@x", "uid:7"), T0 + 7 * MINUTE, ("f2@x",))
    late = T0 + 30 * MINUTE
    raised = fold((opened, Joined("inc-1", late, "other", "latency", Mode.AUTO, "slow; f2", blame)))
    assert (raised.suspects, raised.onset, raised.reason) == (("f2@x", "uid:7"), T0 + 7 * MINUTE, "slow; f2")
    assert set(raised.known) == {"f2@x", "uid:7", "uid:6"}
    assert (raised.id, raised.change_id, raised.opened_at, raised.rested_at) == ("inc-1", "uid:7", OPENED.at, late)


def test_a_condition_joins_once():
    again = Joined("inc-1", AT, "checkout", "error-rate", Mode.AUTO, "slow")
    assert fold((OPENED, again, again)).joined == (("checkout", "error-rate"),)


# --- what people decide ---------------------------------------------------------------------------------------------------------------


def test_approvals_are_of_the_plan_at_hand_and_one_for_each_person():
    other = replace(BOB, plan_digest="q" * 64)
    assert fold((OPENED, OFFER, ANN, ANN, other, BOB)).approvals == (ANN, BOB)
    assert fold((OPENED, ANN)).approvals == ()


def test_what_a_person_has_ordered_in_is_in_hands_from_then_on():
    assert not OPEN.is_in_hands
    assert fold((OPENED, ORDER, HELD)).is_in_hands
    assert fold((OPENED, ORDER, intended(1), ACCEPTED, settled())).is_in_hands


def test_an_order_stands_in_for_what_was_asked_and_what_is_still_coming_is_waited_for_after_it():
    assert advance(replace(DECIDED, unsettled=(0,), phase=Phase.HELD), ORDER) == replace(OPEN, order=ORDER, unsettled=(0,), is_ordered=True)


def test_what_is_still_coming_when_a_person_orders_is_waited_for_before_anything_follows():
    ordered = fold((OPENED, intended(0), replace(ACCEPTED, rung=0), HELD, ORDER))
    refused = advance(ordered, stopped(1, RungEnd.REFUSED))
    assert (refused.phase, advance(refused, settled(0)).phase) == (Phase.SETTLING, Phase.VERIFYING)
    written = advance(advance(ordered, intended(1)), ACCEPTED)
    assert (written.phase, written.unsettled, written.writes) == (Phase.SETTLING, (0, 1), (intended(0), intended(1)))


def test_an_incident_that_was_taken_is_known_to_be():
    acked = Acked("inc-1", AT, "bob")
    assert advance(OPEN, acked) == replace(OPEN, acked=acked)


WAITING = fold((OPENED, intended(0), HELD, ORDER))
"""Rung 0 was written and has no outcome yet; then a person ordered rung 1."""


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param((replace(ACCEPTED, rung=0),), id="accepted"),
        pytest.param((replace(ACCEPTED, rung=0), settled(0)), id="settled"),
        pytest.param((replace(ACCEPTED, rung=0), stopped(0)), id="accepted-and-not-completed"),
        pytest.param((stopped(0, RungEnd.REFUSED),), id="refused"),
    ],
)
def test_an_order_waits_to_be_begun_whatever_comes_of_an_earlier_write(rows):
    after = WAITING
    for row in rows:
        after = advance(after, row)
    assert (after.phase, after.order, after.accepted) == (Phase.OPEN, ORDER, (intended(0),) if isinstance(rows[0], Applied) else ())
    assert advance(after, intended(1)).phase is Phase.ACTING


def test_an_order_does_not_pass_another_writer_who_came_to_light_since():
    after = advance(advance(WAITING, replace(ACCEPTED, rung=0)), stopped(0, RungEnd.OVERTAKEN))
    assert (after.phase, has_ended(after)) == (Phase.STOPPED, True)


def test_the_end_of_the_ordered_step_is_the_orders_end():
    assert advance(WAITING, stopped(1)).order is None
    assert advance(WAITING, stopped(1)).phase is Phase.STOPPED


@pytest.mark.parametrize(
    ("by", "rung", "plan", "is_other"),
    [
        pytest.param((), 1, ORDER.plan_digest, True, id="the-machines"),
        pytest.param(("bob",), 1, ORDER.plan_digest, True, id="another-persons"),
        pytest.param(("ann",), 0, ORDER.plan_digest, True, id="another-rung"),
        pytest.param(("ann",), 1, "q" * 64, True, id="what-the-same-person-had-approved-before"),
        pytest.param(("ann",), 1, ORDER.plan_digest, False, id="the-order"),
    ],
)
def test_an_order_that_waits_overrules_every_other_step(by, rung, plan, is_other):
    assert WAITING.orders_else(by, rung, plan) is is_other
    assert not OPEN.orders_else(by, rung, plan)
