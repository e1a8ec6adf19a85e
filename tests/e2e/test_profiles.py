"""Each metric profile on series of its real shape, through a real Prometheus: what is bad is a breach, what is well is ok, for each workload alone.

``checkout`` is bad, ``cart`` is well. Beside them stand what could be taken for either: a workload whose name begins with the same word, one of the
same name in another namespace, a pod that no Deployment made, a caller's view of requests that never arrived, a container without a limit.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.observe.readings import Observer
from rollbackd.policies.judge.verdict import judge
from rollbackd.policies.known.watch import new_watch, take
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.resolve.profiles import library
from tests import servers
from tests.adapters.openmetrics import START, document
from tests.e2e import shapes
from tests.e2e.daemon import policy

AT = datetime.fromtimestamp(START + 600, UTC)
STANDARD = ("error-rate", "p95-latency", "memory", "database-failures")
OF_ALL = ("restarts", "oom-kills", "traffic-drop", "vanished-metric")
"""What kube-state-metrics says of every workload, and the totals of error-rate twice more."""
PROFILES = {
    "prometheus-client": STANDARD,
    "cadvisor": ("memory",),
    "istio": STANDARD,
    "otel": STANDARD,
    "otel-pods": STANDARD,
    "otel-job": STANDARD,
    "micrometer": STANDARD,
    "nginx-ingress": STANDARD,
    "nginx-ingress-own-labels": STANDARD,
}

# --- the past of the shop --------------------------------------------------------------------------------------------------------------------------

BAD_PODS = [("shop", "checkout-7d9f8c6b5d-x2x4z"), ("shop", "checkout-7d9f8c6b5d-zz9qp")]
WELL_PODS = [("shop", "cart-5b8c6d7f9-k8s4t"), ("shop", "cart-5b8c6d7f9-vw2xz")]
# Whose errors would be checkout's if its name were looked for as a prefix, or anywhere; and whose health would be.
BAD_NEIGHBOURS = [("shop", "cart-worker-6f7d8b9c4-mm5nn"), ("shop-2", "cart-5b8c6d7f9-h7h7h"), ("shop", "cart-by-hand")]
WELL_NEIGHBOURS = [("shop", "checkout-worker-6f7d8b9c4-b4b4b"), ("shop-2", "checkout-7d9f8c6b5d-c5c5c")]
ILL, WELL = BAD_PODS + BAD_NEIGHBOURS, WELL_PODS + WELL_NEIGHBOURS
PODS = [*((place, True) for place in ILL), *((place, False) for place in WELL)]
BAD_WORKLOADS = [("shop", "checkout"), ("shop", "cart-worker"), ("shop-2", "cart")]
WELL_WORKLOADS = [("shop", "cart"), ("shop-2", "checkout"), ("shop", "checkout-worker")]
WORKLOADS = [*((place, True) for place in BAD_WORKLOADS), *((place, False) for place in WELL_WORKLOADS)]
# By whatever labels OpenTelemetry's series can be told apart; and the two ways in which an ingress controller's are scraped.
SENT = ((shapes.promoted, WORKLOADS), (shapes.by_job, WORKLOADS), (shapes.scraped, PODS))
OTEL = [(own(*place), ill) for own, places in SENT for place, ill in places]
INGRESS = [(own(*place), ill) for own in (shapes.exported, shapes.honoured) for place, ill in WORKLOADS]

HISTORY = document(
    ["# TYPE http_requests counter"],
    *[shapes.requests(*place, failing=3.0 if ill else 0.0) for place, ill in PODS],
    ["# TYPE http_request_duration_seconds_bucket gauge"],
    *[shapes.durations(*place, slow=3.0 if ill else 0.0) for place, ill in PODS],
    ["# TYPE db_client_connection_timeouts counter"],
    *[shapes.timeouts(*place, per_second=0.5 if ill else 0.0) for place, ill in PODS],
    *[shapes.otel_timeouts(own, per_second=0.5 if ill else 0.0) for own, ill in OTEL if "pod" not in own],
    ["# TYPE http_server_request_duration_seconds_count gauge"],
    *[shapes.otel_requests(own, failing=3.0 if ill else 0.0) for own, ill in OTEL],
    ["# TYPE http_server_request_duration_seconds_bucket gauge"],
    *[shapes.otel_durations(own, slow=3.0 if ill else 0.0) for own, ill in OTEL],
    ["# TYPE http_server_requests_seconds_count gauge"],
    *[shapes.micrometer_requests(*place, failing=3.0 if ill else 0.0) for place, ill in PODS],
    ["# TYPE http_server_requests_seconds_bucket gauge"],
    *[shapes.micrometer_durations(*place, slow=3.0 if ill else 0.0) for place, ill in PODS],
    ["# TYPE hikaricp_connections_timeout counter"],
    *[shapes.hikari_timeouts(*place, per_second=0.5 if ill else 0.0) for place, ill in PODS],
    ["# TYPE nginx_ingress_controller_requests gauge"],
    *[shapes.ingress_requests(own, failing=3.0 if ill else 0.0) for own, ill in INGRESS],
    ["# TYPE nginx_ingress_controller_request_duration_seconds_bucket gauge"],
    *[shapes.ingress_durations(own, slow=3.0 if ill else 0.0) for own, ill in INGRESS],
    ["# TYPE container_memory_working_set_bytes gauge"],
    *[shapes.memory(*place, used=0.98 if ill else 0.5) for place, ill in PODS],
    ["# TYPE container_spec_memory_limit_bytes gauge"],
    *[shapes.limits(*place) for place, _ in PODS],
    ["# TYPE istio_requests counter"],
    shapes.mesh_requests("shop", "checkout", failing=3.0),
    shapes.mesh_requests("shop", "cart", failing=0.0, unreachable=30.0),
    shapes.mesh_requests("shop", "cart-worker", failing=3.0),
    shapes.mesh_requests("shop-2", "cart", failing=3.0),
    shapes.mesh_requests("shop-2", "checkout", failing=0.0),
    ["# TYPE istio_request_duration_milliseconds_bucket gauge"],
    shapes.mesh_durations("shop", "checkout", slow=3.0),
    shapes.mesh_durations("shop", "cart", slow=0.0),
    shapes.mesh_durations("shop", "cart-worker", slow=3.0),
    shapes.mesh_durations("shop-2", "cart", slow=3.0),
    shapes.mesh_durations("shop-2", "checkout", slow=0.0),
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
    for _, readings in past.take_out(workload):
        watch = take(mine, watch, readings)
    pairs = zip(mine.conditions, watch.tracks, strict=True)
    return {condition.name: judge(condition, track.readings, None, None, AT + source.delay).state.value for condition, track in pairs}


def test_every_profile_of_the_library_is_judged_here() -> None:
    elsewhere = {"kube-state-metrics", *library().reads}  # CloudWatch's are judged in tests/aws
    profiles = {profile: set(signals) - set(OF_ALL) for profile, signals in library().profiles.items() if profile not in elsewhere}
    assert profiles == {name: set(found) for name, found in PROFILES.items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_signal_of_the_profile_is_a_breach_for_the_workload_that_is_bad(source: Prometheus, profile: str) -> None:
    assert verdicts(source, profile, "checkout") == dict.fromkeys(PROFILES[profile], "breach")


@pytest.mark.parametrize("profile", PROFILES)
def test_no_signal_of_the_profile_counts_the_faults_of_others_for_the_workload_that_is_well(source: Prometheus, profile: str) -> None:
    assert verdicts(source, profile, "cart") == dict.fromkeys(PROFILES[profile], "ok")
