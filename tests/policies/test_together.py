"""What began at once, as rows of an incident: one answer at a time is awaited, all are waited for, and a final end stays the last word."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.decisions import Act, Offer
from rollbackd.policies.known.events import Applied, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.incident import Phase, has_ended
from rollbackd.policies.model.policy import Mode, RevertRung
from tests.policies.literals import FLAGS, FLIP, MINUTE, OPENED, POLICY, RELEASE, T0, TARGET, intended, kinds, only, run
from tests.policies.test_step import LATER, bad

BEGUN = (intended(0), Applied("inc-1", T0, 0, TARGET, "accepted"), intended(1, target=FLAGS), Applied("inc-1", T0, 1, FLAGS, "accepted"))
TOGETHER = replace(POLICY, ladder=(replace(POLICY.ladder[0], with_next=True), *POLICY.ladder[1:]))


def settled(rung, minutes):
    at = T0 + minutes * MINUTE
    return Settled("inc-1", at, rung, TARGET if rung == 0 else FLAGS, at, "complete")


def ended(rung, how=RungEnd.FAILED):
    return Stopped("inc-1", T0, rung, TARGET if rung == 0 else FLAGS, how, "because")


@pytest.mark.parametrize(
    ("rows", "phase", "left"),
    [
        pytest.param((*BEGUN[:2],), Phase.SETTLING, (0,), id="first-accepted"),
        pytest.param((*BEGUN[:3],), Phase.ACTING, (0,), id="second-without-an-answer"),
        pytest.param((*BEGUN[:3], settled(0, 7)), Phase.ACTING, (), id="first-settled-while-the-second-has-no-answer"),
        pytest.param((*BEGUN[:3], ended(0)), Phase.ACTING, (), id="first-failed-while-the-second-has-no-answer"),
        pytest.param((*BEGUN[:3], ended(1, RungEnd.REFUSED)), Phase.SETTLING, (0,), id="second-refused"),
        pytest.param((*BEGUN[:2], ended(1, RungEnd.NOTHING)), Phase.SETTLING, (0,), id="second-has-nothing-to-do"),
        pytest.param((*BEGUN, settled(0, 7)), Phase.SETTLING, (1,), id="one-of-two-settled"),
        pytest.param((*BEGUN, settled(1, 7)), Phase.SETTLING, (0,), id="the-other-of-two-settled"),
        pytest.param((*BEGUN, settled(0, 7), settled(1, 6)), Phase.VERIFYING, (), id="both-settled"),
        pytest.param((*BEGUN, ended(0), settled(1, 6)), Phase.VERIFYING, (), id="first-failed"),
        pytest.param((*BEGUN, settled(0, 6), ended(1)), Phase.VERIFYING, (), id="second-failed"),
        pytest.param((*BEGUN, ended(0), ended(1)), Phase.STOPPED, (), id="both-failed"),
        pytest.param((*BEGUN, ended(0, RungEnd.OVERTAKEN)), Phase.STOPPED, (1,), id="another-writer"),
        pytest.param((*BEGUN, ended(0, RungEnd.OVERTAKEN), settled(1, 6)), Phase.STOPPED, (), id="another-writer-and-a-late-success"),
        pytest.param((*BEGUN, ended(0, RungEnd.OVERTAKEN), ended(1)), Phase.STOPPED, (), id="another-writer-and-a-late-failure"),
    ],
)
def test_where_an_incident_stands_while_two_writes_are_on_their_way(rows, phase, left):
    incident = fold((OPENED, *rows))
    assert (incident.phase, incident.unsettled) == (phase, left)
    assert has_ended(incident) == any(isinstance(row, Stopped) and row.how is RungEnd.OVERTAKEN for row in rows)


@pytest.mark.parametrize("order", [(settled(0, 9), settled(1, 6)), (settled(1, 6), settled(0, 9))])
def test_evidence_counts_from_the_end_of_the_last(order):
    incident = fold((OPENED, *BEGUN, *order))
    assert incident.evidence_from == T0 + 9 * MINUTE
    assert [write.rung for write in incident.writes] == [0, 1]


def test_all_of_an_entry_are_begun_in_one_decision_and_what_has_no_suspect_stands_in_its_place():
    assert [type(each).__name__ for each in run(TOGETHER, {LATER: bad(LATER)}, changes=(RELEASE, FLIP)).decisions][-2:] == ["Act", "Act"]
    other = replace(TOGETHER, ladder=(RevertRung(TARGET, with_next=True), replace(POLICY.ladder[0])))
    assert kinds(run(other, {LATER: bad(LATER)}).decisions) == ["Opened", "Act", "Stopped"]


def test_people_are_asked_about_all_where_they_are_asked_about_one():
    asked = replace(TOGETHER, ladder=(TOGETHER.ladder[0], replace(POLICY.ladder[1], mode=Mode.APPROVE)))
    offer = only(run(asked, {LATER: bad(LATER)}, changes=(RELEASE, FLIP)).decisions, Offer)
    assert [offer.act.rung, *(each.rung for each in offer.others if isinstance(each, Act))] == [0, 1]
