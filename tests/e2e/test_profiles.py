"""Each metric profile on series of its real shape, through a real Prometheus: what is bad is a breach, what is well is ok, for each workload alone.

``checkout`` is bad, ``cart`` is well. Beside them stand what could be taken for either: a workload whose name begins with the same word, one of the
same name in another namespace, a pod that no Deployment made, a caller's view of requests that never arrived, a container without a limit.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.observe import Observer
from rollbackd.policies.judge import judge
from rollbackd.policies.load import load_policies
from rollbackd.policies.model import Policy
from rollbackd.policies.names import Names
from rollbackd.policies.watch import new_watch, take
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.e2e.daemon import policy

AT = datetime.fromtimestamp(START + 600, UTC)
PROFILES = {
    "prometheus-client": ("error-rate", "p95-latency", "memory", "database-failures"),
    "cadvisor": ("memory",),
    "istio": ("error-rate", "p95-latency", "memory", "database-failures"),
}
GIB = 1024.0**3
SECONDS = ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0", "+Inf")
"""The buckets of the Python client library."""
MILLISECONDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000", "+Inf")
"""Some of those of Istio's proxy."""


# --- what a client library exposes, as a Prometheus Operator labels it -----------------------------------------------------------------------------


def scraped(namespace: str, pod: str) -> dict[str, str]:
    own = {"namespace": namespace, "pod": pod, "container": "web", "endpoint": "http"}
    return {**own, "instance": "10.1.2.3:8080", "job": f"{namespace}/web", "service": pod.rsplit("-", 2)[0]}


def requests(namespace: str, pod: str, *, failing: float) -> list[str]:
    base = {**scraped(namespace, pod), "handler": "/order", "method": "POST"}
    good = series("http_requests_total", {**base, "code": "200"}, growing(10 - failing))
    health = series("http_requests_total", {**base, "handler": "/healthz", "method": "GET", "code": "200"}, growing(0.1))
    bad = [line for code in ("500", "503") for line in series("http_requests_total", {**base, "code": code}, growing(failing / 2))]
    missing = series("http_requests_total", {**base, "code": "404"}, growing(1))
    return good + health + missing + (bad if failing else [])


def durations(namespace: str, pod: str, *, slow: float) -> list[str]:
    base = {**scraped(namespace, pod), "handler": "/order", "method": "POST"}
    within = {le: 0.0 if float(le) < 0.1 else (10 - slow if float(le) < 5 else 10.0) for le in SECONDS}
    return [line for le, rate in within.items() for line in series("http_request_duration_seconds_bucket", {**base, "le": le}, growing(rate))]


def timeouts(namespace: str, pod: str, *, per_second: float) -> list[str]:
    return series("db_client_connection_timeouts_total", {**scraped(namespace, pod), "pool_name": "orders"}, growing(per_second))


# --- what the kubelet exposes ----------------------------------------------------------------------------------------------------------------------


def containers(metric: str, namespace: str, pod: str, values: Mapping[str, float]) -> list[str]:
    """One value for each container; "" is the pod's own cgroup, "POD" its pause container."""
    kubelet = {"endpoint": "https-metrics", "instance": "10.0.0.5:10250", "job": "kubelet", "metrics_path": "/metrics/cadvisor", "node": "n1"}
    lines = []
    for container, value in values.items():
        image = {"image": f"registry.example/{container}:1", "name": f"{container}-3f2a"} if container else {}
        labels = {**kubelet, "namespace": namespace, "pod": pod, "container": container, "id": f"/kubepods/{pod}/{container}", **image}
        lines += series(metric, labels, [(second, value) for second in range(0, 601, 15)])
    return lines


def memory(namespace: str, pod: str, *, used: float) -> list[str]:
    """``used``: the share of the limit of 1 GiB. The sidecar has no limit, and the pod's own cgroup has that of its containers."""
    values = {"web": used * GIB, "sidecar": 3 * GIB, "": 0.999 * GIB, "POD": 0.999 * GIB}
    return containers("container_memory_working_set_bytes", namespace, pod, values)


def limits(namespace: str, pod: str) -> list[str]:
    return containers("container_spec_memory_limit_bytes", namespace, pod, {"web": GIB, "sidecar": 0, "": GIB, "POD": GIB})


# --- what Istio's proxies expose -------------------------------------------------------------------------------------------------------------------


def meshed(namespace: str, workload: str, reporter: str) -> dict[str, str]:
    source = {"source_workload": "gateway", "source_workload_namespace": "istio-system", "source_app": "gateway", "reporter": reporter}
    destination = {"destination_workload": workload, "destination_workload_namespace": namespace, "destination_app": workload}
    named = {"destination_service": f"{workload}.{namespace}.svc.cluster.local", "destination_service_name": workload}
    return {**source, **destination, **named, "request_protocol": "http", "connection_security_policy": "mutual_tls", "response_flags": "-"}


def mesh_requests(namespace: str, workload: str, *, failing: float, unreachable: float = 0.0) -> list[str]:
    """``unreachable``: requests that the caller's proxy could not deliver."""
    lines = []
    for reporter in ("destination", "source"):
        base = meshed(namespace, workload, reporter)
        lines += series("istio_requests_total", {**base, "response_code": "200"}, growing(10 - failing))
        lines += series("istio_requests_total", {**base, "response_code": "500"}, growing(failing)) if failing else []
    caller = {**meshed(namespace, workload, "source"), "response_code": "503", "response_flags": "UH"}
    return lines + (series("istio_requests_total", caller, growing(unreachable)) if unreachable else [])


