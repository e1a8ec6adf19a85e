"""Which rung comes next, what its order carries, and what is said when none is left."""

import hashlib
from dataclasses import replace

import pytest

from rollbackd.policies.decide.coming import suspect_of
from rollbackd.policies.decide.decisions import Act, Offer
from rollbackd.policies.decide.ladder import evidence_digest, rung_text
from rollbackd.policies.judge.evidence import Nothing
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.events import Held, RungEnd, Stopped
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.incident import suspects_of
from rollbackd.policies.model.policy import FlagsRung, Mode, RestoreRung, RevertRung
from tests.policies.literals import (
    CALM,
    ERRORS,
    FLAGS,
    FLIP,
    MEMORY,
    MINUTE,
    OPENED,
    POLICY,
    RELEASE,
    T0,
    TARGET,
    bad,
    kinds,
    only,
    run,
    verifying,
)

LATER = T0 + 5 * MINUTE
DATABASE = "rds:prod/eu-west-1/orders/point-in-time"
FLAGS_RUNG, REVERT_RUNG = POLICY.ladder


def decided(*events, policy=POLICY, changes=(RELEASE,), fleet=CALM, at=LATER):
    incident = fold((OPENED, *events)) if events else None
    return run(policy, {at: bad(at)}, changes=changes, fleet=fleet, incident=incident).decisions


def ladder(*rungs, **more):
    return replace(POLICY, ladder=rungs, **more)


def ended(rung, how, reason, target=TARGET):
    return Stopped("inc-1", LATER, rung, target, how, reason)


# --- the suspects -------------------------------------------------------------------------------------------------------------------


def test_an_incident_keeps_the_order_of_its_suspects_and_forgets_those_that_are_gone():
    incident = replace(fold((OPENED,)), suspects=("f2@x", "gone", "uid:7"))
    assert suspects_of(incident, (RELEASE, FLIP)) == (FLIP, RELEASE)


def test_a_rung_undoes_the_newest_change_of_its_own_target_that_can_be_undone():
    newer, posted = replace(RELEASE, id="uid:8"), replace(RELEASE, id="p", posted=True)
    assert suspect_of(REVERT_RUNG, (posted, newer, RELEASE)) == newer
    assert suspect_of(REVERT_RUNG, (posted, FLIP)) is None


# --- what an order carries ----------------------------------------------------------------------------------------------------------


def test_an_order_carries_what_was_judged():
    act = only(decided(), Act)
    opened = decided()[0]
    assert (act.incident, act.at, act.rung, act.remedy, act.from_revision, act.suspect) == (opened.incident, LATER, 1, REVERT_RUNG, "bad7", "uid:7")
    assert (act.only, act.evidence_digest, act.plan_digest, act.by, act.overrides, act.undo) == (None, opened.evidence_digest, None, (), (), None)


@pytest.mark.parametrize(
    ("rung", "expected"),
    [
        pytest.param(FLAGS_RUNG, ("banner", "new-checkout"), id="what-its-suspects-touched"),
        pytest.param(replace(FLAGS_RUNG, only_changed=False), None, id="all-in-scope"),
    ],
)
def test_flags_are_put_back_where_a_suspect_of_theirs_touched_them(rung, expected):
    second = replace(FLIP, id="f1@y", parts=("banner",))
    long_ago = T0 - 40 * MINUTE
    told = replace(FLIP, id="f0@z", parts=("posted",), posted=True, started_early=long_ago, started_late=long_ago, first_seen=long_ago)
    changes = (FLIP, second, replace(RELEASE, parts=("image",)), told)
    assert only(decided(policy=ladder(rung, REVERT_RUNG), changes=changes), Act).only == expected


def test_the_digest_of_the_evidence_is_of_every_verdict_with_its_numbers():
    silent, other = Verdict(State.NODATA, Nothing("no series")), Verdict(State.NODATA, Nothing("refused"))
    digests = {evidence_digest(POLICY, (verdict,)) for verdict in (silent, other, silent._replace(state=State.ERROR))}
    assert len(digests) == 3
    both = replace(POLICY, conditions=(ERRORS, MEMORY))
    text = b"nodata error-rate nodata: no series\nnodata memory nodata: refused"
    assert evidence_digest(both, (silent, other)) == hashlib.sha256(text).hexdigest()


# --- modes --------------------------------------------------------------------------------------------------------------------------


def test_a_rung_below_approve_is_held_with_its_name():
    held = only(decided(policy=ladder(FLAGS_RUNG, replace(REVERT_RUNG, mode=Mode.SUGGEST))), Held)
    assert held.guard == "mode"
    assert held.reason.startswith(f"rung 2 (revert {TARGET}) has mode suggest: it is yours to decide; error-rate 60/600")


