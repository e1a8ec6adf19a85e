"""A workload's share is that of all its events together: each replica and each path weighs as much as it serves."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.source import Identity, Increases, Matcher, Selector, Source
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.adapters.scrape.given import Given, Shown
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series

AT = datetime.fromtimestamp(START + 600, UTC)
RATES: Mapping[tuple[str, str, str], float] = {
    ("big", "/buy", "200"): 99,
    ("big", "/buy", "500"): 1,
    ("big", "/look", "200"): 20,
    ("small", "/buy", "200"): 1,
    ("small", "/buy", "500"): 1,
}
"""Events a second by pod, path and code: a replica of which half fails serves one request in sixty."""
POOLED = {"bad": 2 * 60.0, "total": 122 * 60.0}
"""The mean of the shares of the two replicas would be 25 %."""
QUERY = Increases(
    (("bad", Selector("requests_total", (Matcher("code", "=~", "5.."),))), ("total", Selector("requests_total"))),
    timedelta(minutes=1),
    Identity(("app",)),
    frozenset({("shop",)}),
)


def pooled(source: Source) -> Mapping[str, float]:
    return source.read(QUERY, AT).rows[("shop",)].values


def test_a_prometheus_counts_all_series_together() -> None:
    lines = [
        series("requests_total", {"app": "shop", "pod": pod, "path": path, "code": code}, growing(rate)) for (pod, path, code), rate in RATES.items()
    ]
    with servers.prometheus_with_history(document(["# TYPE requests counter"], *lines)) as server:
        assert pooled(Prometheus("main", server.url)) == pytest.approx(POOLED)


def test_pages_that_are_read_directly_count_all_series_together() -> None:
    def page(pod: str, second: int) -> Shown:
        own = {labels: rate for labels, rate in RATES.items() if labels[0] == pod}
        shown = {f'requests_total{{app="shop",path="{path}",code="{code}"}}': rate * second for (_, path, code), rate in own.items()}
        return Shown(datetime.fromtimestamp(START + second, UTC), shown)

    pages = [[page(pod, second) for second in range(0, 601, 15)] for pod in ("big", "small")]
    assert pooled(Given("page", pages, interval=timedelta(seconds=15))) == pytest.approx(POOLED)
