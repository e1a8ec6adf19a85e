"""Levels of pods that come and go, by a real Prometheus where nobody marks the end of a series: as with the timestamps of the kubelet."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.source import Derived, Identity, Levels, Row, RowKey, Selector
from rollbackd.adapters.prometheus import Prometheus
from tests import servers
from tests.adapters.openmetrics import START, document, series

AT = datetime.fromtimestamp(START + 600, UTC)
APP = Identity(("namespace", "app"))
WORKLOAD = Identity(("namespace", "workload"), Derived("workload", "pod", r"(.+)-[a-z0-9]{6,10}-[a-z0-9]{5}"))


def held(app: str, pod: str, value: float, last: int) -> list[str]:
    """A gauge with a sample every 15 seconds, the last one at ``last``."""
    return series("held", {"namespace": "shop", "app": app, "pod": pod}, [(second, value) for second in range(last % 15, last + 1, 15)])


def allowed(app: str, pod: str) -> list[str]:
    return series("allowed", {"namespace": "shop", "app": app, "pod": pod}, [(second, 10) for second in range(0, 601, 15)])


HISTORY = document(
    ["# TYPE held gauge"],
    *[held("replaced", pod, value, last) for pod, value, last in [("a", 7, 510), ("b", 9, 500), ("c", 3, 600), ("d", 4, 595)]],
    *[held("spread", pod, value, last) for pod, value, last in [("a", 3, 600), ("b", 4, 540)]],
    *[held("over", pod, value, last) for pod, value, last in [("a", 3, 480), ("b", 4, 420)]],
    *[held("unbound", pod, value, last) for pod, value, last in [("a", 9, 480), ("b", 4, 600)]],
    *[held("", pod, value, last) for pod, value, last in [("named-5d4f8c7b9-abcde", 7, 500), ("named-6d4f8c7b9-fghij", 3, 600)]],
    *[
        series("held", {"namespace": "shop", "app": "rare", "pod": pod}, [(s, 5) for s in range(first - 1200, 601, 120)])
        for pod, first in [("a", 0), ("b", 20)]
    ],
    *[held("renewed", pod, 5, last) for pod, last in [("old-a", 300), ("old-b", 295)]],
    *[series("held", {"namespace": "shop", "app": "renewed", "pod": pod}, [(s, 5) for s in range(285, 901, 15)]) for pod in ("new-a", "new-b")],
    *[series("held", {"namespace": "shop", "app": "renewed", "pod": "brief"}, [(s, 5) for s in (270, 285, 300)])],
    ["# TYPE allowed gauge"],
    *[allowed("replaced", pod) for pod in "abcd"],
    allowed("unbound", "a"),
)


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("main", server.url)


def asked(app: str, pick: str = "sum") -> Levels:
    return Levels(Selector("held"), None, pick, APP, only(app))  # type: ignore[arg-type]  # the words of the tests


def only(app: str) -> frozenset[RowKey]:
    return frozenset({("shop", app)})


def rows(source: Prometheus, query: Levels) -> dict[RowKey, Row]:
    return dict(source.read(query, AT).rows)


@pytest.mark.parametrize(
    ("pick", "expected"), [pytest.param("sum", 7.0, id="sum"), pytest.param("max", 4.0, id="max"), pytest.param("avg", 3.5, id="avg")]
)
def test_pods_that_are_gone_take_no_part(source: Prometheus, pick: str, expected: float) -> None:
    assert rows(source, asked("replaced", pick)) == {("shop", "replaced"): Row({"value": expected}, AT)}


def test_pods_that_are_gone_are_no_units(source: Prometheus) -> None:
    query = replace(asked("replaced"), of=Selector("allowed"), pick="second", per="pod")
    assert rows(source, query) == {("shop", "replaced"): Row({"value": 0.3, "units": 2.0}, AT)}


def test_pods_that_are_gone_take_no_part_where_a_name_tells_the_workload(source: Prometheus) -> None:
    query = Levels(Selector("held"), None, "sum", WORKLOAD, only("named"))
    assert rows(source, query) == {("shop", "named"): Row({"value": 3.0}, AT)}


def test_pods_whose_samples_lie_a_minute_apart_are_all_alive(source: Prometheus) -> None:
    # So they do where targets are scraped once a minute, whatever the configured interval is.
    assert rows(source, asked("spread")) == {("shop", "spread"): Row({"value": 7.0}, AT)}


def test_pods_that_were_replaced_do_not_come_back_while_prometheus_forgets_them(source: Prometheus) -> None:
    instants = [AT + timedelta(seconds=15 * step) for step in range(-14, 4)]
    assert {row.values["value"] for found in source.read_history(asked("renewed"), instants).values() for row in found.rows.values()} == {10.0}


def test_a_limit_from_below_counts_every_pod_that_prometheus_still_knows(source: Prometheus) -> None:
    assert rows(source, replace(asked("replaced"), silent=True)) == {("shop", "replaced"): Row({"value": 23.0}, AT)}


def test_pods_that_are_scraped_more_rarely_than_configured_are_all_alive(source: Prometheus) -> None:
    assert rows(source, asked("rare")) == {("shop", "rare"): Row({"value": 10.0}, AT)}


def test_workload_without_a_young_sample_is_told_with_its_newest_and_is_not_gone(source: Prometheus) -> None:
    newest = datetime.fromtimestamp(START + 480, UTC)
    assert AT - newest > source.freshness
    assert rows(source, asked("over")) == {("shop", "over"): Row({"value": 7.0}, newest)}


def test_share_of_a_pod_that_is_gone_does_not_stand_for_one_without_a_limit(source: Prometheus) -> None:
    assert rows(source, replace(asked("unbound"), of=Selector("allowed"))) == {}


@pytest.mark.parametrize("app", ["replaced", "spread", "over", "unbound", "rare"])
def test_history_says_of_pods_that_go_what_read_would_have_said(source: Prometheus, app: str) -> None:
    instants = [AT + timedelta(seconds=3 * step) for step in range(-60, 101)]
    assert source.read_history(asked(app), instants) == {at: source.read(asked(app), at) for at in instants}
