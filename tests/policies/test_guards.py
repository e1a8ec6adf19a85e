"""The guard table at its edges: from when on each guard holds, for whom, and what it says to people where it does not."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.guards import ALWAYS_ASKED, PASSABLE, Guard, cooldown_of, destination, first_block, guards, running_guards
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Acked
from rollbackd.policies.known.fleet import Flight, Limits
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.freeze import Freeze, Once
from rollbackd.policies.model.policy import FlagsRung, RevertRung
from tests.policies.literals import CALM, FLAGS, FLIP, HOUR, MINUTE, OPENED, POLICY, RELEASE, SECOND, T0, TARGET

LATER = T0 + 5 * MINUTE
INCIDENT = fold((OPENED,))
UPGRADE = Change("shared:orders-db", "posted:15", "15", None, T0, T0, T0, posted=True)
"""About as likely the cause as the release, and nothing here undoes it."""
RUNNING = ("pause", "freeze", "systemic", "suspects", "acknowledged", "irreversible")
FIRST = ("quarantine", "cool-down", "in-flight-namespace", "in-flight", "per-hour", "per-target-day")


def guard(name, *, policy=POLICY, suspects=(RELEASE,), incident=None, at=LATER, **fleet) -> Guard:
    return next(g for g in guards(policy, suspects, replace(CALM, **fleet), at, incident) if g.name == name)


def holds(name, **world) -> bool:
    return guard(name, **world).blocks is not None


def test_every_guard_is_asked_before_the_first_rung_and_the_running_ones_before_each():
    assert tuple(g.name for g in guards(POLICY, (RELEASE,), CALM, LATER)) == RUNNING + FIRST
    assert tuple(g.name for g in running_guards((RELEASE,), CALM, POLICY, LATER)) == RUNNING


def test_nothing_holds_in_a_calm_fleet_and_the_first_that_does_is_named():
    assert first_block(guards(POLICY, (RELEASE,), CALM, LATER)) is None
    stormy = replace(CALM, paused="game day", acted_in_hour=99)
    assert first_block(guards(POLICY, (RELEASE,), stormy, LATER)) == Guard("pause", "paused: game day", "paused: game day")


def test_people_pass_what_may_be_passed_and_never_the_pause():
    assert set(PASSABLE) == {*FIRST, "freeze", "systemic"}
    assert {"pause"} == ALWAYS_ASKED


# --- time -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("since", "expected"), [(30 * MINUTE - SECOND, True), (30 * MINUTE, False)])
def test_a_cool_down_holds_until_its_end(since, expected):
    assert holds("cool-down", closed={TARGET: LATER - since}) is expected


def test_a_cool_down_says_since_when_and_until_when():
    assert guard("cool-down", closed={TARGET: T0}).value == "last incident closed 14:00:00, cool-down until 14:30:00"
    assert guard("cool-down", closed={FLAGS: T0}).value == "no incident closed on this target"


def test_a_cool_down_of_a_day_says_on_which_day_it_ends():
    said = guard("cool-down", closed={TARGET: T0}, limits=Limits(cooldown=24 * HOUR)).value
    assert said == f"last incident closed 14:00:00, cool-down until {T0 + 24 * HOUR:%Y-%m-%d} 14:00:00"


@pytest.mark.parametrize(
    ("own", "floor", "expected"),
    [
        pytest.param(None, None, 30, id="the-daemons"),
        pytest.param(None, 45, 30, id="the-floor-is-of-what-a-policy-says"),
        pytest.param(5, None, 5, id="its-own"),
        pytest.param(5, 10, 10, id="not-below-the-floor"),
        pytest.param(20, 10, 20, id="above-the-floor"),
    ],
)
def test_a_policys_own_cool_down_is_not_below_the_floor(own, floor, expected):
    minutes = [None if each is None else each * MINUTE for each in (own, floor)]
    policy = replace(POLICY, timing=replace(POLICY.timing, cooldown=minutes[0]))
    assert cooldown_of(policy, replace(CALM, limits=Limits(cooldown_floor=minutes[1]))) == expected * MINUTE


def test_a_freeze_is_of_its_namespaces_and_says_until_when():
    sale = Freeze("sale", Once(T0, T0 + HOUR), frozenset({"shop"}))
    found = guard("freeze", limits=Limits(freezes=(sale,)))
    assert found == Guard("freeze", "freeze until 2026-11-22 15:00 UTC: sale", "freeze until 2026-11-22 15:00 UTC: sale")
    assert not holds("freeze", limits=Limits(freezes=(replace(sale, namespaces=frozenset({"search"})),)))


# --- budgets ------------------------------------------------------------------------------------------------------------------------


def flying(*namespaces):
    return tuple(Flight(f"i{n}", f"t{n}", space) for n, space in enumerate(namespaces))


@pytest.mark.parametrize(
    ("name", "fleet", "expected"),
    [
        pytest.param("in-flight", {"flights": flying("a", "b")}, False, id="two-in-flight"),
        pytest.param("in-flight", {"flights": flying("a", "b", "c")}, True, id="three-in-flight"),
        pytest.param("in-flight-namespace", {"flights": flying("a", "b", "c")}, False, id="none-of-them-here"),
        pytest.param("in-flight-namespace", {"flights": flying("shop")}, True, id="one-of-them-here"),
        pytest.param("per-hour", {"acted_in_hour": 9}, False, id="nine-in-an-hour"),
        pytest.param("per-hour", {"acted_in_hour": 10}, True, id="ten-in-an-hour"),
        pytest.param("per-target-day", {"acted_in_day": {TARGET: 1, FLAGS: 9}}, False, id="one-on-this-target"),
        pytest.param("per-target-day", {"acted_in_day": {TARGET: 2}}, True, id="two-on-this-target"),
    ],
)
def test_a_budget_is_spent_once_its_limit_is_reached(name, fleet, expected):
    assert holds(name, **fleet) is expected


def test_what_nothing_was_spent_of_is_said_to_be_none():
    values = [guard(name).value for name in FIRST[2:]]
    assert values == [
        "0 of 1 incidents in flight in shop",
        "0 of 3 incidents in flight",
        "0 of 10 incidents that acted in the last hour",
        "0 of 2 incidents that acted on this target in the last day",
    ]


def test_an_incident_does_not_count_against_itself():
    own = Flight(INCIDENT.id, TARGET, "shop")
    assert not holds("in-flight-namespace", flights=(own,), incident=INCIDENT)
    assert holds("in-flight-namespace", flights=(own, *flying("shop")), incident=INCIDENT)
    assert guard("in-flight", flights=(own, *flying("a")), incident=INCIDENT).value == "1 of 3 incidents in flight"


# --- the suspects -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suspects", "onsets", "value", "expected"),
    [
        pytest.param((), {TARGET: LATER}, "no change under suspicion", False, id="none"),
        pytest.param((RELEASE, UPGRADE), {}, "2 changes under watch, no breach to lay to them", False, id="no-breach"),
        pytest.param((RELEASE, UPGRADE), {TARGET: LATER}, "likeliest first: ", True, id="about-as-likely"),
        pytest.param((RELEASE,), {TARGET: LATER}, "likeliest first: ", False, id="one-that-can-be-undone"),
    ],
)
def test_what_cannot_be_undone_holds_where_it_is_about_as_likely(suspects, onsets, value, expected):
    found = guard("suspects", suspects=suspects, onsets=onsets)
    assert found.value.startswith(value)
    assert (found.blocks is not None) is expected


def test_an_incident_has_its_own_onset():
    assert holds("suspects", suspects=(RELEASE, UPGRADE), incident=INCIDENT)


ALWAYS_FLAGS = (FlagsRung(FLAGS, always=True), RevertRung(TARGET))
ALWAYS_REVERTS = (FlagsRung(FLAGS), RevertRung(TARGET, always=True))


@pytest.mark.parametrize(
    ("ladder", "suspects", "rung", "expected"),
    [
        pytest.param(ALWAYS_FLAGS, (RELEASE, UPGRADE), -1, False, id="the-first-always-runs"),
        pytest.param(ALWAYS_FLAGS, (RELEASE, UPGRADE), 0, True, id="the-one-after-it-does-not"),
        pytest.param(ALWAYS_REVERTS, (RELEASE, UPGRADE), -1, False, id="the-first-has-nothing-to-undo"),
        pytest.param(ALWAYS_REVERTS, (FLIP, UPGRADE), -1, True, id="the-first-has-something-to-undo"),
        pytest.param(ALWAYS_REVERTS, (RELEASE, replace(FLIP, posted=True)), -1, False, id="the-first-cannot-undo-it"),
        pytest.param(ALWAYS_REVERTS, (RELEASE, UPGRADE), 1, True, id="no-rung-is-left"),
    ],
)
def test_a_rung_that_always_runs_asks_for_no_suspect(ladder, suspects, rung, expected):
    policy, onsets = replace(POLICY, ladder=ladder), {TARGET: LATER}
    assert holds("suspects", policy=policy, suspects=suspects, onsets=onsets, incident=replace(INCIDENT, rung=rung)) is expected
    if rung < 0:
        assert holds("suspects", policy=policy, suspects=suspects, onsets=onsets) is expected


# --- the others, and what people did ------------------------------------------------------------------------------------------------


def test_a_common_cause_names_five_of_those_that_broke():
    found = guard("systemic", unexplained=frozenset("abcdefg"))
    assert "7 of 9 other targets in breach without a change; what is usual is not known before a day is watched (0s were), holds at 2" in found.value
    assert found.blocks == f"{found.value}: a, b, c, d, e: a common cause is likelier than this change"
    assert guard("systemic", unexplained=frozenset("a")).blocks is None


def test_an_incident_that_somebody_has_taken_is_theirs():
    assert guard("acknowledged").value == "no incident is open"
    assert guard("acknowledged", incident=INCIDENT).value == "nobody has taken the incident"
    why = "bob has taken the incident at 14:05:00: what is done next is theirs to order"
    assert guard("acknowledged", incident=replace(INCIDENT, acked=Acked("inc-1", LATER, "bob"))) == Guard("acknowledged", why, why)


def test_what_is_irreversible_is_told_and_does_not_hold():
    found = guard("irreversible", suspects=(RELEASE, replace(FLIP, irreversible="migration 0042")))
    assert found == Guard("irreversible", f"change f2@x of {FLAGS} is irreversible: migration 0042; a revert across it needs approval")
    assert guard("irreversible").value == "no suspect is irreversible"


def test_a_quarantined_suspect_holds_and_says_what_lets_it_go():
    assert holds("quarantine", suspects=(FLIP,), quarantined=frozenset({(FLAGS, "f2")}))
    assert "`rollbackd rearm flagd:shop/tag:checkout f2`" in guard("quarantine", suspects=(FLIP,), quarantined=frozenset({(FLAGS, "f2")})).value
    assert not holds("quarantine", quarantined=frozenset({(TARGET, "good6"), (FLAGS, "bad7")}))
    foreign = replace(FLIP, revision="f2;id")
    assert f"`rollbackd rearm {FLAGS} 'f2;id'`" in guard("quarantine", suspects=(foreign,), quarantined=frozenset({(FLAGS, "f2;id")})).value


def test_a_quarantined_suspect_that_another_release_replaced_is_not_called_live():
    again = guard("quarantine", quarantined=frozenset({(TARGET, RELEASE.revision)})).value
    assert f"revision {RELEASE.revision} was rolled back before and is live again; " in again
    newer = replace(RELEASE, id="v9", revision="v9", started_late=RELEASE.started_late + MINUTE, first_seen=RELEASE.first_seen + MINUTE)
    gone = guard("quarantine", suspects=(newer, RELEASE), quarantined=frozenset({(TARGET, RELEASE.revision)})).value
    came = f"came again at {RELEASE.started_late:%H:%M:%S}, before v9: the breach may be its doing"
    assert f"revision {RELEASE.revision} was rolled back before and {came}; `rollbackd rearm" in gone


def test_going_to_a_quarantined_revision_holds():
    fleet = replace(CALM, quarantined=frozenset({(TARGET, "bad7")}))
    assert destination(TARGET, "good6", fleet) == Guard("quarantine", "good6 is not quarantined")
    assert destination(TARGET, "bad7", fleet).blocks is not None


def test_a_pause_that_is_off_says_so():
    assert guard("pause") == Guard("pause", "not paused")