def mesh_durations(namespace: str, workload: str, *, slow: float) -> list[str]:
    lines = []
    within = {le: 0.0 if float(le) < 100 else (10 - slow if float(le) < 5000 else 10.0) for le in MILLISECONDS}
    for reporter in ("destination", "source"):
        base = {**meshed(namespace, workload, reporter), "response_code": "200"}
        for le, rate in within.items():
            lines += series("istio_request_duration_milliseconds_bucket", {**base, "le": le}, growing(rate))
    return lines


# --- the past of the shop --------------------------------------------------------------------------------------------------------------------------

BAD_PODS = [("shop", "checkout-7d9f8c6b5d-x2x4z"), ("shop", "checkout-7d9f8c6b5d-zz9qp")]
WELL_PODS = [("shop", "cart-5b8c6d7f9-k8s4t"), ("shop", "cart-5b8c6d7f9-vw2xz")]
# Whose errors would be checkout's if its name were looked for as a prefix, or anywhere; and whose health would be.
BAD_NEIGHBOURS = [("shop", "cart-worker-6f7d8b9c4-mm5nn"), ("shop-2", "cart-5b8c6d7f9-h7h7h"), ("shop", "cart-by-hand")]
WELL_NEIGHBOURS = [("shop", "checkout-worker-6f7d8b9c4-b4b4b"), ("shop-2", "checkout-7d9f8c6b5d-c5c5c")]
ILL, WELL = BAD_PODS + BAD_NEIGHBOURS, WELL_PODS + WELL_NEIGHBOURS
PODS = [*((place, True) for place in ILL), *((place, False) for place in WELL)]

HISTORY = document(
    ["# TYPE http_requests counter"],
    *[requests(*place, failing=3.0 if ill else 0.0) for place, ill in PODS],
    ["# TYPE http_request_duration_seconds_bucket gauge"],
    *[durations(*place, slow=3.0 if ill else 0.0) for place, ill in PODS],
    ["# TYPE db_client_connection_timeouts counter"],
    *[timeouts(*place, per_second=0.5 if ill else 0.0) for place, ill in PODS],
    ["# TYPE container_memory_working_set_bytes gauge"],
    *[memory(*place, used=0.98 if ill else 0.5) for place, ill in PODS],
    ["# TYPE container_spec_memory_limit_bytes gauge"],
    *[limits(*place) for place, _ in PODS],
    ["# TYPE istio_requests counter"],
    mesh_requests("shop", "checkout", failing=3.0),
    mesh_requests("shop", "cart", failing=0.0, unreachable=30.0),
    mesh_requests("shop", "cart-worker", failing=3.0),
    mesh_requests("shop-2", "cart", failing=3.0),
    mesh_requests("shop-2", "checkout", failing=0.0),
    ["# TYPE istio_request_duration_milliseconds_bucket gauge"],
    mesh_durations("shop", "checkout", slow=3.0),
    mesh_durations("shop", "cart", slow=0.0),
    mesh_durations("shop", "cart-worker", slow=3.0),
    mesh_durations("shop-2", "cart", slow=3.0),
    mesh_durations("shop-2", "checkout", slow=0.0),
)


# --- what they are judged to be --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("prometheus", server.url)


def policies(profile: str) -> tuple[Policy, ...]:
    """One policy for each workload, every condition of the profile as the library ships it."""
    texts = {
        f"{workload}.yaml": policy(
            workload,
            {"kubernetes": {"namespace": "shop", "deployment": workload}},
            *({"use": condition} for condition in PROFILES[profile]),
            every="15s",
            metrics=profile,
        )
        for workload in ("checkout", "cart")
    }
    names = Names(frozenset({"prometheus"}), frozenset({"prod"}), "prod", contacts=frozenset({"oncall"}))
    loaded = load_policies(texts, names)
    assert loaded.faults == ()
    return loaded.policies


def verdicts(source: Prometheus, profile: str, workload: str) -> dict[str, str]:
    """What each condition comes to after six minutes of slots; both workloads are asked for together, as the daemon does."""
    observer = Observer({"prometheus": source}, lambda question: None)
    both = policies(profile)
    slots = [AT - timedelta(seconds=15) * back for back in range(24, -1, -1)]
    past = observer.read_history(both, [slot + source.delay for slot in slots])
    observer.close()
    (mine,) = (each for each in both if each.name == workload)
    watch = new_watch(mine)
    for slot in sorted(past):
        watch = take(mine, watch, past[slot][workload])
    pairs = zip(mine.conditions, watch.tracks, strict=True)
    return {condition.name: judge(condition, track.readings, None, None, max(past)).state.value for condition, track in pairs}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_signal_of_the_profile_is_a_breach_for_the_workload_that_is_bad(source: Prometheus, profile: str) -> None:
    assert verdicts(source, profile, "checkout") == dict.fromkeys(PROFILES[profile], "breach")


@pytest.mark.parametrize("profile", PROFILES)
def test_no_signal_of_the_profile_counts_the_faults_of_others_for_the_workload_that_is_well(source: Prometheus, profile: str) -> None:
    assert verdicts(source, profile, "cart") == dict.fromkeys(PROFILES[profile], "ok")