@pytest.mark.parametrize(("mode", "kind"), [(Mode.APPROVE, "Offer"), (Mode.AUTO, "Act"), (Mode.OBSERVE, "Held")])
def test_a_rung_is_put_to_people_or_begun_by_its_mode(mode, kind):
    assert kinds(decided(policy=ladder(replace(REVERT_RUNG, mode=mode))))[-1] == kind


def test_a_restore_is_put_to_people_whatever_else_is_auto_and_needs_a_suspect():
    restore = RestoreRung(DATABASE, Mode.AUTO)
    assert only(decided(policy=ladder(restore)), Offer).act.remedy == restore
    incident = replace(fold((OPENED,)), suspects=())
    stopped = only(run(ladder(restore), {LATER: bad(LATER)}, incident=incident).decisions, Stopped)
    assert (stopped.how, stopped.reason) == (RungEnd.NO_SUSPECT, f"no suspect tells the moment that {DATABASE} would go back to")


def test_rungs_that_begin_at_once_are_one_decision_up_to_the_first_that_does_not():
    together = ladder(replace(FLAGS_RUNG, with_next=True, always=True), replace(REVERT_RUNG, with_next=True), RevertRung("command:x", always=True))
    assert [act.rung for act in decided(policy=together)[1:]] == [0, 1, 2]
    two = ladder(replace(FLAGS_RUNG, with_next=True, always=True), REVERT_RUNG, RevertRung("command:x", always=True))
    assert [act.rung for act in decided(policy=two)[1:]] == [0, 1]
    last = ladder(replace(REVERT_RUNG, with_next=True))
    assert [act.rung for act in decided(policy=last)[1:]] == [0]


def test_the_boldest_of_those_that_begin_at_once_waits_for_the_shyest():
    shy = ladder(replace(FLAGS_RUNG, with_next=True, always=True), replace(REVERT_RUNG, mode=Mode.SUGGEST))
    assert only(decided(policy=shy), Held).guard == "mode"


def test_a_rung_without_anything_to_undo_is_on_record_as_that():
    stopped = only(decided(), Stopped)
    assert (stopped.rung, stopped.target, stopped.how, stopped.reason) == (0, FLAGS, RungEnd.NO_SUSPECT, f"{FLAGS} had no change to undo")


def test_a_guard_that_holds_the_next_rung_says_why_it_does():
    at, common = T0 + 7 * MINUTE, replace(CALM, unexplained=frozenset({"a", "b"}))
    held = only(run(POLICY, {at: bad(at)}, incident=verifying(rung=0), fleet=common).decisions, Held)
    assert held.guard == "systemic"
    assert held.reason.endswith(": a, b: a common cause is likelier than this change")


# --- no rung is left ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            (ended(1, RungEnd.FAILED, "0 of 3 ready"),),
            "rung 2 failed: 0 of 3 ready; no rung is left",
            id="why-is-said-once",
        ),
        pytest.param(
            (ended(0, RungEnd.NO_SUSPECT, "no change", FLAGS), ended(1, RungEnd.NOTHING, "already there")),
            "rung 1 no suspect: no change; rung 2 nothing to do: already there; no rung is left. error-rate 60/600",
            id="all-that-was-tried",
        ),
        pytest.param(
            (ended(1, RungEnd.NO_SUSPECT, "no change"),),
            f"nothing here can undo the suspects: {TARGET} revision bad7 ready 14:00:00. error-rate 60/600",
            id="nothing-to-undo",
        ),
    ],
)
def test_what_was_tried_is_said_when_no_rung_is_left(events, expected):
    held = only(decided(*events), Held)
    assert (held.guard, held.reason) == ("ladder", expected)


def test_rungs_that_were_all_carried_out_are_said_to_have_been():
    at = T0 + 7 * MINUTE
    held = only(run(POLICY, {at: bad(at)}, incident=verifying()).decisions, Held)
    assert held.reason.startswith("every rung was tried; no rung is left. rung 2 did not help: error-rate 60/600")


def test_an_incident_that_acted_says_what_it_tried_though_the_rest_had_no_suspect():
    at, rungs = T0 + 7 * MINUTE, ladder(FLAGS_RUNG, REVERT_RUNG, RevertRung("command:x"))
    held = only(run(rungs, {at: bad(at)}, incident=verifying()).decisions, Held)
    assert held.reason.startswith("rung 3 no suspect: command:x had no change to undo; no rung is left. rung 2 did not help")


@pytest.mark.parametrize(
    ("rung", "text"), [(FlagsRung(FLAGS), f"flags {FLAGS}"), (RevertRung(TARGET), f"revert {TARGET}"), (RestoreRung(DATABASE), f"restore {DATABASE}")]
)
def test_a_rung_is_called_by_its_key(rung, text):
    assert rung_text(rung) == text
