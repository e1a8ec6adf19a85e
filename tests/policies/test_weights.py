"""How likely each change is the cause, to the digit, and which targets the changed one brought down: the edges of each rule."""

import math
from dataclasses import replace

import pytest

from rollbackd.policies.blame.attribution import (
    Suspect,
    changed_alike,
    is_clear,
    known_changes,
    ranked,
    ranking_text,
    shared_changes,
    suspected,
    victims,
)
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import Dependency
from tests.policies.literals import CALM, FLAGS, FLIP, HOUR, MINUTE, POLICY, RELEASE, SECOND, T0, TARGET

DB, CART, SEARCH = "shared:orders-db", "kubernetes:default/shop/deployment/cart", "kubernetes:default/shop/deployment/search"
USES = replace(POLICY, depends_on=(Dependency(DB, "error-rate"), Dependency(CART)))
LATER = T0 + 5 * MINUTE
UPGRADE = Change(DB, "posted:15", "15", None, T0, T0, T0, posted=True)


def suspect(weight, can_undo=True, change=RELEASE, age=5 * MINUTE):
    return Suspect(change, weight, age, can_undo)


# --- weights ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "weight"),
    [pytest.param(20, math.exp(-1), id="faded"), pytest.param(0, 1.0, id="at-once"), pytest.param(-3, 1.0, id="ready-after-the-onset")],
)
def test_a_change_fades_in_twenty_minutes(minutes, weight):
    (found,) = ranked(POLICY, (RELEASE,), CALM, T0 + minutes * MINUTE)
    assert (found.weight, found.age) == (pytest.approx(weight), max(0, minutes) * MINUTE)


def test_the_likeliest_is_first_and_what_can_be_undone_is_known():
    older, posted = replace(FLIP, started_late=T0 - 10 * MINUTE), replace(RELEASE, id="p", posted=True, ready=T0 - 20 * MINUTE)
    found = ranked(POLICY, (posted, older, UPGRADE, RELEASE), CALM, LATER)
    assert [(each.change.id, each.can_undo) for each in found] == [("posted:15", False), ("uid:7", True), ("f2@x", True), ("p", False)]


def test_three_of_many_suspects_are_named_with_what_cannot_be_undone_of_them():
    upgrade = suspect(1.0, can_undo=False, change=replace(UPGRADE, irreversible="drops a column"))
    many = [upgrade, *(suspect(weight) for weight in (0.9, 0.8, 0.7, 0.6))]
    said = ranking_text(many)
    assert said.startswith(f"1.00 {UPGRADE.target} revision 15 (5m0s before the onset, nothing here undoes it, irreversible: drops a column); 0.90 ")
    assert said.endswith("; and 2 more")


@pytest.mark.parametrize(
    ("target", "fleet", "weight"),
    [
        pytest.param(CART, {"depends": {CART: frozenset()}}, 0.5, id="watched-and-well"),
        pytest.param(CART, {"depends": {CART: frozenset()}, "onsets": {CART: T0}}, 1.0, id="watched-and-in-breach"),
        pytest.param(CART, {}, 1.0, id="not-watched"),
        pytest.param(TARGET, {"depends": {TARGET: frozenset()}}, 1.0, id="its-own"),
        pytest.param(FLAGS, {"depends": {FLAGS: frozenset()}}, 1.0, id="of-its-ladder"),
    ],
)
def test_a_dependency_that_is_well_weighs_half(target, fleet, weight):
    (found,) = ranked(USES, (replace(RELEASE, target=target),), replace(CALM, **fleet), T0)
    assert found.weight == weight


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        pytest.param((suspect(1.0), suspect(0.5, can_undo=False)), True, id="twice-as-likely"),
        pytest.param((suspect(0.99), suspect(0.5, can_undo=False)), False, id="not-quite"),
        pytest.param((suspect(0.2), suspect(1.0), suspect(0.1, can_undo=False), suspect(0.5, can_undo=False)), True, id="by-the-likeliest-of-each"),
        pytest.param((suspect(1.0), suspect(0.1, can_undo=False), suspect(0.6, can_undo=False)), False, id="one-of-many"),
        pytest.param((suspect(0.1), suspect(0.2)), True, id="all-can-be-undone"),
        pytest.param((suspect(0.1, can_undo=False),), True, id="none-can"),
        pytest.param((), True, id="none"),
    ],
)
def test_it_is_clear_where_what_can_be_undone_is_twice_as_likely(ranking, expected):
    assert is_clear(ranking) is expected


def test_a_ranking_says_weights_and_ages():
    text = ranking_text((suspect(1.0, age=0 * MINUTE), suspect(0.5, can_undo=False, change=UPGRADE)))
    assert text == f"1.00 {TARGET} revision bad7 (as the breach began); 0.50 {DB} revision 15 (5m0s before the onset, nothing here undoes it)"


# --- which changes ----------------------------------------------------------------------------------------------------------------------


