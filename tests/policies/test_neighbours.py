"""A first rung waits where others lean towards a breach too, for a while: what breaks together has a common cause."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.engine.breaches import CLOSELY, Breaches
from rollbackd.controller.engine.fleet import lasting, unexplained
from rollbackd.policies.blame.leaning import leans
from rollbackd.policies.blame.neighbours import Neighbours, late_since, neighbours
from rollbackd.policies.decide.decisions import Wait
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.decide.step import LONE, PATIENCE
from rollbackd.policies.judge.bursts import Calm
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.systemic import RECENT, Chance, turned_all, watched_until
from rollbackd.policies.judge.systemic import begun as begun_at
from rollbackd.policies.judge.tally import add, begin, proven_since
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.events import Held
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Bound, Group, Leaf, Limit, OfBefore, OutsideWatch
from rollbackd.policies.watching.baseline import Before
from tests.policies.literals import (
    CALM,
    ERRORS,
    EVERY,
    HOUR,
    MEMORY,
    MINUTE,
    OPENED,
    POLICY,
    RELEASE,
    T0,
    TARGET,
    bad,
    counts,
    good,
    kinds,
    level,
    no_data,
    only,
    run,
    slots,
)

LATER = T0 + 5 * MINUTE
DAY = timedelta(days=1)
NOISY = watched_until(turned_all(begun_at(T0 - 7 * DAY), [(T0 - 7 * DAY + n * timedelta(minutes=3), f"s{n % 900}") for n in range(3000)]), T0)
"""A breach without a change each three minutes."""
LEANING = replace(CALM, leaning=frozenset({"a", "b"}))


def released(at):
    """A release of the target that served at once."""
    return replace(RELEASE, started_early=at, started_late=at, first_seen=at, ready=at)


def begun(at, fleet):
    """What is decided at ``at`` about an incident that was opened at ``LATER``."""
    incident = fold((replace(OPENED, at=LATER, onset=LATER),))
    return run(POLICY, {at: bad(at)}, fleet=fleet, incident=incident).decisions


# --- the first rung -------------------------------------------------------------------------------------------------------------


def test_neighbours_that_lean_hold_the_first_rung_back_and_the_wait_says_until_when():
    waits = only(run(POLICY, {LATER: bad(LATER)}, fleet=LEANING).decisions, Wait)
    assert waits.reason == (
        "0 other targets without a change are in breach and 2 lean towards it (a, b): "
        f"whether the cause is common shows until {LATER + PATIENCE:%H:%M:%S}; 2 in breach would hold"
    )


def test_the_wait_ends_though_they_lean_on():
    found = [kinds(begun(LATER + wait, LEANING)) for wait in (PATIENCE - EVERY, PATIENCE)]
    assert ["Act" in names for names in found] == [False, True]


def test_nothing_waits_where_no_neighbour_leans():
    assert "Act" in kinds(run(POLICY, {LATER: bad(LATER)}).decisions)


def test_what_they_turn_out_to_be_decides_at_once():
    broken, well = replace(CALM, unexplained=frozenset({"a", "b"})), CALM
    assert only(begun(LATER + MINUTE, broken), Held).guard == "systemic"
    assert "Act" in kinds(begun(LATER + MINUTE, well))


def test_one_that_is_broken_is_waited_on_for_a_second_one():
    beside = replace(CALM, unexplained=frozenset({"a", TARGET}))
    assert ["Act" in kinds(begun(LATER + wait, beside)) for wait in (EVERY, PATIENCE)] == [False, True]


def test_those_that_depend_on_the_target_are_not_waited_for():
    brought_down = replace(LEANING, depends={"a": frozenset({TARGET}), "b": frozenset({TARGET})}, onsets={TARGET: LATER})
    assert "Act" in kinds(begun(LATER + MINUTE, brought_down))


def test_in_a_scope_in_which_many_break_by_themselves_a_few_are_not_waited_for():
    many = replace(LEANING, watched=1001, usual=NOISY)
    assert "Act" in kinds(begun(LATER + MINUTE, many))


def test_it_is_open_whether_the_cause_is_common_where_one_more_would_say_so_and_not_where_two_would():
    usual = Chance(expected=0.73, counted=744, observed=21 * DAY, needed=4)
    assert [Neighbours((), leaning, frozenset(), 800, usual).may_be_common for leaning in (("a", "b"), ("a", "b", "c"))] == [False, True]


# --- a breach that began long after its change ----------------------------------------------------------------------------------

LONG_AFTER = T0 + 12 * MINUTE


def late(at, fleet, began=LONG_AFTER):
    """What is decided at ``at`` about an incident of a target that has been out of its limit since ``began``."""
    incident = fold((replace(OPENED, at=began + MINUTE, onset=began + MINUTE),))
    return run(POLICY, {at: bad(at)}, fleet=replace(fleet, began={TARGET: began}), incident=incident).decisions


def test_it_has_to_last_until_others_could_have_shown_the_same_and_the_wait_says_so():
    waits = only(late(LONG_AFTER + 2 * MINUTE, CALM), Wait)
    assert waits.reason == "it began at 14:12:00, long after the change: whether others have the same cause shows until 14:14:30"
    assert "Act" in kinds(late(LONG_AFTER + LONE, CALM))


@pytest.mark.parametrize(("watched", "waits"), [(2, True), (1, False)])
def test_one_neighbour_is_enough_to_wait_for_and_none_is_not(watched, waits):
    assert ("Act" not in kinds(late(LONG_AFTER + 2 * MINUTE, replace(CALM, watched=watched)))) is waits


def test_a_single_neighbour_that_breaks_with_it_is_a_common_cause_and_holds_at_once():
    held = only(late(LONG_AFTER + 2 * MINUTE, replace(CALM, unexplained=frozenset({"a", TARGET}))), Held)
    assert (held.guard, "holds at 1" in held.reason) == ("systemic", True)


def test_one_that_leans_is_waited_for():
    leaning = replace(CALM, leaning=frozenset({"a"}))
    assert ["Act" in kinds(late(LONG_AFTER + wait, leaning)) for wait in (LONE, MINUTE + PATIENCE)] == [False, True]


def test_one_that_declares_that_it_depends_on_the_target_is_none():
    beside = replace(CALM, unexplained=frozenset({"a"}), depends={"a": frozenset({TARGET})}, onsets={TARGET: LONG_AFTER, "a": LONG_AFTER + MINUTE})
    assert "Act" in kinds(late(LONG_AFTER + LONE, beside))


def test_where_many_break_by_themselves_one_is_chance():
    assert "Act" in kinds(late(LONG_AFTER + LONE, replace(CALM, unexplained=frozenset({"a"}), watched=1001, usual=NOISY)))


def test_soon_after_its_change_a_breach_waits_for_nobody():
    soon = T0 + 5 * MINUTE - EVERY
    assert "Act" in kinds(late(T0 + 6 * MINUTE, CALM, began=soon))
    assert "Act" in kinds(late(T0 + 9 * MINUTE, replace(CALM, unexplained=frozenset({"a"})), began=soon))
    assert "Act" not in kinds(late(T0 + 6 * MINUTE, CALM, began=T0 + 5 * MINUTE))


def test_it_is_not_late_while_any_of_its_suspects_has_just_served():
    newer = replace(RELEASE, id="uid:8", ready=LONG_AFTER - MINUTE)
    known = replace(CALM, began={TARGET: LONG_AFTER})
    assert [late_since(POLICY, suspects, known) for suspects in ((RELEASE,), (newer, RELEASE))] == [LONG_AFTER, None]


def test_a_service_that_is_watched_alone_waits_for_nobody():
    assert "Act" in kinds(late(LONG_AFTER + 2 * MINUTE, replace(CALM, watched=1)))


def test_how_long_it_has_been_out_of_its_limit_is_known_from_before_it_was_proven():
    waits = replace(POLICY, conditions=(replace(ERRORS, bound=Bound(alpha=0.01)),))
    breaches, known = Breaches(), new_watch(waits)
    for at in slots(LATER, LATER + 15 * MINUTE):
        found = evaluate(waits, known, None, (counts(at, 3, 30),), (RELEASE,), CALM, at)
        known = found.watch
        breaches.note(found)
    assert breaches.began() == {TARGET: LATER}
    assert breaches.onsets()[TARGET] > LATER + MINUTE


# --- a breach that took long to prove -------------------------------------------------------------------------------------------


def slow(broke, fleet=CALM):
    """What is decided about a breach whose proof was counted from ``LATER`` on and came half an hour later; two others broke at ``broke``."""
    onsets = {TARGET: LATER + 30 * MINUTE, "a": broke, "b": broke}
    known = replace(fleet, lasting=frozenset({"a", "b"}), onsets=onsets, evident={TARGET: LATER})
    return begun(LATER + 31 * MINUTE, known)


def test_those_that_broke_when_it_began_have_its_cause_though_that_was_long_ago():
    assert only(slow(LATER + MINUTE), Held).guard == "systemic"
    assert only(slow(LATER - RECENT), Held).guard == "systemic"
    assert "Act" in kinds(slow(LATER - RECENT - EVERY))


def test_the_longer_it_took_the_more_of_them_are_chance_and_those_of_the_last_minutes_hold_as_ever():
    usual = watched_until(turned_all(begun_at(T0 - 7 * DAY), [(T0 - 7 * DAY + n * HOUR, f"s{n}") for n in range(168)]), LATER + 30 * MINUTE)
    noisy = replace(CALM, watched=101, usual=usual)
    assert "Act" in kinds(slow(LATER + MINUTE, noisy))
    lately = replace(noisy, unexplained=frozenset({"a", "b"}), evident={TARGET: LATER})
    held = only(begun(LATER + 31 * MINUTE, lately), Held)
    assert (held.guard, "are usual in 10m0s" in held.reason) == ("systemic", True)


def test_where_neither_time_says_anything_what_is_told_is_of_all_that_broke_since_ten_minutes_before_it_began():
    proven = LATER + 30 * MINUTE
    noisy = replace(CALM, watched=1001, usual=watched_until(NOISY, proven), lasting=frozenset({"a"}), onsets={"a": LATER}, evident={TARGET: LATER})
    found = neighbours(POLICY, (RELEASE,), noisy)
    assert (found.broken, found.usual.within) == (("a",), 40 * MINUTE)


def test_one_that_broke_in_the_last_minutes_is_waited_on_however_many_were_usual_since_it_began():
    usual = watched_until(turned_all(begun_at(T0 - 7 * DAY), [(T0 - 7 * DAY + n * HOUR, f"s{n}") for n in range(168)]), LATER + 30 * MINUTE)
    onsets = {TARGET: LATER + 30 * MINUTE, "a": LATER + MINUTE}
    fleet = replace(CALM, watched=101, usual=usual, unexplained=frozenset({"b"}), lasting=frozenset({"a"}), onsets=onsets)
    incident = fold((replace(OPENED, at=LATER + 30 * MINUTE, onset=LATER + 30 * MINUTE),))
    at = LATER + 31 * MINUTE
    for evident in ({}, {TARGET: LATER - 3 * HOUR}):
        waits = only(run(POLICY, {at: bad(at)}, fleet=replace(fleet, evident=evident), incident=incident).decisions, Wait)
        assert "1 other targets without a change are in breach" in waits.reason


def test_one_that_broke_by_its_own_release_long_ago_is_not_counted_when_its_watch_has_closed():
    watched = replace(POLICY, outside_watch=OutsideWatch.NOTIFY)
    breaches, broke = noted(bad(LATER)), LATER
    long_after = broke + 3 * HOUR
    of_all = {TARGET: (RELEASE,)}
    known = {"policies": (watched,), "breaches": breaches}
    assert lasting(long_after, changes_of=lambda targets: of_all[TARGET], **known) == frozenset()
    assert lasting(long_after, changes_of=lambda targets: (), **known) == frozenset({TARGET})


def beside(change, policy=POLICY, readings=None):
    """Who is without a change when it has turned to breach after ``LATER``, having had this one."""
    at = LATER + 5 * MINUTE
    breaches, known = Breaches(), new_watch(policy)
    for slot in slots(T0, at):
        seen = readings(slot) if readings else (bad(slot) if slot >= LATER else good(slot),)
        found = evaluate(policy, known, None, seen, (), CALM, slot)
        known = found.watch
        breaches.note(found)
    return unexplained(at, (policy,), lambda targets: (change,), breaches)


def test_what_was_rolled_back_last_week_explains_no_breach_of_today():
    assert beside(released(LATER - 5 * DAY)) == frozenset({TARGET})
    assert beside(released(LATER - 10 * MINUTE)) == frozenset()


def test_a_condition_that_watches_for_longer_does_not_explain_what_another_saw():
    watches = replace(POLICY, conditions=(ERRORS, replace(MEMORY, watch=DAY)), trigger=Group((Leaf(0), Leaf(1)), 1))
    errors = beside(released(LATER - 20 * HOUR), watches, lambda at: (bad(at) if at >= LATER else good(at), level(at, 0.5)))
    memory = beside(released(LATER - 20 * HOUR), watches, lambda at: (good(at), level(at, 0.99 if at >= LATER else 0.5)))
    assert (errors, memory) == (frozenset({TARGET}), frozenset())


def test_a_new_breach_of_a_target_whose_last_one_was_never_proven_over_has_a_beginning_of_its_own():
    bounded = replace(POLICY, conditions=(replace(ERRORS, bound=Bound(alpha=0.01)),))
    breaches, known = Breaches(), new_watch(bounded)
    # Proven, then for half an hour neither well nor out; and again.
    for minute in (*range(1, 5), *range(40, 50)):
        at = T0 + minute * MINUTE
        found = evaluate(bounded, known, None, (counts(at, 10, 20),), (RELEASE,), CALM, at)
        known = found.watch
        breaches.note(found)
    assert breaches.onsets()[TARGET] >= T0 + 40 * MINUTE
    assert breaches.began()[TARGET] >= T0 + 40 * MINUTE


def shared(bad_at, total, minutes, calm):
    """The tally of an hour's watch after so many minutes, each with so many bad events of so many."""
    tally = begin(T0, HOUR, calm)
    for minute in range(1, minutes + 1):
        tally = add(tally, counts(T0 + minute * MINUTE, bad_at(minute), total))
    return tally


