"""Policies that CloudWatch answers: which dimensions its questions have, and what is said of a policy that it cannot answer."""

import pytest

from rollbackd.policies.load import Loaded, load_policies
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.signals import Gauge, Identity, Latency, Matcher, Ratio, Selector
from rollbackd.policies.resolve.names import Names

ECS = "target: {ecs: {cluster: main, service: api}}"
KUBERNETES = "target: {kubernetes: {namespace: shop, deployment: api}}"
KEY = "ecs:prod/eu-west-1/main/api"
NAMES = Names(
    sources=frozenset({"cw", "prom"}),
    clusters=frozenset({"default"}),
    default_cluster="default",
    accounts={"prod": ("eu-west-1",)},
    source_kinds={"cw": "cloudwatch", "prom": "prometheus"},
)
HEAD = "apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {name: api}\nspec:\n"


def loaded(*lines: str, names: Names | None = NAMES) -> Loaded:
    return load_policies({"api.yaml": HEAD + "".join(f"  {line}\n" for line in lines)}, names)


def policy(*lines: str) -> Policy:
    found = loaded(*lines)
    assert found.faults == ()
    return found.policies[0]


def only(*lines: str) -> Condition:
    (condition,) = policy(*lines).conditions
    return condition


def said(*lines: str) -> list[str]:
    found = loaded(*lines)
    assert found.policies == ()
    return [str(fault) for fault in found.faults]


def alb(metric: str, **words: str) -> Selector:
    return Selector(metric, (Matcher("namespace", "=", "AWS/ApplicationELB"), *(Matcher(name, "=", value) for name, value in words.items())))


BY_SERVICE = Identity(("LoadBalancer", "TargetGroup"), (KEY, KEY))


def test_the_four_triggers_work_on_cloudwatch_alone() -> None:
    found = policy(ECS, "source: cw", "metrics: alb", "match: {ProxyName: shop}", "rollback_when: [{use: standard}]")
    by_name = {condition.name: condition for condition in found.conditions}
    assert set(by_name) == {"error-rate", "p95-latency", "memory", "database-failures", "stuck-rollout"}
    errors, slow, memory = by_name["error-rate"], by_name["p95-latency"], by_name["memory"]
    assert (errors.signal, errors.identity) == (Ratio(alb("HTTPCode_Target_5XX_Count", missing="0"), alb("RequestCount")), BY_SERVICE)
    assert (slow.signal, slow.identity) == (Latency(alb("TargetResponseTime"), 0.95, 2.0), BY_SERVICE)
    assert errors.bound is not None
    assert slow.bound is not None
    assert isinstance(memory.signal, Gauge)
    assert (memory.limit.high, memory.identity) == (0.95, Identity(("ClusterName", "ServiceName"), (KEY, KEY)))
    assert by_name["database-failures"].identity == Identity(("ProxyName",), ("shop",))
    assert found.is_metered


def test_what_a_set_has_no_metrics_for_here_is_left_out_and_told() -> None:
    found = loaded(ECS, "source: cw", "metrics: alb", "rollback_when: [{use: standard}]")
    assert {condition.name for condition in found.policies[0].conditions} == {"error-rate", "p95-latency", "memory", "stuck-rollout"}
    (warning,) = found.warnings
    assert "CloudWatch has no metrics here for database-failures, restarts, oom-kills: left out" in str(warning)
    assert "ProxyName" in str(warning)


def test_what_is_asked_for_by_name_is_not_left_out() -> None:
    assert said(ECS, "source: cw", "metrics: alb", "rollback_when: [{use: database-failures}]") == [
        "api.yaml:8:19: policy 'api' › rollback_when[0]: expected 'ProxyName' under 'match', found none; it cannot be looked up for a service"
    ]


def test_match_says_where_nothing_can_be_looked_up() -> None:
    written = "match: {LoadBalancer: app/shop/1, TargetGroup: targetgroup/api/2}"
    condition = only(KUBERNETES, "source: cw", "metrics: alb", written, "rollback_when: [{use: error-rate}]")
    assert condition.identity == Identity(("LoadBalancer", "TargetGroup"), ("app/shop/1", "targetgroup/api/2"))


def test_a_target_that_is_no_service_needs_match() -> None:
    (fault,) = said(KUBERNETES, "source: cw", "metrics: alb", "rollback_when: [{use: error-rate}]")
    assert fault.endswith("expected 'LoadBalancer' under 'match', found none; it is looked up only for services of ECS")


def test_a_balancer_that_serves_one_service_counts_what_it_answers_itself() -> None:
    condition = only(ECS, "source: cw", "metrics: alb-alone", "rollback_when: [{use: error-rate}]")
    plus = "HTTPCode_ELB_5XX_Count"
    assert condition.signal == Ratio(alb("HTTPCode_Target_5XX_Count", plus=plus, missing="0"), alb("RequestCount", plus=plus))
    assert condition.identity == Identity(("LoadBalancer",), (KEY,))


