"""Series as real exporters write them, with the labels that a scrape or a collector adds: one function for each metric."""

from collections.abc import Mapping

from tests.adapters.openmetrics import growing, series

GIB = 1024.0**3
SECONDS = ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0", "+Inf")
"""The buckets of the Python client library."""
MILLISECONDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000", "+Inf")
"""Some of those of Istio's proxy."""
GO_SECONDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
"""The buckets of the Go client library."""
MICROMETER = ("0.001", "0.1", "1.0", "1.431655765", "1.789569706", "2.147483647", "2.505397588", "5.010795177", "10.021590356", "30.0", "+Inf")
"""Some of those of Micrometer."""


# --- what a client library exposes, as a Prometheus Operator labels it --------------------------------------------------------------------------


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


# --- what the kubelet exposes -------------------------------------------------------------------------------------------------------------------


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


# --- what Istio's proxies expose ----------------------------------------------------------------------------------------------------------------


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


# --- what an OpenTelemetry SDK sends --------------------------------------------------------------------------------------------------------------


def promoted(namespace: str, workload: str) -> dict[str, str]:
    """Through OTLP, with the Kubernetes attributes promoted to labels."""
    return {**by_job(namespace, workload), "service_name": workload, "k8s_namespace_name": namespace, "k8s_deployment_name": workload}


def by_job(namespace: str, workload: str) -> dict[str, str]:
    """Through OTLP, with nothing promoted."""
    return {"job": f"{namespace}/{workload}", "instance": f"{workload}-7d9f8c6b5d-x2x4z"}


def _otel(own: Mapping[str, str], code: str) -> dict[str, str]:
    http = {"http_request_method": "POST", "http_route": "/order", "http_response_status_code": code, "url_scheme": "http"}
    return {**own, **http, "network_protocol_version": "1.1", **({"error_type": code} if code[0] == "5" else {})}


def otel_requests(own: Mapping[str, str], *, failing: float) -> list[str]:
    rates = {"200": 10 - failing, "404": 1.0, **({"500": failing} if failing else {})}
    name = "http_server_request_duration_seconds_count"
    return [line for code, rate in rates.items() for line in series(name, _otel(own, code), growing(rate))]


def otel_durations(own: Mapping[str, str], *, slow: float) -> list[str]:
    return _buckets("http_server_request_duration_seconds_bucket", _otel(own, "200"), SECONDS, slow)


def otel_timeouts(own: Mapping[str, str], *, per_second: float) -> list[str]:
    return series("db_client_connection_timeouts_total", {**own, "db_client_connection_pool_name": "orders"}, growing(per_second))


# --- what Spring Boot's actuator exposes through Micrometer ---------------------------------------------------------------------------------------


def micrometer_requests(namespace: str, pod: str, *, failing: float) -> list[str]:
    base = {**scraped(namespace, pod), "application": "shop", "method": "POST", "uri": "/order"}
    well = {"error": "none", "exception": "none", "outcome": "SUCCESS", "status": "200"}
    ill = {"error": "IllegalStateException", "exception": "IllegalStateException", "outcome": "SERVER_ERROR", "status": "500"}
    name = "http_server_requests_seconds_count"
    health = series(name, {**base, **well, "method": "GET", "uri": "/actuator/health"}, growing(0.1))
    return series(name, {**base, **well}, growing(10 - failing)) + health + (series(name, {**base, **ill}, growing(failing)) if failing else [])


def micrometer_durations(namespace: str, pod: str, *, slow: float) -> list[str]:
    """With percentiles-histogram on; without it there is nothing of this."""
    base = {**scraped(namespace, pod), "application": "shop", "method": "POST", "uri": "/order", "outcome": "SUCCESS", "status": "200"}
    return _buckets("http_server_requests_seconds_bucket", base, MICROMETER, slow)


def hikari_timeouts(namespace: str, pod: str, *, per_second: float) -> list[str]:
    return series("hikaricp_connections_timeout_total", {**scraped(namespace, pod), "pool": "HikariPool-1"}, growing(per_second))


# --- what ingress-nginx exposes -------------------------------------------------------------------------------------------------------------------

_SCRAPED_INGRESS = {"namespace": "ingress-nginx", "service": "ingress-nginx-controller-metrics", "container": "controller", "endpoint": "metrics"}
_CONTROLLER = {"controller_class": "k8s.io/ingress-nginx", "controller_namespace": "ingress-nginx", "controller_pod": "ingress-nginx-controller-x"}


def exported(namespace: str, workload: str) -> dict[str, str]:
    """As a ServiceMonitor has it scraped: the controller's own labels give way."""
    own = {"exported_namespace": namespace, "exported_service": workload, "ingress": f"{workload}-public"}
    return {**_SCRAPED_INGRESS, **_CONTROLLER, **own, "host": "shop.example", "path": "/", "method": "POST"}


def honoured(namespace: str, workload: str) -> dict[str, str]:
    """As it is scraped with honorLabels."""
    own = {"namespace": namespace, "service": workload, "ingress": f"{workload}-public"}
    return {**_CONTROLLER, **own, "host": "shop.example", "path": "/", "method": "POST"}


def ingress_requests(own: Mapping[str, str], *, failing: float) -> list[str]:
    rates = {"200": 10 - failing, "404": 1.0, **({"502": failing} if failing else {})}
    return [line for code, rate in rates.items() for line in series("nginx_ingress_controller_requests", {**own, "status": code}, growing(rate))]


def ingress_durations(own: Mapping[str, str], *, slow: float) -> list[str]:
    return _buckets("nginx_ingress_controller_request_duration_seconds_bucket", {**own, "status": "200"}, GO_SECONDS, slow)


def _buckets(name: str, labels: Mapping[str, str], bounds: tuple[str, ...], slow: float) -> list[str]:
    """Ten requests a second, ``slow`` of which take longer than 5 s; none is faster than 0.1 s."""
    within = {le: 0.0 if float(le) < 0.1 else (10 - slow if float(le) < 5 else 10.0) for le in bounds}
    return [line for le, rate in within.items() for line in series(name, {**labels, "le": le}, growing(rate))]
