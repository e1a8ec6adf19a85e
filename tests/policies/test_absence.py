"""A metric that is gone after a change: proven by how steady it was, and acted on only where the pods say the same."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Condition, Leaf, Limit, Mode, Policy
from rollbackd.policies.model.readings import Absence, Level
from rollbackd.policies.model.signals import Selector, Vanished
from tests.policies.literals import ERRORS, MINUTE, POLICY, T0, kinds, run

GONE: Condition = replace(
    ERRORS, name="vanished-metric", signal=Vanished(Selector("http_requests_total")), limit=Limit(), window=5 * MINUTE, compares=True
)
WATCHED: Policy = replace(POLICY, conditions=(GONE,), trigger=Leaf(0))
AT = T0 + 8 * MINUTE
SINCE = T0 + 2 * MINUTE
STEADY = f"gone since {SINCE:%H:%M:%S}, was there in 59 of 60 minutes before"
LONELY = "nothing else says so: suggested at most"
ABSENT = Absence(AT, SINCE, 59, 60, before=1.0, lives="other workloads have it", scrapes=timedelta(seconds=60), wanted=3, ready=3)


@pytest.mark.parametrize(
    ("seen", "state", "most", "said"),
    [
        pytest.param(ABSENT, State.BREACH, Mode.SUGGEST, f"{STEADY}; other workloads have it; {LONELY}", id="a-rename-suggests"),
        pytest.param(
            replace(ABSENT, ready=1), State.BREACH, Mode.AUTO, f"{STEADY}; other workloads have it; 2 of 3 pods are not ready", id="pods-agree"
        ),
        pytest.param(replace(ABSENT, ready=2), State.BREACH, Mode.SUGGEST, None, id="one-pod-of-three-is-not-it"),
        pytest.param(replace(ABSENT, wanted=None, ready=None), State.BREACH, Mode.SUGGEST, None, id="no-word-of-pods"),
        pytest.param(
            replace(ABSENT, wanted=0, ready=0), State.UNPROVEN, Mode.SUGGEST, "scaled to 0 replicas: no metric is no surprise", id="scaled-to-zero"
        ),
        pytest.param(replace(ABSENT, gone=None, ready=0), State.UNPROVEN, Mode.SUGGEST, "was gone before the change already", id="gone-before"),
        pytest.param(
            replace(ABSENT, seen=53, ready=0),
            State.UNPROVEN,
            Mode.SUGGEST,
            f"{STEADY.replace('59', '53', 1)}: 90% are needed",
            id="not-steady-before",
        ),
        pytest.param(
            replace(ABSENT, gone=T0 + 4 * MINUTE, ready=0),
            State.UNPROVEN,
            Mode.SUGGEST,
            f"gone since {T0 + 4 * MINUTE:%H:%M:%S}, was there in 59 of 60 minutes before: 240 s of 300 s prove nothing yet",
            id="not-long-enough",
        ),
        pytest.param(replace(ABSENT, scrapes=7 * MINUTE, ready=0), State.UNPROVEN, Mode.SUGGEST, None, id="slowly-scraped"),
        pytest.param(
            replace(ABSENT, before=0.1, ready=0),
            State.UNPROVEN,
            Mode.SUGGEST,
            f"{STEADY}: 36 expected events prove nothing, 50 are needed",
            id="a-quiet-night",
        ),
        pytest.param(
            replace(ABSENT, before=None, ready=0), State.UNPROVEN, Mode.SUGGEST, f"{STEADY}: how many events there were is not known", id="not-known"
        ),
    ],
)
def test_an_absence_is_judged_beside_what_was_there_before(seen: Absence, state: State, most: Mode, said: str | None) -> None:
    (verdict,) = run(WATCHED, {AT: seen}).verdicts
    assert (verdict.state, verdict.most) == (state, most)
    if said is not None:
        assert verdict_reason(GONE, verdict) == f"vanished-metric {state.value}: {said}"


def test_what_is_there_is_well_and_what_was_last_seen_before_the_change_proves_nothing() -> None:
    (there,) = run(WATCHED, {AT: Level(AT, 812.0, AT)}).verdicts
    (old,) = run(WATCHED, {T0 + MINUTE: Level(T0 + MINUTE, 812.0, T0 - MINUTE)}).verdicts
    assert (there.state, old.state) == (State.OK, State.UNPROVEN)
    assert verdict_reason(GONE, there) == "vanished-metric ok: there, newest sample 14:08:00"


def test_alone_it_opens_a_suggestion_and_with_unready_pods_it_acts() -> None:
    alone = run(WATCHED, {AT: ABSENT})
    (opened, *_) = alone.decisions
    assert (kinds(alone.decisions)[0], opened.mode) == ("Opened", Mode.SUGGEST)  # type: ignore[union-attr]  # an Opened
    assert kinds(run(WATCHED, {AT: replace(ABSENT, ready=0)}).decisions) == ["Opened", "Stopped", "Act"]


def test_a_limit_is_refused() -> None:
    text = """
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  rollback_when: [{use: vanished-metric, with: {below: 30%}}]
"""
    (fault,) = load_policies({"shop.yaml": text}).faults
    assert str(fault).endswith("with: expected no limit, found 'below'; a metric is there or it is gone")
