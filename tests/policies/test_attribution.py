"""Whose fault a breach is: suspects that nothing here can undo, and the culprit among those that depend on one thing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.blame.attribution import is_clear, ranked
from rollbackd.policies.decide.decisions import Outside
from rollbackd.policies.decide.guards import guards
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Held, Opened
from rollbackd.policies.known.reasons import blame_reason
from rollbackd.policies.model.policy import Dependency, FlagsRung
from tests.policies.literals import CALM, FLIP, HOUR, MINUTE, POLICY, RELEASE, T0, TARGET, bad, kinds, only, run

DB, CART, SEARCH = "shared:orders-db", "kubernetes:default/shop/deployment/cart", "kubernetes:default/shop/deployment/search"
USES_DB = replace(POLICY, depends_on=(Dependency(DB, "error-rate"),))
LATER = T0 + 5 * MINUTE


def upgrade(at, target=DB, **more):
    """A change of the database that a pipeline posted."""
    return Change(target, f"posted:15@{at:%H%M}", "15", None, at, at, at, posted=True, **more)


def decided(policy=USES_DB, changes=(RELEASE,), at=LATER, **fleet):
    known = {"onsets": {TARGET: at}, **fleet}
    return run(policy, {at: bad(at)}, changes=changes, fleet=replace(CALM, **known)).decisions


# --- suspects that nothing here can undo ------------------------------------------------------------------------------------------------------


def test_an_upgrade_beside_a_release_is_held_with_the_ranking():
    held = only(decided(shared=(upgrade(T0 - 3 * MINUTE),)), Held)
    assert (held.guard, held.reason) == (
        "suspects",
        "what can be undone here is not twice as likely the cause as what cannot; likeliest first: "
        f"0.78 {TARGET} revision bad7 (5m0s before the onset); 0.67 {DB} revision 15 (8m0s before the onset, nothing here undoes it); "
        "to undo it all the same: rollbackd rollback checkout --reason '...'",
    )


def test_a_release_long_after_an_upgrade_is_reverted():
    assert "Act" in kinds(decided(shared=(upgrade(T0 - 14 * MINUTE),)))


def test_a_posted_change_of_the_target_itself_counts_as_well():
    assert only(decided(POLICY, (RELEASE, upgrade(T0, TARGET))), Held).guard == "suspects"


def test_several_suspects_in_one_ladder_are_no_ambiguity():
    assert "Act" in kinds(decided(changes=(RELEASE, FLIP)))


def test_a_rung_that_always_runs_does_not_ask_whose_fault_it_is():
    policy = replace(USES_DB, ladder=(FlagsRung(FLIP.target, only_changed=False, always=True), *POLICY.ladder[1:]))
    assert "Act" in kinds(decided(policy, shared=(upgrade(T0),)))


def test_what_the_policy_does_not_depend_on_is_no_suspect():
    assert "Act" in kinds(decided(POLICY, shared=(upgrade(T0),)))


def test_an_upgrade_alone_opens_no_incident_and_is_named():
    outside = only(decided(changes=(), shared=(upgrade(T0),)), Outside)
    assert f"it depends on what changed: {DB} revision 15" in outside.reason


def test_an_upgrade_that_another_incident_answered_is_still_a_suspect():
    change = upgrade(T0)
    assert only(decided(shared=(change,), answered={TARGET: frozenset({change.id})}), Held).guard == "suspects"


def test_an_upgrade_does_not_change_the_incidents_id():
    ids = {only(decided(shared=shared), Opened).incident for shared in ((), (upgrade(T0),))}
    assert len(ids) == 1


def test_a_dependency_that_is_watched_and_well_is_half_as_likely():
    """A release that came with it may then be undone; in breach itself, it is as likely as any."""
    policy, release_of_cart = replace(POLICY, depends_on=(Dependency(CART),)), replace(RELEASE, target=CART, id="cart:3")
    well = {"shared": (release_of_cart,), "depends": {CART: frozenset[str](), TARGET: frozenset({CART})}}
    assert "Act" in kinds(decided(policy, **well))
    assert only(decided(policy, **well, onsets={CART: T0, TARGET: LATER}), Held).guard == "suspects"


def test_the_quarantine_of_a_dependency_holds_nobody_else():
    other = replace(RELEASE, target=CART, id="cart:3", started_early=T0 - HOUR / 2, ready=T0 - HOUR / 2)
    policy = replace(POLICY, depends_on=(Dependency(CART),))
    assert "Act" in kinds(decided(policy, shared=(other,), quarantined=frozenset({(CART, other.revision)})))


@given(st.integers(-30, 30), st.integers(0, 60))
def test_which_of_two_is_likelier_does_not_depend_on_when_the_onset_was(apart, since):
    """So an onset that is seen late blames nobody else."""
    changes = (RELEASE, replace(upgrade(T0 - HOUR + apart * MINUTE), ready=T0 - HOUR + apart * MINUTE))
    onsets = (T0 + HOUR, T0 + HOUR + since * MINUTE)
    first, second = (ranked(POLICY, changes, CALM, onset) for onset in onsets)
    assert [each.change for each in first] == [each.change for each in second]
    assert is_clear(first) == is_clear(second)


# --- the culprit among the victims of a shared thing -------------------------------------------------------------------------------------------

VICTIMS = {
    "unexplained": frozenset({CART, SEARCH}),
    "depends": {TARGET: frozenset({DB}), CART: frozenset({DB}), SEARCH: frozenset({DB})},
    "onsets": {TARGET: LATER, CART: LATER + MINUTE, SEARCH: LATER + MINUTE},
    "risen": frozenset({(TARGET, DB)}),
}


def test_the_release_that_took_the_database_down_is_reverted():
    assert "Act" in kinds(decided(**VICTIMS))


def test_the_guard_says_why_it_does_not_hold_the_culprit():
    value = next(g.value for g in guards(USES_DB, (RELEASE,), replace(CALM, **VICTIMS), LATER) if g.name == "systemic")
    assert value.startswith(f"2 more depend on {TARGET}, or on what it uses too much of, and broke after it; 0 of 9 other targets")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"risen": frozenset()}, id="its-own-use-did-not-rise"),
        pytest.param({"depends": {TARGET: frozenset({DB})}}, id="the-victims-do-not-depend-on-it"),
        pytest.param({"onsets": {TARGET: LATER, CART: LATER - MINUTE, SEARCH: LATER + MINUTE}}, id="a-victim-broke-first"),
        pytest.param({"onsets": {}}, id="nobody-knows-who-broke-first"),
        pytest.param({"unexplained": frozenset({CART, SEARCH, "x", "y"})}, id="others-that-it-does-not-explain"),
        pytest.param({"shared": (upgrade(T0 - 30 * MINUTE),)}, id="the-shared-thing-itself-changed"),
    ],
)
def test_it_is_held_as_a_common_cause_where(change):
    assert only(decided(**{**VICTIMS, **change}), Held).guard == "systemic"


def test_the_shared_thing_that_changed_is_named():
    held = only(decided(**VICTIMS, shared=(upgrade(T0 - 30 * MINUTE),)), Held)
    assert held.reason.endswith(f"; {DB}, on which they depend as well, went to revision 15")


def test_those_that_depend_on_the_changed_target_itself_do_not_hold_it():
    calls_it = {CART: frozenset({TARGET}), SEARCH: frozenset({TARGET}), TARGET: frozenset[str]()}
    assert "Act" in kinds(decided(POLICY, **{**VICTIMS, "depends": calls_it, "risen": frozenset()}))


def test_without_a_change_of_its_own_nobody_is_the_culprit():
    policy = replace(USES_DB, watch=None, ladder=(FlagsRung(FLIP.target, only_changed=False, always=True),))
    assert only(decided(policy, changes=(), **VICTIMS), Held).guard == "systemic"


@pytest.mark.parametrize(
    ("blind", "said"),
    [
        pytest.param(2 * MINUTE, "changed by 14:00:00", id="between-two-looks"),
        pytest.param(3 * MINUTE, "changed between 13:57:00 and 14:00:00", id="nobody-could-look"),
    ],
)
def test_a_change_that_came_to_light_late_says_since_when_it_may_have_been(blind, said):
    assert blame_reason([replace(RELEASE, ready=None, started_early=T0 - blind)]) == f"{TARGET} revision bad7 {said}"
