"""A source over given samples: the answers of a scrape source, without a page that is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Answer, Expression, Identity, Increases, Levels, Matcher, Row, Selector
from rollbackd.adapters.scrape import Endpoint, Given, Scrape, Shown
from tests.exposition import these

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SHOP = frozenset({("shop",)})
GROWTH = Increases((("total", Selector("requests_total")),), 30 * SECOND, Identity(("app",)), SHOP)


def shown(second, **values):
    return Shown(T0 + second * SECOND, {f'{name}{{app="shop"}}': value for name, value in values.items()})


def given(*pages):
    return Given("given", pages, interval=15 * SECOND)


def test_increases_are_counted_exactly_over_all_pages():
    pages = ([shown(second, requests_total=first + second) for second in range(0, 61, 15)] for first in (0, 500))
    answer = given(*pages).read(GROWTH, T0 + 60 * SECOND)
    assert answer.rows == {("shop",): Row({"total": 60.0}, T0 + 60 * SECOND)}


def test_growth_counts_only_where_another_series_is_above_zero_and_is_zero_elsewhere():
    def page(second):
        pods = {f'again_total{{app="shop",pod="{pod}"}}': rate * second for pod, rate in (("a", 2.0), ("b", 5.0))}
        ended = {'ended{app="shop",pod="a",reason="OOMKilled"}': 1.0, 'ended{app="shop",pod="b",reason="OOMKilled"}': 0.0}
        return Shown(T0 + second * SECOND, pods | ended)

    killed = Selector("ended", (Matcher("reason", "=", "OOMKilled"),))
    query = replace(GROWTH, parts=(("events", Selector("again_total")),), where=killed)
    source = given([page(second) for second in range(0, 61, 15)])
    assert source.read(query, T0 + 60 * SECOND).rows[("shop",)].values == {"events": 60.0}
    nobody = replace(query, where=Selector("ended", (Matcher("reason", "=", "Error"),)))
    assert source.read(nobody, T0 + 60 * SECOND).rows[("shop",)].values == {"events": 0.0}


def test_the_second_fullest_unit_stands_for_a_workload_and_the_only_one_for_itself():
    used = {("a", "web"): 97.0, ("a", "proxy"): 96.0, ("b", "web"): 61.0, ("c", "web"): 40.0}
    page = Shown(T0, {f'used{{app="shop",pod="{pod}",container="{name}"}}': value for (pod, name), value in used.items()})
    query = Levels(Selector("used"), None, "second", Identity(("app",)), SHOP, per="pod")
    assert given([page]).read(query, T0).rows[("shop",)].values == {"value": 61.0, "units": 3.0}
    alone = replace(query, value=Selector("used", (Matcher("pod", "=", "a"),)))
    assert given([page]).read(alone, T0).rows[("shop",)].values == {"value": 97.0, "units": 1.0}


def test_a_moment_of_the_past_is_answered_as_it_was_then():
    source = given([shown(second, requests_total=second**2) for second in range(0, 121, 15)])
    then = T0 + 45 * SECOND
    assert source.read(GROWTH, then).rows == {("shop",): Row({"total": 2025.0 - 225.0}, then)}
    assert source.read_history(GROWTH, [then]) == {then: source.read(GROWTH, then)}


def test_without_any_sample_there_is_no_row():
    assert given().read(GROWTH, T0) == Answer({})


def test_it_has_the_pace_of_a_scrape_source():
    scrape = Scrape("scrape", these(Endpoint("http://127.0.0.1:1/metrics")), interval=15 * SECOND, now=lambda: T0)
    source = given()
    assert (source.delay, source.freshness, source.block(10 * SECOND)) == (scrape.delay, scrape.freshness, scrape.block(10 * SECOND))


def test_an_expression_is_refused():
    with pytest.raises(Permanent, match="has no PromQL"):
        given().read(Expression("up", Identity(("app",)), SHOP), T0)
