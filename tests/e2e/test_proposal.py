"""The profile that is proposed for a workload, out of a real Prometheus with series of every profile's shape, each in its namespace."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.doctor.proposal import OF_PODS, ORDER, Proposal, propose
from rollbackd.policies.load import load_policies
from rollbackd.policies.resolve.profiles import library
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.e2e import shapes

AT = datetime.fromtimestamp(START + 600, UTC) + timedelta(seconds=20)
"""A moment at which the newest sample has just arrived."""
NAME = "checkout"
POD = "checkout-7d9f8c6b5d-x2x4z"
STANDARD = [{"use": "standard"}]


OTEL = {
    "otel": shapes.promoted("otel", NAME),
    "pods": shapes.scraped("pods", POD),
    "job": shapes.by_job("job", NAME),
    "odd": {**shapes.by_job("odd", NAME), "job": NAME, "namespace": "odd"},
}
HISTORY = document(
    ["# TYPE http_requests counter"],
    shapes.requests("client", POD, failing=1.0),
    # A mesh and an ingress in front of it: what the service says of itself goes first.
    shapes.requests("all", POD, failing=1.0),
    ["# TYPE http_request_duration_seconds_bucket gauge"],
    shapes.durations("client", POD, slow=0.0),
    shapes.durations("all", POD, slow=0.0),
    ["# TYPE db_client_connection_timeouts counter"],
    *[shapes.timeouts(namespace, POD, per_second=0.0) for namespace in ("client", "pods", "all", "mesh", "ingress", "own")],
    *[shapes.otel_timeouts(OTEL[namespace], per_second=0.0) for namespace in ("otel", "job", "odd")],
    ["# TYPE http_server_request_duration_seconds_count gauge"],
    *[shapes.otel_requests(own, failing=1.0) for own in OTEL.values()],
    ["# TYPE http_server_request_duration_seconds_bucket gauge"],
    *[shapes.otel_durations(own, slow=0.0) for own in OTEL.values()],
    ["# TYPE http_server_requests_seconds_count gauge"],
    *[shapes.micrometer_requests(namespace, POD, failing=1.0) for namespace in ("micro", "plain")],
    ["# TYPE http_server_requests_seconds_bucket gauge"],
    shapes.micrometer_durations("micro", POD, slow=0.0),
    ["# TYPE hikaricp_connections_timeout counter"],
    *[shapes.hikari_timeouts(namespace, POD, per_second=0.0) for namespace in ("micro", "plain")],
    ["# TYPE istio_requests counter"],
    *[shapes.mesh_requests(namespace, NAME, failing=1.0) for namespace in ("mesh", "all")],
    ["# TYPE istio_request_duration_milliseconds_bucket gauge"],
    *[shapes.mesh_durations(namespace, NAME, slow=0.0) for namespace in ("mesh", "all")],
    ["# TYPE nginx_ingress_controller_requests gauge"],
    *[shapes.ingress_requests(shapes.exported(namespace, NAME), failing=1.0) for namespace in ("ingress", "all")],
    shapes.ingress_requests(shapes.honoured("own", NAME), failing=1.0),
    ["# TYPE nginx_ingress_controller_request_duration_seconds_bucket gauge"],
    *[shapes.ingress_durations(shapes.exported(namespace, NAME), slow=0.0) for namespace in ("ingress", "all")],
    shapes.ingress_durations(shapes.honoured("own", NAME), slow=0.0),
    ["# TYPE container_memory_working_set_bytes gauge"],
    *[shapes.memory(namespace, POD, used=0.5) for namespace in ("client", *OTEL, "micro", "plain", "mesh", "ingress", "own", "all", "bare")],
    ["# TYPE container_spec_memory_limit_bytes gauge"],
    *[shapes.limits(namespace, POD) for namespace in ("client", *OTEL, "micro", "plain", "mesh", "ingress", "own", "all", "bare")],
    # Wherever it is asked how the shop's worker does, none of the above may answer.
    ["# TYPE jobs counter"],
    series("jobs_total", {"namespace": "nothing", "pod": POD}, growing(1)),
)


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield server


def proposal(server: servers.Server, namespace: str) -> Proposal:
    return propose("prometheus", Prometheus("prometheus", server.url), f"kubernetes:default/{namespace}/deployment/{NAME}", AT)


def states(found: Proposal, profile: str) -> dict[str, str]:
    (sight,) = (sight for sight in found.profiles if sight.profile == profile)
    return {signal.condition: signal.state for signal in sight.signals}


def test_every_profile_has_its_place_in_the_ranking() -> None:
    assert sorted((*ORDER, OF_PODS)) == sorted(set(library().profiles) - set(library().reads))


@pytest.mark.parametrize(
    ("namespace", "profile", "lacking"),
    [
        pytest.param("otel", "otel", (), id="attributes-as-labels"),
        pytest.param("pods", "otel-pods", (), id="otel-scraped"),
        pytest.param("job", "otel-job", (), id="otel-by-job"),
        pytest.param("micro", "micrometer", (), id="micrometer"),
        pytest.param("plain", "micrometer", ("p95-latency",), id="micrometer-without-buckets"),
        pytest.param("client", "prometheus-client", (), id="prometheus-client"),
        pytest.param("mesh", "istio", (), id="istio"),
        pytest.param("ingress", "nginx-ingress", (), id="ingress"),
        pytest.param("own", "nginx-ingress-own-labels", (), id="ingress-honoured"),
        pytest.param("all", "prometheus-client", (), id="own-account-before-mesh-and-ingress"),
    ],
)
def test_the_profile_of_its_instrumentation_is_proposed(server: servers.Server, namespace: str, profile: str, lacking: tuple[str, ...]) -> None:
    found = proposal(server, namespace)
    assert (found.spec, found.lacking) == ({"metrics": profile, "rollback_when": STANDARD}, lacking)


def test_what_was_found_shows_the_labels_of_one_of_its_series(server: servers.Server) -> None:
    (sight,) = (sight for sight in proposal(server, "pods").profiles if sight.profile == "otel-pods")
    shown = {signal.condition: (signal.metric, signal.labels["namespace"], signal.labels["pod"]) for signal in sight.signals}
    assert shown == {
        "error-rate": ("http_server_request_duration_seconds_count", "pods", POD),
        "p95-latency": ("http_server_request_duration_seconds_bucket", "pods", POD),
        "memory": ("container_memory_working_set_bytes", "pods", POD),
        "database-failures": ("db_client_connection_timeouts_total", "pods", POD),
    }


def test_only_containers_lead_to_the_profile_of_containers(server: servers.Server) -> None:
    assert proposal(server, "bare").spec == {"metrics": "cadvisor", "rollback_when": [{"use": "memory"}]}


def test_a_metric_that_is_absent_is_told_from_one_that_only_others_have(server: servers.Server) -> None:
    found = proposal(server, "plain")
    assert states(found, "micrometer") == {"error-rate": "found", "p95-latency": "elsewhere", "memory": "found", "database-failures": "found"}
    assert states(found, "istio")["error-rate"] == "elsewhere"


def test_labels_that_no_profile_knows_lead_to_conditions_written_out_that_load_and_find_it(server: servers.Server) -> None:
    found = proposal(server, "odd")
    written = [
        {
            "name": "error-rate",
            "ratio": {
                "bad": 'http_server_request_duration_seconds_count{http_response_status_code=~"5.."}',
                "total": "http_server_request_duration_seconds_count",
            },
            "above": "5%",
        },
        {"name": "p95-latency", "latency": {"histogram": "http_server_request_duration_seconds"}, "quantile": 0.95, "above": "2000ms"},
        {"name": "database-failures", "count": "db_client_connection_timeouts_total", "above": 10, "over": "5m"},
    ]
    assert found.spec == {"metrics": "cadvisor", "match": {"job": NAME, "namespace": "odd"}, "rollback_when": [{"use": "memory"}, *written]}
    assert found.lacking == ()
    assert load_policies({"odd.yaml": policy_of(found.spec)}).faults == ()


def policy_of(spec: Mapping[str, Any]) -> str:
    target = {"kubernetes": {"namespace": "odd", "deployment": NAME}}
    return yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": NAME}, "spec": {"target": target, **spec}})


def test_nothing_is_proposed_for_a_workload_without_series(server: servers.Server) -> None:
    found = proposal(server, "nothing")
    assert (found.spec, found.lacking) == ({}, tuple(library().sets["standard"][:4]))


# --- the command ----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "rollbackd.yaml"


def write_config(file: Path, *urls: str) -> None:
    sources = {f"prometheus-{number}": {"kind": "prometheus", "url": url} for number, url in enumerate(urls)}
    file.write_text(yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "Config", "sources": sources, "policies": ["."]}))


def test_the_command_says_that_nothing_was_found(config: Path, server: servers.Server, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(config, server.url)  # whose past is long past
    code = outcome(["doctor", "--config", str(config), "--workload", "client/checkout", "-o", "json"])
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (code, document["kind"], document["spec"]) == (2, "ProfileProposal", {})
    assert [profile["profile"] for profile in document["profiles"]] == list(ORDER)
    assert "no profile finds kubernetes:default/client/deployment/checkout in prometheus-0" in said.err


def test_a_source_that_does_not_answer_is_4(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(config, f"http://127.0.0.1:{servers.free_port()}")
    assert outcome(["doctor", "--config", str(config), "--workload", "client/checkout"]) == 4
    assert capsys.readouterr().err.startswith("rollbackd: nothing can be proposed: prometheus-0: could not be reached")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["client/checkout"], "which source? Name one with --source: prometheus-0, prometheus-1", id="several-sources"),
        pytest.param(["client/checkout", "--source", "other"], "other is no source that can show its series", id="unknown-source"),
        pytest.param(["command:deploy"], "write its `match` by hand", id="no-deployment"),
        pytest.param(["Client Checkout"], "names no target", id="no-target"),
    ],
)
def test_what_cannot_be_looked_for_is_a_fault_of_usage(config: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(config, "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert outcome(["doctor", "--config", str(config), "--workload", *words]) == 64
    assert said in capsys.readouterr().err


def test_where_no_source_can_be_looked_in_nobody_is_asked_for_its_name(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = {"pages": {"kind": "scrape", "targets": [{"urls": ["http://127.0.0.1:1/metrics"], "labels": {"app": "client"}}]}}
    config.write_text(yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "Config", "sources": sources, "policies": ["."]}))
    assert outcome(["doctor", "--config", str(config), "--workload", "client/checkout"]) == 64
    assert "the config has no source that can show its series: --workload needs one of kind prometheus" in capsys.readouterr().err