@pytest.mark.parametrize(("onset", "since"), [(0, 0), (1, 1), (5, 5), (20, 20)])
def test_its_proof_is_counted_from_about_when_it_began(onset, since):
    even = Calm(T0, 20.0, 20.0, 400.0, 1.0)
    assert proven_since(shared(lambda minute: 30 if minute > onset else 0, 100, 30, even), Limit(high=0.05)) == T0 + since * MINUTE


def test_of_two_sides_the_one_that_is_broken_says_since_when():
    even, limit = Calm(T0, 20.0, 20.0, 400.0, 1.0), Limit(low=0.01, high=0.9)
    assert proven_since(shared(lambda minute: 0 if minute > 20 else 60, 100, 60, even), limit) == T0 + 20 * MINUTE


def test_what_nothing_was_counted_of_is_proven_since_the_change():
    assert proven_since(begin(T0, HOUR, None), Limit(high=0.05)) == T0


def test_a_breach_is_known_by_when_it_began_and_by_when_its_proof_was_counted_from():
    bounded = replace(POLICY, conditions=(replace(ERRORS, bound=Bound(alpha=0.01)),))
    breaches, known = Breaches(), new_watch(bounded)
    # One bad event of few is out of the limit; the breach itself begins at twenty minutes.
    for minute in range(1, 26):
        at = T0 + minute * MINUTE
        found = evaluate(bounded, known, None, (counts(at, 4 if minute > 20 else minute == 2, 4),), (RELEASE,), CALM, at)
        known = found.watch
        breaches.note(found)
    assert breaches.evident()[TARGET] <= T0 + 20 * MINUTE <= breaches.began()[TARGET]


