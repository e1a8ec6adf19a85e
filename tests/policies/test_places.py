"""Where a rung writes is asked as well as where the watched target is: the namespace's cap, and its freezes."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.coming import coming
from rollbackd.policies.decide.decisions import Act, Offer
from rollbackd.policies.decide.guards import guards
from rollbackd.policies.decide.hands import blocks
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Acked, Approved, Held, Offered, Ordered
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.freeze import Freeze, Once
from rollbackd.policies.model.policy import FlagsRung, Mode, RevertRung
from tests.policies.literals import CALM, FLIP, HOUR, MINUTE, OPENED, POLICY, RELEASE, T0, TARGET, counts, intended, only, run

LATER = T0 + 5 * MINUTE
LEDGER = "kubernetes:default/payments/deployment/ledger"
SWITCHES = "unleash:default/production/tag:checkout"
RELEASED = Change(LEDGER, "uid:l", "l7", "l6", T0, T0, T0, ready=T0)
FLIPPED = replace(FLIP, target=SWITCHES)
ELSEWHERE = replace(POLICY, ladder=(RevertRung(LEDGER), RevertRung(TARGET)))
SWITCHING = replace(POLICY, ladder=(FlagsRung(SWITCHES), RevertRung(TARGET)))
OFFER = Offered("inc-1", LATER, 0, LEDGER, "l7", "l6", "p" * 64, "e", 1, T0 + 15 * MINUTE, "put back l6", "error-rate 60/600")
APPROVED = Approved("inc-1", LATER, OFFER.plan_digest, "ann", "seen")
ORDER = Ordered("inc-1", LATER, 0, LEDGER, "l7", "p" * 64, "ann", "customers say so")


def fleet(*, caps=None, frozen=()):
    sale = Freeze("sale", Once(T0 - HOUR, T0 + HOUR), frozenset(frozen))
    revisions = {**CALM.revisions, LEDGER: "l7", SWITCHES: "f2"}
    return replace(CALM, revisions=revisions, namespace_caps=caps or {}, limits=Limits(freezes=(sale,) if frozen else ()))


def decided(*events, policy=ELSEWHERE, changes=(RELEASED,), **world):
    """What the slot decides, of no incident or of that which these rows amount to."""
    incident = replace(fold((OPENED, *events)), suspects=tuple(change.id for change in changes)) if events else None
    return run(policy, {LATER: counts(LATER, 60, 600)}, changes=changes, fleet=fleet(**world), incident=incident).decisions


# --- caps ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [Mode.OBSERVE, Mode.SUGGEST])
def test_a_rung_is_not_carried_out_where_its_namespace_allows_no_more_than_a_word(cap):
    held = only(decided(caps={"payments": cap}), Held)
    assert held.guard == "mode"
    said = f"rung 1 (revert {LEDGER}) has mode {cap.name.lower()}, the most that payments allows: it is yours to decide; error-rate"
    assert held.reason.startswith(said)


def test_a_rung_is_put_to_people_where_its_namespace_wants_that():
    assert only(decided(caps={"payments": Mode.APPROVE}), Offer).act.remedy.target == LEDGER
    assert only(decided(caps={"payments": Mode.AUTO}), Act).remedy.target == LEDGER


def test_a_cap_is_of_what_the_rung_writes_to_and_of_no_other():
    assert only(decided(caps={"payments": Mode.OBSERVE}, changes=(RELEASE,)), Act).remedy.target == TARGET


def test_the_place_of_a_flag_has_its_cap_too():
    held = only(decided(policy=SWITCHING, changes=(FLIPPED,), caps={"unleash:default": Mode.OBSERVE}), Held)
    assert ", the most that unleash:default allows" in held.reason


def test_of_rungs_that_begin_at_once_the_lowest_cap_holds_all():
    both = replace(POLICY, ladder=(RevertRung(TARGET, with_next=True), RevertRung(LEDGER)))
    held = only(decided(policy=both, changes=(RELEASE, RELEASED), caps={"payments": Mode.OBSERVE}), Held)
    assert held.reason.startswith(f"rung 1 (revert {TARGET}) has mode observe, the most that payments allows")


def test_a_cap_that_was_lowered_meanwhile_holds_an_approved_plan():
    assert only(decided(OFFER, APPROVED, caps={"payments": Mode.APPROVE}), Act).remedy.target == LEDGER
    assert only(decided(OFFER, APPROVED, caps={"payments": Mode.OBSERVE}), Held).guard == "mode"


def test_a_cap_leaves_people_their_hands():
    assert only(decided(ORDER, caps={"payments": Mode.OBSERVE}), Act).remedy.target == LEDGER


# --- freezes ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "changes", "space"),
    [
        pytest.param(ELSEWHERE, (RELEASED,), "payments", id="another-namespace"),
        pytest.param(SWITCHING, (FLIPPED,), "unleash:default", id="the-place-of-a-flag"),
        pytest.param(
            replace(POLICY, ladder=(RevertRung(TARGET, with_next=True), RevertRung(LEDGER))), (RELEASE, RELEASED), "payments", id="begins-at-once"
        ),
    ],
)
def test_a_freeze_holds_where_it_is_written_to(policy, changes, space):
    held = only(decided(policy=policy, changes=changes, frozen=[space]), Held)
    assert (held.guard, held.reason) == ("freeze", f"freeze in {space} until 2026-11-22 15:00 UTC: sale")


def test_a_freeze_holds_where_the_watched_target_is_whatever_is_written_to():
    assert only(decided(frozen=["shop", "payments"]), Held).reason == "freeze until 2026-11-22 15:00 UTC: sale"


def test_a_freeze_where_nothing_is_about_to_begin_holds_nothing():
    assert only(decided(frozen=["payments"], changes=(RELEASE,)), Act).remedy.target == TARGET


@pytest.mark.parametrize(
    "events", [pytest.param((OFFER, APPROVED, Acked("inc-1", LATER, "bob")), id="approved"), pytest.param((ORDER,), id="ordered")]
)
def test_a_freeze_holds_what_people_decided_until_they_name_it(events):
    asked = replace(ELSEWHERE, mode=Mode.APPROVE)
    assert only(decided(*events, policy=asked, frozen=["payments"]), Held).guard == "freeze"
    named = [replace(event, overrides=("freeze",)) if isinstance(event, Approved | Ordered) else event for event in events]
    assert only(decided(*named, policy=asked, frozen=["payments"]), Act).remedy.target == LEDGER


def test_people_are_told_of_a_freeze_where_they_would_write():
    world, incident = fleet(frozen=["payments"]), replace(fold((OPENED,)), suspects=("uid:l",))
    assert blocks(ELSEWHERE, incident, (RELEASED,), world, LATER, ()).name == "freeze"
    assert blocks(ELSEWHERE, incident, (RELEASED,), world, LATER, (), begins=(TARGET,)) is None
    assert blocks(ELSEWHERE, None, (), world, LATER, (), replace(intended(), target=LEDGER)).name == "freeze"
    assert blocks(ELSEWHERE, None, (), world, LATER, (), intended()) is None
    acted = replace(incident, acted=True)
    assert blocks(ELSEWHERE, acted, (RELEASED,), world, LATER, (), begins=(TARGET,)) is None
    assert next(g for g in guards(ELSEWHERE, (), world, LATER, None, (LEDGER,)) if g.name == "freeze").blocks


# --- what comes ---------------------------------------------------------------------------------------------------------------------


def test_what_comes_is_the_next_rung_that_has_something_to_undo_with_those_that_begin_at_once():
    first, second = ELSEWHERE.ladder
    assert coming(ELSEWHERE, (RELEASED, RELEASE), None) == (first,)
    assert coming(ELSEWHERE, (RELEASE,), None) == (second,)
    assert coming(ELSEWHERE, (RELEASED, RELEASE), replace(fold((OPENED,)), rung=0)) == (second,)
    assert coming(ELSEWHERE, (RELEASED, RELEASE), replace(fold((OPENED,)), rung=1)) == ()
    both = replace(ELSEWHERE, ladder=(replace(first, with_next=True), second))
    assert coming(both, (RELEASED, RELEASE), None) == both.ladder
    assert coming(both, (RELEASED,), None) == both.ladder[:1]
