"""The shipped library: complete, documented, and every signal resolvable in every profile that claims it."""

import re

import pytest
from pydantic import TypeAdapter

from rollbackd.policies.documents.base import Duration
from rollbackd.policies.documents.limits import Factor
from rollbackd.policies.documents.schema import json_schema
from rollbackd.policies.model.signals import Identity
from rollbackd.policies.resolve.profiles import library
from rollbackd.policies.resolve.signals import library_signal

POD_NAMES = [
    pytest.param("checkout-6d4cf56db6-x7k2p", "checkout", id="plain"),
    pytest.param("checkout-api-5b9-x7k2p", "checkout-api", id="dash-in-the-name"),
    pytest.param("checkout-0", None, id="statefulset"),
    pytest.param("checkout-x7k2p", None, id="daemonset"),
    pytest.param("checkout-6d4cf56db6-migrate", None, id="no-random-suffix"),
]


def test_standard_is_the_four_triggers_and_what_a_cluster_says_of_pods() -> None:
    of_pods = ("stuck-rollout", "restarts", "oom-kills")
    assert library().sets == {"standard": ("error-rate", "p95-latency", "memory", "database-failures", *of_pods)}


CLOUDWATCH = ("alb", "alb-alone", "ecs")


def test_the_profiles_are_those_that_the_docs_name() -> None:
    variants = ["nginx-ingress-own-labels", "otel-job", "otel-pods"]
    assert sorted(library().profiles) == sorted(
        [*CLOUDWATCH, "cadvisor", "istio", "kube-state-metrics", "micrometer", "nginx-ingress", "otel", "prometheus-client", *variants]
    )


def test_a_profile_says_what_kind_of_source_has_its_metrics() -> None:
    assert library().reads == dict.fromkeys(CLOUDWATCH, "cloudwatch")


@pytest.mark.parametrize("profile", sorted(set(library().profiles) - {"cadvisor", "kube-state-metrics", *CLOUDWATCH}))
def test_a_service_profile_has_metrics_for_every_standard_condition(profile: str) -> None:
    measured = {name for name in library().sets["standard"] if library().conditions[name].reads is None}
    assert measured <= set(library().profiles[profile])


@pytest.mark.parametrize("profile", sorted(library().profiles))
def test_every_signal_of_a_profile_belongs_to_a_condition_and_can_be_read(profile: str) -> None:
    for name, signal in library().profiles[profile].items():
        assert name in library().conditions
        assert library_signal(signal.signal)


def test_a_variant_reads_the_same_signals_and_finds_the_workload_otherwise() -> None:
    otel, pods, job = (library().profiles[name]["error-rate"] for name in ("otel", "otel-pods", "otel-job"))
    assert otel.signal == pods.signal == job.signal
    assert otel.identity("shop", "checkout") == Identity(("k8s_namespace_name", "k8s_deployment_name"), ("shop", "checkout"))
    assert pods.identity("shop", "checkout") == library().profiles["cadvisor"]["memory"].identity("shop", "checkout")
    assert job.identity("shop", "checkout") == Identity(("job",), ("shop/checkout",))


def test_what_a_variant_inherits_is_found_as_the_other_profile_finds_it() -> None:
    assert library().profiles["otel-job"]["memory"] == library().profiles["cadvisor"]["memory"]


@pytest.mark.parametrize(("pod", "workload"), POD_NAMES)
def test_a_pod_s_name_leads_to_its_deployment(pod: str, workload: str | None) -> None:
    derived = library().profiles["cadvisor"]["memory"].derived
    assert derived is not None
    match = re.fullmatch(derived.pattern, pod)
    assert (match[1] if match else None) == workload


def test_every_key_of_the_schema_is_described() -> None:
    schema = json_schema()
    undescribed = []

    def visit(name: str, node: object) -> None:
        properties = node.get("properties") if isinstance(node, dict) else None
        for key, value in (properties or {}).items():
            if not (isinstance(value, dict) and ("description" in value or "$ref" in value)):
                undescribed.append(f"{name}.{key}")

    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    for name, definition in definitions.items():
        visit(name, definition)
    visit("document", schema)
    assert undescribed == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[pytest.param(Factor, value, id=value) for value in ("200%", "200.5%", "0.5 %")],
        *[pytest.param(Duration, value, id=value) for value in ("30s", "1h30m", "1.5h", "1w2d3h4m5s6ms", "0")],
    ],
)
def test_an_editor_takes_what_loads(kind: object, value: str) -> None:
    adapter = TypeAdapter[object](kind)
    adapter.validate_python(value)
    schema = adapter.json_schema()
    patterns = [one["pattern"] for one in schema.get("anyOf", [schema]) if "pattern" in one]
    assert any(re.search(pattern, value) for pattern in patterns)


def test_the_schema_is_of_the_contract_s_version_with_an_example() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:rollbackd:schema:v1:policy"
    assert schema["examples"]


def test_an_entry_that_may_be_of_several_kinds_need_not_be_of_exactly_one() -> None:
    assert "oneOf" not in str(json_schema())