def test_those_in_breach_for_long_are_told_from_the_others():
    breaches = noted(bad(LATER))
    assert [(breaches.recent(at), breaches.lasting(at)) for at in (LATER + RECENT, LATER + RECENT + EVERY)] == [
        (frozenset({TARGET}), frozenset()),
        (frozenset(), frozenset({TARGET})),
    ]


# --- who leans ------------------------------------------------------------------------------------------------------------------


def looked(*readings, policy=POLICY):
    found = run(policy, {reading.end: reading for reading in readings}, changes=())
    return policy.conditions[0], found.watch.tracks[0], found.verdicts[0]


def steady(*newest):
    return [counts(LATER + n * MINUTE, 0, 20) for n in range(5)] + [counts(LATER + 5 * MINUTE, *newest)]


@pytest.mark.parametrize(("newest", "does"), [((3, 20), False), ((5, 20), True), ((2, 4), True), ((1, 4), False), ((0, 20), False)])
def test_it_leans_where_its_newest_block_is_more_than_chance(newest, does):
    assert leans(*looked(*steady(*newest))) is does


def test_what_is_in_breach_does_not_lean_and_neither_does_silence():
    assert not leans(*looked(*steady(20, 20)))
    assert not leans(*looked(*steady(5, 20)[:-1], no_data(LATER + 5 * MINUTE)))


