"""What was there before a change: asked of a real Prometheus, once for each change, and only where the metric is gone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.target import Progress, TargetState
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.questions import asks_of
from rollbackd.controller.observe.readings import readings_at
from rollbackd.controller.observe.vanished import Absences
from rollbackd.policies.judge.verdict import State, judge
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Mode, Policy
from rollbackd.policies.model.readings import Lack, Reading, Unknown
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.controller.policytest_samples import POLICY, outcome_in, written

CHANGED, LAST, END = 3600, 3660, 4320


def pod(deployment: str) -> dict[str, str]:
    return {"namespace": "shop", "pod": f"{deployment}-5d4f8c7b9-x7k2p"}


def mesh(deployment: str) -> dict[str, str]:
    return {"reporter": "destination", "destination_workload_namespace": "shop", "destination_workload": deployment}


HISTORY = document(
    ["# TYPE http_requests counter"],
    series("http_requests_total", pod("checkout"), growing(1, last=LAST)),
    series("http_requests_total", pod("cart"), growing(1, last=END)),
    ["# TYPE http_server_requests_seconds_count gauge"],
    series("http_server_requests_seconds_count", pod("checkout"), growing(1, last=LAST)),
    series("http_server_requests_seconds_count", pod("search"), growing(1, first=CHANGED - 300, last=LAST)),
    ["# TYPE istio_requests counter"],
    series("istio_requests_total", mesh("checkout"), growing(1, last=LAST)),
    series("istio_requests_total", mesh("cart"), [*growing(1, last=LAST), *growing(1, first=END - 60, last=END)]),
    ["# TYPE up gauge"],
    series("up", pod("search"), [(second, 1) for second in range(0, END + 1, 15)]),
)


def policy(deployment: str = "checkout", metrics: str = "prometheus-client") -> Policy:
    text = f"""
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: shop}}
spec:
  target: {{kubernetes: {{namespace: shop, deployment: {deployment}}}}}
  metrics: {metrics}
  rollback_when: [{{use: vanished-metric}}]
"""
    return load_policies({"shop.yaml": text}).policies[0]


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("prometheus", server.url, delay=timedelta(0))


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(START + second, UTC)


def beside(source: Prometheus, watched: Policy, absences: Absences | None = None, progress: Progress | None = None) -> tuple[Reading, ...]:
    began, at = moment(CHANGED), moment(END)
    change = Change(watched.target, "uid:7", "bad7", None, began, began, began, began)
    read = readings_at(source, lambda _: None, asks_of(watched, source.block(watched.every)), at)
    state = TargetState(watched.target, "bad7", progress=progress)
    return answered((absences or Absences()).beside(watched, read, (change,), source, state, at), source)


@pytest.mark.parametrize(
    ("progress", "most", "why"),
    [
        pytest.param(Progress(3, 1), Mode.AUTO, "2 of 3 pods are not ready", id="pods-agree"),
        pytest.param(Progress(3, 3), Mode.SUGGEST, "nothing else says so: suggested at most", id="pods-are-well"),
    ],
)
def test_an_absence_is_proven_by_the_hour_before_and_acts_where_the_pods_agree(source: Prometheus, progress: Progress, most: Mode, why: str) -> None:
    watched, absences = policy(), Absences()
    verdict = judge(watched.conditions[0], beside(source, watched, absences, progress), moment(CHANGED), None, moment(END))
    assert (verdict.state, verdict.most) == (State.BREACH, most)
    past = f"gone since {moment(3720):%H:%M:%S}, was there in 60 of 60 minutes before"
    assert verdict_reason(watched.conditions[0], verdict) == f"vanished-metric breach: {past}; other workloads have it; {why}"
    asked = source.asked
    beside(source, watched, absences, progress)
    assert source.asked - asked == 3  # its reading, the sentinel, and since when: the hour before is remembered


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param("micrometer", id="in-an-outage-nobody-has-it"),
        pytest.param("istio", id="after-an-outage-others-are-scraped-first"),
    ],
)
def test_where_nothing_says_that_monitoring_lived_it_stays_unknown(source: Prometheus, metrics: str) -> None:
    (reading,) = beside(source, policy(metrics=metrics), progress=Progress(3, 0))
    assert isinstance(reading, Unknown)
    assert (reading.lack, "nothing says that monitoring lives" in reading.why) == (Lack.NODATA, True)


def test_a_target_that_is_up_says_that_monitoring_lives_and_a_metric_of_five_minutes_was_never_steady(source: Prometheus) -> None:
    watched = policy("search", "micrometer")
    (reading,) = beside(source, watched, progress=Progress(3, 0))
    verdict = judge(watched.conditions[0], (reading,), moment(CHANGED), None, moment(END))
    assert verdict.state is State.UNPROVEN
    said = verdict_reason(watched.conditions[0], verdict)
    assert said.endswith("was there in 5 of 60 minutes before: 90% are needed")


def test_what_the_workload_never_had_stays_not_applicable(source: Prometheus) -> None:
    (reading,) = beside(source, policy("ghost"), progress=Progress(3, 0))
    assert isinstance(reading, Unknown)
    assert reading.why == "no series with a finite value for this workload"


def test_without_a_change_and_in_an_outage_nothing_is_asked(source: Prometheus) -> None:
    watched, at = policy(), moment(END)
    lacking = (Unknown(at, Lack.NODATA, "no series"),)
    failed = (replace(lacking[0], lack=Lack.ERROR),)
    change = Change(watched.target, "uid:7", "bad7", None, at, at, at, at)
    asked = source.asked
    assert answered(Absences().beside(watched, lacking, (), source, None, at), source) == lacking
    assert answered(Absences().beside(watched, failed, (change,), source, None, at), source) == failed
    assert source.asked == asked


def test_a_metric_that_a_release_renames_suggests_in_a_policy_test(tmp_path: Path) -> None:
    head, _, tail = POLICY.replace("  metrics: custom\n  match: {app: checkout}\n", "").partition("  rollback_when:")
    renamed = f"{head}  rollback_when: [{{use: vanished-metric}}]\n  remedy:{tail.partition('  remedy:')[2]}"
    shown = [
        {"series": 'http_requests_total{namespace="shop", pod="checkout-5d4f8c7b9-x2k9p"}', "values": "0+15x245 stale"},
        {"series": 'http_requests_total{namespace="shop", pod="cart-5d4f8c7b9-x2k9p"}', "values": "0+15x330"},
    ]
    expect = [
        {"at": "1h", "verdicts": {"vanished-metric": "ok"}, "decision": "nothing"},
        {"at": "1h6m", "verdicts": {"vanished-metric": "unproven"}, "decision": "nothing"},
        {
            "at": "1h10m",
            "verdicts": {"vanished-metric": "breach"},
            "decision": "suggested",
            "reason_contains": "was there in 60 of 60 minutes before",
        },
    ]
    changes = [{"at": "1h1m", "revision": "v2", "ready": "1h1m15s"}]
    assert outcome_in(tmp_path, written(*expect, series=shown, changes=changes), renamed).mismatches == ()
