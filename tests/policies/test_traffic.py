"""Traffic that drops after a change: proven by what it was, and acted on only where the pods say the same."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rollbackd.policies.judge.verdict import State, log_chance_of_so_few
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.model.policy import Condition, Leaf, Limit, Mode, Policy
from rollbackd.policies.model.readings import Events, Flow
from rollbackd.policies.model.signals import Selector, Traffic
from tests.policies.literals import ERRORS, MINUTE, POLICY, T0, kinds, run

DROP: Condition = replace(
    ERRORS,
    name="traffic-drop",
    signal=Traffic(Selector("http_requests_total")),
    limit=Limit(low=0.3, unit="%"),
    window=2 * MINUTE,
    compares=True,
)
WATCHED: Policy = replace(POLICY, conditions=(DROP,), trigger=Leaf(0))
AT = T0 + 5 * MINUTE
USUAL = 41 / 60  # a second, so 82 in two minutes
LONELY = "nothing else says so: suggested at most"
UNKNOWN = "traffic-drop unproven: what the traffic was before the change is not known"
LITTLE = "traffic-drop 3/min, 41/min in the hour before the change: 7% < 30 %"


def flow(count: float, before: float | None = USUAL, week: float | None = None, ready: int | None = 3, wanted: int | None = 3) -> Flow:
    return Flow(AT - 2 * MINUTE, AT, count, AT, before, week, wanted, ready)


@pytest.mark.parametrize(
    ("seen", "state", "most", "reason"),
    [
        pytest.param(flow(6), State.BREACH, Mode.SUGGEST, f"{LITTLE}; {LONELY}", id="alone-it-suggests"),
        pytest.param(flow(6, ready=1), State.BREACH, Mode.AUTO, f"{LITTLE}; 2 of 3 pods are not ready", id="and-the-pods-are-not-ready"),
        pytest.param(flow(6, ready=2), State.BREACH, Mode.SUGGEST, f"{LITTLE}; {LONELY}", id="one-pod-of-three-is-not-it"),
        pytest.param(flow(6, ready=None, wanted=None), State.BREACH, Mode.SUGGEST, f"{LITTLE}; {LONELY}", id="no-word-of-pods"),
        pytest.param(flow(0, ready=0), State.BREACH, Mode.AUTO, None, id="none-at-all-and-no-pod"),
        pytest.param(
            flow(6, week=5 / 60),
            State.UNPROVEN,
            Mode.AUTO,
            "traffic-drop 3/min, 5/min at this time a week ago: 6 of 10 expected events prove nothing, 50 are needed",
            id="a-sunday-night",
        ),
        pytest.param(flow(6, week=3 * USUAL), State.BREACH, Mode.SUGGEST, None, id="more-a-week-ago-changes-nothing"),
        pytest.param(
            flow(0, wanted=0, ready=0),
            State.UNPROVEN,
            Mode.AUTO,
            "traffic-drop unproven: scaled to 0 replicas: no traffic is no surprise",
            id="scaled-to-zero",
        ),
        pytest.param(
            flow(0, before=None),
            State.UNPROVEN,
            Mode.AUTO,
            "traffic-drop unproven: what the traffic was before the change is not known",
            id="not-known",
        ),
        pytest.param(flow(0, before=0.2), State.UNPROVEN, Mode.AUTO, None, id="too-little-before"),
        pytest.param(flow(60), State.OK, Mode.SUGGEST, "traffic-drop 30/min, 41/min in the hour before the change: 73% >= 30 %", id="enough"),
    ],
)
def test_traffic_is_judged_beside_what_it_was(seen: Flow, state: State, most: Mode, reason: str | None) -> None:
    (verdict,) = run(WATCHED, {AT: seen}).verdicts
    said = verdict_reason(DROP, verdict)
    assert (verdict.state, verdict.most if state is State.BREACH else most, said) == (state, most, reason or said)


@pytest.mark.parametrize(
    ("count", "per_minute", "state"),
    [
        pytest.param(0, 20, State.BREACH, id="silence-of-twenty-a-minute"),
        pytest.param(0, 11, State.UNPROVEN, id="a-quiet-service-may-be-silent"),
        pytest.param(2, 20, State.UNPROVEN, id="little-may-be-chance"),
        pytest.param(14, 25, State.UNPROVEN, id="just-below-the-limit"),
        pytest.param(230, 500, State.BREACH, id="a-busy-one-just-below"),
    ],
)
def test_traffic_is_low_where_chance_does_not_bring_so_little(count: float, per_minute: float, state: State) -> None:
    library = replace(WATCHED, conditions=(replace(DROP, min_volume=0),))
    (verdict,) = run(library, {AT: flow(count, before=per_minute / 60)}).verdicts
    assert verdict.state is state
    assert ("chance alone" in verdict_reason(library.conditions[0], verdict)) == (state is State.UNPROVEN)


@given(st.integers(0, 400), st.floats(0.1, 500))
def test_the_chance_of_so_few_is_never_taken_too_small(count: int, expected: float) -> None:
    assume(count < expected)
    exact = math.fsum(math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(count + 1))
    assert exact <= math.exp(log_chance_of_so_few(count, expected)) * (1 + 1e-9)


def test_a_window_that_began_before_the_change_proves_nothing() -> None:
    (verdict,) = run(WATCHED, {T0 + MINUTE: replace(flow(0), start=T0 - MINUTE, end=T0 + MINUTE, newest=T0 + MINUTE)}).verdicts
    assert verdict.state is State.UNPROVEN


def test_alone_it_opens_a_suggestion_that_acts_once_the_pods_agree() -> None:
    alone = run(WATCHED, {AT: flow(0)})
    (opened, *_) = alone.decisions
    assert (kinds(alone.decisions)[0], opened.mode) == ("Opened", Mode.SUGGEST)  # type: ignore[union-attr]  # an Opened
    assert kinds(run(WATCHED, {AT: flow(0, ready=0)}).decisions) == ["Opened", "Stopped", "Act"]


def test_a_count_that_nothing_stands_beside_proves_nothing() -> None:
    (verdict,) = run(WATCHED, {AT: Events(AT - 2 * MINUTE, AT, 0.0, AT)}).verdicts
    assert verdict.state is State.UNPROVEN
