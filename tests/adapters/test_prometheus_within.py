"""One Prometheus with the series of two clusters: a source that is kept to one of them sees nothing of the other, whatever it is asked."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Expression, Identity, Increases, Levels, Matcher, Query, Selector, Slower
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.adapters.prometheus.within import within
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series

AT = datetime.fromtimestamp(START + 600, UTC)
MINUTE = timedelta(minutes=1)
APP = Identity(("app",))
WEB = frozenset({("web",)})
EU = (Matcher("cluster", "=", "eu"),)


def of(cluster: str, errors: float) -> list[str]:
    here = {"app": "web", "cluster": cluster}
    slow = [series("seconds_bucket", {**here, "le": bound}, growing(rate)) for bound, rate in (("1.0", 10 - errors), ("+Inf", 10))]
    lines = [*series("requests_total", here, growing(10)), *series("errors_total", here, growing(errors)), *series("held", here, growing(errors))]
    return [*lines, *(line for one in slow for line in one)]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.prometheus_with_history(document(of("eu", 1), of("us", 5))) as server:
        yield server.url


QUERIES: dict[str, tuple[Query, dict[str, float]]] = {
    "counts": (
        Increases((("bad", Selector("errors_total")), ("total", Selector("requests_total"))), MINUTE, APP, WEB),
        {"bad": 60.0, "total": 600.0},
    ),
    "latency": (Slower(Selector("seconds_bucket"), 1.0, MINUTE, APP, WEB), {"low": 1.0, "high": 1.0, "least": 60.0, "most": 60.0, "total": 600.0}),
    "levels": (Levels(Selector("held"), None, "sum", APP, WEB), {"value": 600.0}),
    "expression": (Expression("sum by (app) (rate(errors_total[1m] offset 1m))", APP, WEB), {"value": 1.0}),
    "whole expression": (Expression('label_replace(count(max_over_time(held[5m:1m])), "app", "web", "", "")', APP, WEB), {"value": 1.0}),
}


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_sees_one_cluster(url: str, name: str) -> None:
    query, expected = QUERIES[name]
    source = Prometheus("eu", url, match=(("cluster", "eu"),))
    later = [AT - timedelta(seconds=30), AT]
    assert dict(source.read(query, AT).rows["web",].values) == expected
    assert dict(source.read_history(query, later)[AT].rows["web",].values) == expected
    assert dict(Prometheus("all", url).read(query, AT).rows["web",].values) != expected


def test_what_is_shown_and_checked_is_of_one_cluster_too(url: str) -> None:
    source = Prometheus("us", url, match=(("cluster", "us"),))
    assert [labels["cluster"] for labels in source.series(Selector("held"), AT, 10)] == ["us"]
    slower = Slower(Selector("seconds_bucket"), 1.0, MINUTE, APP, WEB)
    assert Prometheus("no", url, match=(("cluster", "no"),)).buckets(slower, AT) == {}
    assert source.clock_skew(datetime.now(UTC)) < MINUTE


def test_a_cluster_that_is_not_there_has_no_data(url: str) -> None:
    query, _ = QUERIES["counts"]
    assert Prometheus("no", url, match=(("cluster", "no"),)).read(query, AT).rows == {}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("vector(time())", "vector(time())"),
        ("absent(up)", 'absent(up{cluster="eu"})'),
        ("rate(a[5m] offset 1m)", 'rate(a{cluster="eu"}[5m] offset 1m)'),
        ("a @ end() offset -5m", 'a{cluster="eu"} @ end() offset -5m'),
        ("max_over_time(a[1h:5m] @ 100)", 'max_over_time(a{cluster="eu"}[1h:5m] @ 100.000)'),
        ('{__name__=~"a.*",le="\\"}"}', '{__name__=~"a.*",cluster="eu",le="\\"}"}'),
        ('a{cluster="us"}', 'a{cluster="eu",cluster="us"}'),
        ("a / on (b) group_left (c) d", 'a{cluster="eu"} / on (b) group_left (c) d{cluster="eu"}'),
    ],
)
def test_each_selector_gets_the_matcher_and_nothing_else_changes(text: str, kept: str) -> None:
    assert within(text, EU) == kept


def test_the_value_of_a_label_is_never_syntax() -> None:
    assert within("a", (Matcher("cluster", "=", 'x"} or b{c="\n'),)) == 'a{cluster="x\\"} or b{c=\\"\\n"}'


def test_a_selector_with_alternatives_is_refused() -> None:
    with pytest.raises(Permanent, match="cannot be kept to a part of the server"):
        within('a{b="c" or d="e"}', EU)