def test_a_profile_of_cloudwatch_is_refused_where_the_source_is_another() -> None:
    assert said(ECS, "source: prom", "metrics: alb", "match: {app: api}", "rollback_when: [{use: error-rate}]") == [
        "api.yaml:7:12: policy 'api' › metrics: the profile 'alb' reads cloudwatch, and the policy's source is of kind prometheus; "
        "name a source of kind cloudwatch, or use the metrics of the service itself, of its mesh or of its ingress"
    ]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        pytest.param((), "api.yaml:5:3: policy 'api': expected the key 'metrics', found none", id="left-out"),
        pytest.param(
            ("metrics: istio",),
            "api.yaml:7:12: policy 'api' › metrics: expected a profile that reads cloudwatch, as the policy's source does, found 'istio'",
            id="another",
        ),
    ],
)
def test_a_source_of_cloudwatch_needs_a_profile_of_its_own(metrics: tuple[str, ...], expected: str) -> None:
    assert said(ECS, "source: cw", *metrics, "rollback_when: [{use: standard}]") == [
        f"{expected}; the profiles for CloudWatch are alb, alb-alone, ecs"
    ]


def test_without_a_config_the_profile_says_what_is_read() -> None:
    (found,) = loaded(
        "target: {ecs: {account: prod, region: eu-west-1, cluster: main, service: api}}", "metrics: ecs", "rollback_when: [{use: memory}]", names=None
    ).policies
    assert (found.is_metered, found.conditions[0].identity.labels) == (True, ("ClusterName", "ServiceName"))


@pytest.mark.parametrize(
    ("entry", "identity"),
    [
        pytest.param(
            """{name: cpu, gauge: 'CPUUtilization{namespace="AWS/RDS",DBInstanceIdentifier="shop"}', of: percent, above: 90%}""",
            Identity((), ()),
            id="written",
        ),
        pytest.param(
            """{name: cpu, gauge: 'CPUUtilization{namespace="AWS/ECS",ClusterName="auto",ServiceName="auto"}', of: percent, above: 90%}""",
            Identity(("ClusterName", "ServiceName"), (KEY, KEY)),
            id="looked-up",
        ),
        pytest.param(
            """{name: hits, ratio: {bad: 'CacheMisses{namespace="AWS/ElastiCache",CacheClusterId="c"}', """
            """total: 'CacheHits{namespace="AWS/ElastiCache",CacheClusterId="c",plus="CacheMisses"}'}, above: 40%}""",
            Identity((), ()),
            id="hit-rate",
        ),
    ],
)
def test_a_condition_of_one_s_own_writes_its_dimensions_out(entry: str, identity: Identity) -> None:
    assert only(ECS, "source: cw", "metrics: custom", f"rollback_when: [{entry}]").identity == identity


def test_a_percentile_is_a_level_and_check_says_that_no_bound_holds() -> None:
    entry = """{name: p95, gauge: 'TargetResponseTime{namespace="AWS/ApplicationELB",stat="p95",LoadBalancer="app/a/1"}', above: 2s}"""
    found = loaded(ECS, "source: cw", "metrics: custom", f"rollback_when: [{entry}]")
    assert found.policies[0].conditions[0].bound is None
    assert "no bound on false rollbacks holds for p95: suggested at most" in str(found.warnings[0])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("{name: up, promql: up, below: 1}", "expected a typed signal, found 'promql'", id="promql"),
        pytest.param("{name: cpu, gauge: CPUUtilization, above: 90}", "expected the namespace of CPUUtilization, found none", id="no-namespace"),
        pytest.param("""{name: cpu, gauge: 'CPU{namespace="A",Service=~"a.*"}', above: 9}""", "expected Service= only, found Service=~", id="regex"),
        pytest.param(
            """{name: n, count: 'Errors{namespace="A",stat="p95"}', above: 9}""", "expected 'stat' on a gauge, found one on what is", id="stat"
        ),
        pytest.param(
            """{name: n, count: 'Errors{namespace="A",missing="0"}', above: 9}""",
            """expected missing="0" on the bad events of a ratio, found missing="0" on Errors""",
            id="silence-without-a-total",
        ),
        pytest.param(
            """{name: n, ratio: {bad: 'Bad{namespace="A",ServiceName="auto"}', total: 'All{namespace="A"}'}, above: 9%}""",
            "expected the same dimensions on both sides",
            id="different-sides",
        ),
    ],
)
def test_what_cloudwatch_cannot_answer_is_a_fault_with_its_place(entry: str, expected: str) -> None:
    (fault,) = said(ECS, "source: cw", "metrics: custom", f"rollback_when: [{entry}]")
    assert fault.startswith("api.yaml:8:19: policy 'api' › rollback_when[0]: ")
    assert expected in fault
