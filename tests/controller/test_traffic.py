"""What the traffic was before a change: asked of a real Prometheus, once for each change, and the week before only where it looks low."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.target import Progress, TargetState
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.questions import asks_of
from rollbackd.controller.observe.readings import readings_at
from rollbackd.controller.observe.traffic import Traffics
from rollbackd.policies.judge.verdict import State, judge
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Mode
from tests import servers
from tests.adapters.openmetrics import START, document, series

TARGET = "kubernetes:default/shop/deployment/checkout"
POLICY = """
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  rollback_when: [{use: traffic-drop}]
"""
CHANGED, END = 3600, 4200


def requests() -> Iterator[tuple[int, float]]:
    """One a second for an hour, then a tenth of that."""
    for second in range(0, END + 1, 15):
        yield second, min(second, CHANGED) + 0.1 * max(0, second - CHANGED)


HISTORY = document(
    ["# TYPE http_requests counter"], series("http_requests_total", {"namespace": "shop", "pod": "checkout-5d4f8c7b9-x7k2p"}, list(requests()))
)


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("prometheus", server.url, delay=timedelta(0))


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(START + second, UTC)


@pytest.mark.parametrize(
    ("progress", "most", "why"),
    [
        pytest.param(Progress(3, 1), Mode.AUTO, "2 of 3 pods are not ready", id="pods-agree"),
        pytest.param(Progress(3, 3), Mode.SUGGEST, "nothing else says so: suggested at most", id="pods-are-well"),
    ],
)
def test_a_drop_is_proven_by_the_hour_before_and_acts_where_the_pods_agree(source: Prometheus, progress: Progress, most: Mode, why: str) -> None:
    (policy,) = load_policies({"shop.yaml": POLICY}).policies
    began, at = moment(CHANGED), moment(END)
    change = Change(TARGET, "uid:7", "bad7", None, began, began, began, began)
    read = readings_at(source, lambda _: None, asks_of(policy, source.block(policy.every)), at)
    traffics, asked = Traffics(), source.asked
    state = TargetState(TARGET, "bad7", progress=progress)
    beside = answered(traffics.beside(policy, read, (change,), source, state, at), source)
    verdict = judge(policy.conditions[0], beside, began, None, at)
    assert (verdict.state, verdict.most) == (State.BREACH, most)
    assert verdict_reason(policy.conditions[0], verdict) == f"traffic-drop 6/min, 60/min in the hour before the change: 10% < 30 %; {why}"
    answered(traffics.beside(policy, read, (change,), source, state, at), source)
    assert source.asked - asked == 3  # the hour before once, the week before each time that it looks low


def test_without_a_change_there_is_nothing_to_compare_with_and_nothing_is_asked(source: Prometheus) -> None:
    (policy,) = load_policies({"shop.yaml": POLICY}).policies
    at = moment(END)
    read = readings_at(source, lambda _: None, asks_of(policy, source.block(policy.every)), at)
    asked = source.asked
    beside = answered(Traffics().beside(policy, read, (), source, None, at), source)
    assert judge(policy.conditions[0], beside, None, None, at).state is State.UNPROVEN
    assert source.asked == asked
