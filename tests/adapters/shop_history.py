"""Ten minutes of a shop, scraped every 15 seconds: the past that the Prometheus source is judged on."""

from math import nan

from tests.adapters.openmetrics import document, growing, series

HOSTILE = 'he said "\\d+" (a|b)* {x="y"}\n$1 é'
"""A label value made of everything that PromQL or a regular expression could take for syntax."""


def requests(app: str, code: str, per_second: float) -> list[str]:
    return series("requests_total", {"namespace": "shop", "app": app, "code": code}, growing(per_second))


def buckets(app: str, per_second: dict[str, float], pod: str = "p", last: int = 600) -> list[str]:
    labels = {"namespace": "shop", "app": app, "pod": pod}
    return [line for le, rate in per_second.items() for line in series("seconds_bucket", {**labels, "le": le}, growing(rate, last=last))]


def gauge(name: str, pod: str, value: float, **labels: str) -> list[str]:
    return series(name, {"namespace": "shop", "app": "checkout", "pod": pod, **labels}, [(585, value), (600, value)])


HISTORY = document(
    ["# TYPE requests counter"],
    *[requests("checkout", code, rate) for code, rate in [("200", 9), ("500", 1)]],
    requests("search", "200", 2),
    *[requests("cart", code, rate) for code, rate in [("200", 3), ("500", 0)]],
    *[requests(HOSTILE, code, rate) for code, rate in [("200", 4), ("500", 2)]],
    *[requests(f"app{n}", "200", 1) for n in range(51)],
    ["# TYPE resets counter"],
    series("resets_total", {"namespace": "shop", "app": "r"}, [(s, s if s < 540 else s - 540) for s in range(0, 601, 15)]),
    ["# TYPE gone counter"],
    series("gone_total", {"namespace": "shop", "app": "old"}, growing(1, last=570)),
    series("gone_total", {"namespace": "shop", "app": "older"}, growing(1, last=555)),
    ["# TYPE jobs counter"],
    series("jobs_total", {"namespace": "shop", "pod": "checkout-5d4f8c7b9-abcde"}, growing(1)),
    series("jobs_total", {"namespace": "shop", "pod": "checkout-5d4f8c7b9-fghij"}, growing(2)),
    series("jobs_total", {"namespace": "shop", "pod": "check-out-6d4f8c7b9-klmno"}, growing(5)),
    series("jobs_total", {"namespace": "shop", "pod": "a-pod-by-hand", "workload": "checkout"}, growing(100)),
    ["# TYPE seconds gauge"],
    buckets("checkout", {"1.0": 5, "2.5": 8, "5.0": 9, "+Inf": 10}),
    buckets("go", {"1": 5, "2.5": 8, "5": 9, "+Inf": 10}),
    buckets("fine", {"1.5": 4, "2.0": 6, "+Inf": 10}),
    buckets("rolling", {"1.0": 5, "2.5": 8, "+Inf": 10}, pod="old", last=585),
    buckets("rolling", {"2.0": 5, "+Inf": 10}, pod="new"),
    buckets("sharing", {"1.0": 5, "2.5": 8, "5.0": 9, "+Inf": 10}, pod="old"),
    buckets("sharing", {"1": 5, "2": 6, "2.5": 8, "+Inf": 10}, pod="new"),
    buckets("switched", {"1.0": 5, "+Inf": 10}),
    buckets("switched", {"2.5": 8}, last=570),
    ["# TYPE again counter"],
    *[series("again_total", {"namespace": "shop", "app": "checkout", "pod": pod}, growing(rate)) for pod, rate in [("a", 2), ("b", 5)]],
    series("again_total", {"namespace": "shop", "app": "cart", "pod": "c"}, growing(1)),
    ["# TYPE ended gauge"],
    *[gauge("ended", pod, value, reason=why) for pod, why, value in [("a", "OOMKilled", 1), ("b", "Error", 1), ("b", "OOMKilled", 0)]],
    ["# TYPE used gauge"],
    *[gauge("used", pod, value) for pod, value in [("a", 95), ("b", 50), ("unlimited", 80), ("alone", 99)]],
    ["# TYPE most gauge"],
    *[gauge("most", pod, value) for pod, value in [("a", 100), ("b", 100), ("unlimited", 0)]],
    ["# TYPE odd gauge"],
    *[gauge("odd", pod, value) for pod, value in [("a", nan), ("b", 1)]],
)
