"""Memory and the like: a level out of its limit acts only where it has risen since the change, compared at equal age."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.changes import Change, equal_age
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.model.policy import Condition, Leaf, Mode, Policy
from rollbackd.policies.model.readings import Level
from rollbackd.policies.model.signals import Gauge, Selector
from tests.policies.literals import FLIP, HOUR, MEMORY, MINUTE, POLICY, RELEASE, T0, TARGET, kinds, run, slots

CONDITION: Condition = replace(MEMORY, signal=Gauge(Selector("memory"), Selector("limit"), "second", "pod"), compares=True)
COMPARING: Policy = replace(POLICY, conditions=(CONDITION,), trigger=Leaf(0))
START = T0 + 5 * MINUTE
BEFORE = replace(RELEASE, id="uid:6", revision="good6", predecessor="uid:5", started_early=T0 - HOUR, started_late=T0 - HOUR, ready=T0 - HOUR)
AFTER = replace(RELEASE, predecessor="uid:6")
ASKED = T0 + 12 * MINUTE


def full(before: float | None, value: float = 0.97, units: int = 3) -> Level:
    return Level(START, value, START, units, before, None if before is None else 12 * MINUTE)


@pytest.mark.parametrize(
    ("level", "state", "most", "reason"),
    [
        pytest.param(
            full(0.61),
            State.BREACH,
            Mode.AUTO,
            "memory 97 % > 95 % on at least 2 of 3 pods, 61 % at the same age (12m0s) before the change",
            id="risen",
        ),
        pytest.param(
            full(0.94),
            State.UNPROVEN,
            Mode.AUTO,
            "memory 97 % > 95 % on at least 2 of 3 pods, not risen: 94 % at the same age (12m0s) before the change",
            id="as-full-before",
        ),
        pytest.param(
            full(None),
            State.BREACH,
            Mode.SUGGEST,
            "memory 97 % > 95 % on at least 2 of 3 pods, not known at the same age before the change: suggested at most",
            id="nobody-knows",
        ),
        pytest.param(
            full(0.61, units=1),
            State.BREACH,
            Mode.AUTO,
            "memory 97 % > 95 % on its only pod, 61 % at the same age (12m0s) before the change",
            id="a-single-pod",
        ),
        pytest.param(full(None, 0.4), State.OK, Mode.AUTO, "memory 40 % <= 95 %", id="within-the-limit"),
    ],
)
def test_a_level_is_judged_beside_what_it_was_at_equal_age(level: Level, state: State, most: Mode, reason: str) -> None:
    (verdict,) = run(COMPARING, {START: level}).verdicts
    assert (verdict.state, verdict.most, verdict_reason(CONDITION, verdict)) == (state, most, reason)


def test_what_has_risen_acts_and_what_nobody_can_compare_only_suggests() -> None:
    assert kinds(run(COMPARING, {START: full(0.61)}).decisions) == ["Opened", "Stopped", "Act"]
    (opened, *waits) = run(COMPARING, {START: full(None)}).decisions
    assert (opened.mode, kinds(tuple(waits))) == (Mode.SUGGEST, ["Wait"])  # type: ignore[union-attr]  # an Opened


def test_one_full_scrape_after_another_that_was_as_full_before_opens_nothing() -> None:
    readings = {at: replace(full(0.96), end=at, newest=at) for at in slots(START, START + 10 * MINUTE)}
    assert run(COMPARING, readings).decisions == ()  # type: ignore[arg-type]  # levels are readings


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param((BEFORE, AFTER), (T0 - HOUR + 12 * MINUTE, 12 * MINUTE), id="as-old"),
        pytest.param((BEFORE, FLIP, AFTER), (T0 - HOUR + 12 * MINUTE, 12 * MINUTE), id="changes-of-flags-have-no-age"),
        pytest.param((AFTER,), None, id="nobody-saw-the-one-before"),
        pytest.param((replace(BEFORE, started_early=T0 - 5 * MINUTE, ready=T0 - 5 * MINUTE), AFTER), None, id="it-did-not-live-so-long"),
        pytest.param((replace(BEFORE, ready=T0 - 12 * MINUTE), AFTER), (T0, 12 * MINUTE), id="it-lived-just-so-long"),
        pytest.param((BEFORE, replace(AFTER, ready=ASKED + MINUTE)), None, id="not-ready-yet"),
        pytest.param((), None, id="no-change"),
    ],
)
def test_equal_age_is_counted_from_each_one_s_first_serving_replica(changes: tuple[Change, ...], found: object) -> None:
    assert equal_age(changes, TARGET, ASKED) == found


def test_at_the_moment_of_a_change_that_serves_at_once_both_are_of_no_age() -> None:
    assert equal_age((BEFORE, AFTER), TARGET, T0) == (T0 - HOUR, timedelta(0))