def test_a_share_that_is_too_small_leans_too():
    below = replace(POLICY, conditions=(replace(ERRORS, limit=Limit(low=0.95, unit="%")),))
    well = [counts(LATER + n * MINUTE, 20, 20) for n in range(5)]
    assert leans(*looked(*well, counts(LATER + 5 * MINUTE, 15, 20), policy=below))
    assert not leans(*looked(*well, policy=below))


def test_what_breaks_just_now_is_not_taken_for_how_calm_is():
    bounded = replace(POLICY, conditions=(replace(ERRORS, bound=Bound(alpha=0.01)),))
    calm = [counts(LATER + n * MINUTE, 2, 100) for n in range(30)]
    begins = [counts(LATER + (30 + n) * MINUTE, 12, 100) for n in range(2)]
    assert leans(*looked(*calm, *begins, policy=bounded))


# --- when the others are looked at ----------------------------------------------------------------------------------------------


def noted(*readings):
    breaches, found = Breaches(), run(POLICY, {reading.end: reading for reading in readings}, changes=())
    breaches.note(found)
    return breaches


def test_the_leaning_are_known_until_they_are_well_or_broken():
    assert [noted(*steady(*newest)).leaning() for newest in ((5, 20), (20, 20), (0, 20))] == [frozenset({TARGET}), frozenset(), frozenset()]


