"""What the doctor says of what lies elsewhere: a real Prometheus, pages, the Kubernetes double."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Answer, Query, Row
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from rollbackd.controller.doctor.findings import Finding, Grade, is_cut_off
from rollbackd.controller.doctor.sources import UP, evidence, sources
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.controller.patient import Patient, shop_policy
from tests.doubles.kube import KubeDouble, running_double
from tests.doubles.kube.stage import Stage, stage_in
from tests.e2e.daemon import policy
from tests.exposition import Reply, serving

AT = datetime.fromtimestamp(START + 600, UTC) + timedelta(seconds=20)
"""A moment at which the newest sample of HISTORY has just arrived."""
SHOP = {"app": "shop", "code": "200"}
HISTORY = document(
    ["# TYPE http_requests counter"],
    series("http_requests_total", SHOP, growing(10)),
    series("http_requests_total", {**SHOP, "app": "gone"}, growing(10, last=300)),
    ["# TYPE seconds gauge"],
    *[series("seconds_bucket", {"app": "shop", "le": le}, growing(rate)) for le, rate in [("1.0", 5), ("2.5", 9), ("+Inf", 10)]],
    ["# TYPE up gauge"],
    series("up", {"job": "shop", "instance": "shop:8080"}, [(second, 1) for second in range(0, 601, 15)]),
)


@pytest.fixture(scope="module")
def past() -> Iterator[servers.Server]:
    """A Prometheus whose present is long after AT."""
    with servers.prometheus_with_history(HISTORY) as server:
        yield server


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


BIRTHS = "newborn series count in full on targets scraped before; those of new targets lose their first value: none tells when it started"


def grades(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.subject, finding.grade.value) for finding in findings]


# --- sources --------------------------------------------------------------------------------------------------------------------------------------


def test_a_prometheus_at_work_passes(patient: Patient, prometheus: servers.Server) -> None:
    # It scrapes every second; half of that is enough, so that a busy machine is not told to change its config.
    patient.config = {"sources": {"prometheus": {"url": prometheus.url, "scrape_interval": "2s"}}}
    sound = [("prometheus", Grade.PASS, BIRTHS), ("prometheus", Grade.PASS, "answers, with fresh samples")]
    servers.poll(lambda: [(f.subject, f.grade, f.found) for f in patient.findings("sources")] == sound, within=30)


def test_a_clock_that_is_far_off_fails(patient: Patient, past: servers.Server) -> None:
    patient.config = {"sources": {"prometheus": {"url": past.url}}}
    patient.clock = lambda: AT
    findings = {finding.found: finding.grade for finding in patient.findings("sources")}
    (said,) = [found for found in findings if "its clock is" in found]
    assert said.endswith("s ahead of ours")
    assert findings == {said: Grade.FAIL, BIRTHS: Grade.PASS, "answers, with fresh samples": Grade.PASS}


def test_samples_that_stopped_arriving_are_told_with_their_age(patient: Patient, past: servers.Server) -> None:
    patient.config = {"sources": {"prometheus": {"url": past.url}}}
    patient.clock = lambda: AT + timedelta(minutes=2)
    assert ("prometheus", "warn", "answers, but its newest scrape is 120 s old") in [
        (finding.subject, finding.grade.value, finding.found) for finding in patient.findings("sources")
    ]


def test_a_prometheus_without_samples_is_doubtful(patient: Patient, past: servers.Server) -> None:
    patient.config = {"sources": {"prometheus": {"url": past.url}}}
    patient.clock = lambda: AT - timedelta(days=1)
    assert [finding.grade for finding in patient.findings("sources") if "no series `up`" in finding.found] == [Grade.WARN]


def test_each_dead_source_is_one_failure(patient: Patient) -> None:
    dead = {name: {"kind": "prometheus", "url": f"http://127.0.0.1:{servers.free_port()}"} for name in ("one", "two")}
    patient.config = {"sources": dead}
    patient.policies = {name: shop_policy(name, source=name) for name in dead}
    findings = patient.findings("sources", "evidence")
    assert grades(findings) == [("one", "fail"), ("two", "fail")]
    assert is_cut_off(findings)


def test_what_answers_and_is_no_prometheus_is_reached_all_the_same(patient: Patient) -> None:
    with serving(Reply(status=403, body=b"go away")) as server:
        patient.config = {"sources": {"prometheus": {"url": server.url}}}
        finding = patient.only("sources")
    assert (finding.grade, finding.reached) == (Grade.FAIL, True)


def test_pages_are_read_once(patient: Patient) -> None:
    with serving(Reply(body=b"up 1\n")) as page:
        patient.config = {"sources": {"pages": {"kind": "scrape", "targets": [{"urls": [page.url]}]}}}
        assert [(f.found, f.grade) for f in patient.findings("sources", "evidence")] == [("its pages were read", Grade.PASS)]
        assert len(page.asked) == 1


def test_pages_that_nobody_serves_are_a_failure(patient: Patient) -> None:
    patient.config = {"sources": {"pages": {"kind": "scrape", "targets": [{"urls": [f"http://127.0.0.1:{servers.free_port()}"]}]}}}
    assert grades(patient.findings("sources")) == [("pages", "fail")]


def test_buckets_that_keep_a_limit_from_being_judged_are_told(patient: Patient, past: servers.Server) -> None:
    patient.config = {"sources": {"prometheus": {"url": past.url}}}
    patient.clock = lambda: AT
    limits = {"exact": "2500ms", "inside": "2s", "never": "10s"}
    patient.policies = {
        name: shop_policy(name, rollback_when=[{"name": "slow", "latency": {"histogram": "seconds"}, "above": limit}])
        for name, limit in limits.items()
    }
    found = [finding for finding in patient.findings("evidence") if finding.grade is not Grade.PASS]
    assert grades(tuple(found)) == [("inside", "warn"), ("never", "fail")]
    assert found[0].found.startswith("slow: the limit 2 s lies inside a bucket: a p95 between 1 s and 2.5 s proves nothing")
    assert found[1].found.startswith("slow: can never fire: the largest bucket ends at 2.5 s")


def test_each_policy_has_the_evidence_that_the_daemon_would_find(patient: Patient, past: servers.Server) -> None:
    patient.config = {"sources": {"prometheus": {"url": past.url}}}
    patient.clock = lambda: AT
    wrong = {"name": "typo", "ratio": {"bad": "failed_orders_total", "total": "orders_total"}, "above": "1%"}
    patient.policies = {
        "sound": shop_policy("sound"),
        "silent": shop_policy("silent", match={"app": "gone"}),
        "half": shop_policy("half", rollback_when=[{"use": "error-rate"}, wrong]),
    }
    found = {finding.subject: finding for finding in patient.findings("evidence")}
    assert {name: finding.grade.value for name, finding in found.items()} == {"half": "warn", "silent": "fail", "sound": "pass"}
    assert found["half"].found.startswith("1 of 2 conditions have data in prometheus; none for typo (no series")


def test_a_metric_profile_is_advised_only_where_one_could_help(patient: Patient, past: servers.Server) -> None:
    patient.config = {"sources": {"prometheus": {"url": past.url}}, "clusters": {"eu": {}}}
    patient.clock = lambda: AT
    deployment = {"kubernetes": {"namespace": "default", "deployment": "shop"}}
    by_hand = {"name": "typo", "ratio": {"bad": "failed_orders_total", "total": "orders_total"}, "above": "1%"}
    patient.policies = {
        "hand": policy("hand", deployment, by_hand, match={"app": "shop"}),
        "library": policy("library", deployment, {"use": "memory"}),
    }
    advised = {finding.subject: "metric profile" in finding.advice for finding in patient.findings("evidence")}
    assert advised == {"hand": False, "library": True}


class Hidden:
    """A source that tells of `up` alone, as one whose token may read one tenant and not the other."""

    name, delay, freshness = "prometheus", timedelta(0), timedelta(seconds=60)

    def block(self, every: timedelta) -> timedelta:
        return every

    def read(self, query: Query, at: datetime) -> Answer:
        if query == UP:
            return Answer({(): Row({"value": 1.0}, at)})
        raise Permanent("prometheus: 403 Forbidden")

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        raise Permanent("prometheus: 403 Forbidden")


def test_a_source_that_answers_and_lets_no_condition_be_read_fails_once_with_its_reason(patient: Patient) -> None:
    patient.policies = {name: shop_policy(name) for name in ("one", "two", "three")}
    around = replace(patient.around(), sources={"prometheus": Hidden()})
    assert [(f.check, f.subject, f.grade.value, f.found) for f in (*sources(around), *evidence(around))] == [
        ("sources", "prometheus", "pass", "answers, with fresh samples"),
        ("evidence", "prometheus", "fail", "none of 3 conditions can be read: prometheus: 403 Forbidden"),
    ]


# --- targets in Kubernetes ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with running_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@pytest.fixture
def stage(cluster: KubeDouble, patient: Patient) -> Iterator[Stage]:
    patient.config = {"clusters": {"test": {"kubeconfig": str(cluster.kubeconfig)}}}
    with stage_in(cluster, Kubernetes({"test": ClusterAccess(cluster.kubeconfig)})) as stage:
        patient.policies = {"checkout": checkout_policy(stage)}
        yield stage


def checkout_policy(stage: Stage, name: str = "checkout", **spec: Any) -> str:
    return policy(name, {"kubernetes": {"namespace": stage.namespace, "deployment": name}}, {"use": "error-rate"}, every="15s", timing={}, **spec)


def test_a_deployment_that_may_be_put_back_passes(patient: Patient, stage: Stage) -> None:
    stage.deploy()
    assert patient.only("targets") == Finding(
        "targets", stage.key, Grade.PASS, f"stands at {stage.state().revision}; nothing known stands in the way", reached=True
    )


def test_a_deployment_that_is_not_there_fails(patient: Patient, stage: Stage) -> None:
    finding = patient.only("targets")
    assert (finding.subject, finding.grade, "does not exist" in finding.found) == (stage.key, Grade.FAIL, True)


def test_a_missing_right_is_named_with_the_rule_that_grants_it(patient: Patient, stage: Stage, cluster: KubeDouble) -> None:
    stage.deploy()
    cluster.deny("patch", "deployments", stage.namespace)
    finding = patient.only("targets")
    assert (finding.subject, finding.grade) == (stage.key, Grade.FAIL)
    assert finding.found.startswith("not allowed to patch deployments/checkout")
    assert "Add to the Role of namespace" in finding.found


@pytest.mark.parametrize("asks", [True, False])
def test_the_right_to_list_jobs_is_missed_only_where_a_policy_asks_for_jobs(patient: Patient, stage: Stage, cluster: KubeDouble, asks: bool) -> None:
    stage.deploy()
    cluster.deny("list", "jobs", stage.namespace)
    if asks:
        patient.policies["checkout"] = checkout_policy(stage, reversible={"unless": [{"job": "migrate-*"}]})
    said = [finding.found for finding in patient.findings("targets") if finding.grade is not Grade.PASS]
    assert [line.partition(" of cluster")[0] for line in said] == [f"not allowed to list jobs in namespace {stage.namespace}"] * asks


def test_a_right_on_a_namespace_is_told_once_for_all_its_targets(patient: Patient, stage: Stage, cluster: KubeDouble) -> None:
    for name in ("checkout", "cart"):
        stage.deploy(name=name)
        patient.policies[name] = checkout_policy(stage, name)
    cluster.deny("list", "pods", stage.namespace)
    said = {finding.subject: finding.found for finding in patient.findings("targets")}
    assert list(said) == [f"kubernetes:test/{stage.namespace}", f"{stage.key_of('cart')} and 1 more"]
    assert all(found.startswith("not allowed to list pods in namespace") for found in said.values())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        pytest.param({"revisionHistoryLimit": 0}, "revisionHistoryLimit is 0", id="no-history"),
        pytest.param({"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}}, "belongs to Argo CD application shop", id="gitops"),
    ],
)
def test_what_would_refuse_a_revert_is_found_before_it_is_needed(patient: Patient, stage: Stage, how: dict[str, Any], said: str) -> None:
    stage.deploy(**how)
    finding = patient.only("targets")
    assert (finding.grade, said in finding.found) == (Grade.FAIL, True)


def test_an_obstacle_where_no_policy_may_act_is_a_warning(patient: Patient, stage: Stage) -> None:
    stage.deploy(revisionHistoryLimit=0)
    patient.policies = {"checkout": checkout_policy(stage, mode="observe")}
    assert patient.only("targets").grade is Grade.WARN


def test_a_dead_cluster_is_one_failure_for_all_its_targets(patient: Patient, stage: Stage, tmp_path: Path, cluster: KubeDouble) -> None:
    dead = tmp_path / "dead.yaml"
    dead.write_text(cluster.kubeconfig.read_text().replace(cluster.url, f"http://127.0.0.1:{servers.free_port()}"))
    patient.config = {"clusters": {"test": {"kubeconfig": str(dead)}}}
    patient.policies = {name: checkout_policy(stage, name) for name in ("cart", "checkout", "search")}
    finding = patient.only("targets")
    assert (finding.subject, finding.grade, finding.reached) == ("kubernetes:test", Grade.FAIL, False)
    assert finding.found.endswith("; 2 more there were not asked")


def test_nothing_is_written_to_the_cluster(patient: Patient, stage: Stage, cluster: KubeDouble) -> None:
    stage.deploy()
    cluster.forget()
    patient.findings()
    assert {request["verb"] for request in cluster.requests()} <= {"get", "list", "create"}
    assert {request["resource"] for request in cluster.requests("create")} <= {"selfsubjectaccessreviews"}


# --- other targets --------------------------------------------------------------------------------------------------------------------------------


def test_a_command_that_does_not_say_where_it_stands_fails(patient: Patient) -> None:
    (patient.folder / "version").unlink()
    finding = patient.only("targets")
    assert (finding.subject, finding.grade, finding.reached) == ("command:shop", Grade.FAIL, False)


def test_flags_of_a_provider_that_cannot_be_read_fail(patient: Patient) -> None:
    patient.config = {"flags": {"flagd": {"file": "flags.json"}}}
    patient.policies = {"shop": shop_policy(remedy=[{"flags": {"provider": "flagd", "tag": "checkout"}}, {"revert": {"to": "known-good"}}])}
    assert ("flagd:flagd/tag:checkout", "fail") in grades(patient.findings("targets"))