def test_shared_are_the_changes_of_what_it_depends_on_and_not_its_own():
    fleet = replace(CALM, shared=(UPGRADE, RELEASE, replace(UPGRADE, target="shared:cache")))
    assert shared_changes(POLICY, fleet) == ()
    assert shared_changes(USES, fleet) == (UPGRADE,)
    assert shared_changes(replace(USES, depends_on=(Dependency(TARGET), Dependency(DB))), fleet) == (UPGRADE,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(replace(RELEASE, parts=("image", "config")), "config changed with it: a migration", id="a-part-that-migrates"),
        pytest.param(replace(RELEASE, parts=("schema", "config")), "schema and config changed with it: a migration", id="two-parts"),
        pytest.param(replace(RELEASE, parts=("image",)), None, id="another-part"),
        pytest.param(replace(RELEASE, parts=("config",), irreversible="said so"), "said so", id="known-already"),
        pytest.param(replace(FLIP, parts=("config",)), None, id="of-another-target"),
    ],
)
def test_a_policy_knows_a_migration_by_its_parts(change, said):
    policy = replace(POLICY, migrations=("config", "schema"))
    assert [each.irreversible for each in known_changes(policy, (change,), CALM)] == [said]
    assert known_changes(POLICY, (change,), CALM) == (change,)


def test_known_are_its_own_changes_and_then_those_of_what_it_depends_on():
    assert known_changes(USES, (RELEASE, FLIP), replace(CALM, shared=(UPGRADE,))) == (RELEASE, FLIP, UPGRADE)


def test_suspected_are_its_own_changes_first_and_nothing_without_one():
    fleet = replace(CALM, shared=(UPGRADE,))
    assert suspected(USES, (UPGRADE, RELEASE), fleet, HOUR, LATER) == (RELEASE, UPGRADE)
    assert suspected(USES, (UPGRADE,), fleet, HOUR, LATER) == ()
    answered = replace(fleet, answered={USES.target: frozenset({"uid:7", "posted:15"})})
    assert suspected(USES, (RELEASE, FLIP), answered, HOUR, LATER) == (FLIP, UPGRADE)


# --- victims ------------------------------------------------------------------------------------------------------------------------------

AMONG = frozenset({CART, SEARCH, TARGET})
FLEET = replace(
    CALM,
    onsets={TARGET: LATER, CART: LATER, SEARCH: LATER + MINUTE},
    depends={TARGET: frozenset({DB}), CART: frozenset({DB}), SEARCH: frozenset({DB, CART})},
    risen=frozenset({(TARGET, DB)}),
)


def brought_down(fleet=FLEET, found=(RELEASE,), policy=USES):
    return victims(policy, found, fleet, HOUR, AMONG)


def test_those_that_depend_on_what_it_uses_too_much_of_are_victims_where_it_broke_no_later():
    assert brought_down() == {CART, SEARCH}
    assert brought_down(replace(FLEET, onsets={**FLEET.onsets, CART: LATER - SECOND})) == frozenset()


def test_a_target_that_was_proven_late_had_begun_to_break_before():
    late = replace(FLEET, onsets={TARGET: LATER + 20 * MINUTE, CART: LATER + MINUTE, SEARCH: LATER + 2 * MINUTE}, began={TARGET: LATER})
    assert brought_down(late) == {CART, SEARCH}
    assert brought_down(replace(late, began={TARGET: LATER + 2 * MINUTE})) == frozenset()
    assert brought_down(replace(late, began={})) == frozenset()


def test_one_whose_onset_nobody_knows_broke_no_earlier():
    assert brought_down(replace(FLEET, onsets={TARGET: LATER})) == {CART, SEARCH}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param((), False, id="nothing-changed"),
        pytest.param((replace(RELEASE, posted=True),), False, id="nothing-that-can-be-undone"),
        pytest.param((UPGRADE,), False, id="something-else-changed"),
        pytest.param((UPGRADE, FLIP), True, id="a-flag-of-its-ladder"),
    ],
)
def test_only_what_changed_brings_others_down(found, expected):
    assert bool(brought_down(found=found)) is expected


def test_those_that_depend_on_the_target_itself_are_victims_whatever_it_uses():
    fleet = replace(FLEET, depends={CART: frozenset({TARGET}), SEARCH: frozenset({DB})}, risen=frozenset())
    assert brought_down(fleet) == {CART}


def test_a_shared_thing_that_changed_itself_is_no_use_of_the_target():
    assert brought_down(replace(FLEET, shared=(UPGRADE,))) == frozenset()
    long_ago = replace(UPGRADE, started_early=T0 - 2 * HOUR, started_late=T0 - 2 * HOUR, first_seen=T0 - 2 * HOUR)
    assert brought_down(replace(FLEET, shared=(long_ago,))) == {CART, SEARCH}


def test_changed_alike_is_what_another_one_in_breach_depends_on_too():
    fleet = replace(FLEET, shared=(UPGRADE, replace(UPGRADE, target=CART, id="cart:3")))
    assert [each.target for each in changed_alike(USES, fleet, HOUR, {SEARCH})] == [DB, CART]
    assert [each.target for each in changed_alike(USES, fleet, HOUR, {CART})] == [DB]
    assert changed_alike(USES, fleet, HOUR, ()) == ()
    assert changed_alike(USES, replace(fleet, onsets={}), HOUR, {SEARCH}) == ()
    assert changed_alike(USES, fleet, HOUR, {"x"}) == ()