def test_what_leans_does_so_by_the_limit_of_its_change():
    """1 of 200 before, at most 3.6 % of them: more than that leans, though no limit is written."""
    relative = replace(ERRORS, limit=Limit(unit="%", of_before=OfBefore(1.0, is_above=True)), bound=Bound(alpha=0.01))
    policy, breaches = replace(POLICY, conditions=(relative,)), Breaches()
    before = (Before(T0, sums=Sums(1, 1, 200)),)
    breaches.note(evaluate(policy, new_watch(policy), None, (counts(LATER, 5, 20),), (RELEASE,), CALM, LATER, before))
    assert breaches.leaning() == {TARGET}


def test_a_breach_is_over_where_what_broke_is_well_whatever_else_is():
    breaches, policy = Breaches(), replace(POLICY, conditions=(ERRORS, replace(ERRORS, name="slow")))
    known = new_watch(policy)
    seen = []
    for minute, errors in enumerate((60, *[0] * 7)):
        at = LATER + minute * MINUTE
        found = evaluate(policy, known, None, (counts(at, errors, 600), counts(at, 0, 600)), (), CALM, at)
        known = found.watch
        breaches.note(found)
        seen.append((found.verdicts[0].state, set(breaches.onsets())))
    assert [(State.BREACH, {TARGET}), (State.UNPROVEN, {TARGET}), (State.OK, set())] == list(dict.fromkeys((s, frozenset(t)) for s, t in seen))


def test_after_a_new_breach_everything_is_looked_at_in_every_slot_for_a_while():
    breaches, broke = noted(bad(LATER)), LATER
    assert [breaches.presses(broke + wait - EVERY, (), broke + wait) for wait in (EVERY, CLOSELY, CLOSELY + EVERY)] == [True, True, False]
    assert breaches.presses(broke - EVERY, (), broke + 5 * CLOSELY), "not looked at since"


def test_while_an_incident_waits_for_its_first_rung_everything_is_looked_at_in_every_slot():
    breaches, opened = Breaches(), fold((OPENED,))
    assert (breaches.presses(LATER, (opened,), LATER), breaches.presses(LATER, (), LATER)) == (True, False)
