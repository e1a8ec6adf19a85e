"""The Prometheus source against a real Prometheus whose past is written here, sample by sample."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Answer, Buckets, Derived, Expression, Identity, Increases, Levels, Matcher, Row, RowKey, Selector, Slower
from rollbackd.adapters.prometheus import Prometheus
from tests import servers
from tests.adapters.openmetrics import START
from tests.adapters.shop_history import HISTORY, HOSTILE

AT = datetime.fromtimestamp(START + 600, UTC)
MINUTE = timedelta(minutes=1)
APP = Identity(("namespace", "app"))
WORKLOAD = Identity(("namespace", "workload"), Derived("workload", "pod", r"(.+)-[a-z0-9]{6,10}-[a-z0-9]{5}"))


def second(number: float) -> datetime:
    return datetime.fromtimestamp(START + number, UTC)


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("main", server.url)


def only(*apps: str) -> frozenset[RowKey]:
    return frozenset(("shop", app) for app in apps)


def errors(*apps: str, window: timedelta = MINUTE) -> Increases:
    bad = Selector("requests_total", (Matcher("code", "=~", "5.."),))
    return Increases((("bad", bad), ("total", Selector("requests_total"))), window, APP, only(*apps))


def grown(metric: str, *apps: str, window: timedelta = MINUTE) -> Increases:
    return Increases((("events", Selector(metric)),), window, APP, only(*apps))


def slower(limit: float, *apps: str) -> Slower:
    return Slower(Selector("seconds"), limit, MINUTE, APP, only(*apps))


def values(answer: Answer) -> dict[str, dict[str, float]]:
    return {key[1]: dict(row.values) for key, row in answer.rows.items()}


def test_one_question_answers_for_every_workload_asked(source: Prometheus) -> None:
    answer = source.read(errors("checkout", "search", "nobody"), AT)
    assert answer == Answer(
        rows={
            ("shop", "checkout"): Row({"bad": 60.0, "total": 600.0}, AT),
            ("shop", "search"): Row({"total": 120.0}, AT),
        },
        known_parts=frozenset({"bad", "total"}),
    )


def test_counter_that_does_not_grow_is_zero_and_not_absent(source: Prometheus) -> None:
    assert values(source.read(errors("cart"), AT)) == {"cart": {"bad": 0.0, "total": 180.0}}


def test_part_that_no_asked_workload_has_is_not_known(source: Prometheus) -> None:
    assert source.read(errors("search"), AT).known_parts == {"total"}


def test_metric_that_nobody_has_gives_no_rows(source: Prometheus) -> None:
    assert source.read(grown("no_such_total", "checkout"), AT) == Answer({})


def test_question_for_nobody_is_never_a_question_for_all(source: Prometheus) -> None:
    assert source.read(errors(), AT) == Answer({})


def test_workloads_beyond_the_asked_ones_are_sifted_out(source: Prometheus) -> None:
    apps = [f"app{n}" for n in range(51)]
    assert values(source.read(errors(*apps), AT)) == {app: {"total": 60.0} for app in apps}


def test_label_values_are_never_syntax(source: Prometheus) -> None:
    assert values(source.read(errors(HOSTILE, "search"), AT)) == {HOSTILE: {"bad": 120.0, "total": 360.0}, "search": {"total": 120.0}}


def test_single_hostile_label_value_is_matched_exactly(source: Prometheus) -> None:
    assert values(source.read(errors(HOSTILE), AT)) == {HOSTILE: {"bad": 120.0, "total": 360.0}}


def test_counter_reset_is_no_negative_increase(source: Prometheus) -> None:
    # 480 … 525, then 0 … 60: Prometheus counts 45 + 0 + 60 over the two minutes.
    assert values(source.read(grown("resets_total", "r", window=2 * MINUTE), AT)) == {"r": {"events": 105.0}}


def test_newest_sample_tells_how_old_the_evidence_is(source: Prometheus) -> None:
    answer = source.read(grown("gone_total", "old", "older", window=2 * MINUTE), AT)
    assert {key[1]: row.newest for key, row in answer.rows.items()} == {"old": second(570), "older": second(555)}


def test_growth_counts_only_where_another_series_is_above_zero_and_is_zero_elsewhere(source: Prometheus) -> None:
    killed = Selector("ended", (Matcher("reason", "=", "OOMKilled"),))
    query = replace(grown("again_total", "checkout", "cart"), where=killed)
    assert values(source.read(query, AT)) == {"checkout": {"events": 120.0}, "cart": {"events": 0.0}}


def test_the_second_fullest_unit_stands_for_a_workload_and_the_only_one_for_itself(source: Prometheus) -> None:
    query = Levels(Selector("used"), Selector("most"), "second", APP, only("checkout"), per="pod")
    assert values(source.read(query, AT)) == {"checkout": {"value": 0.5, "units": 2.0}}
    alone = replace(query, value=Selector("used", (Matcher("pod", "=", "a"),)))
    assert values(source.read(alone, AT)) == {"checkout": {"value": 0.95, "units": 1.0}}


def test_pods_are_summed_into_the_workload_that_their_name_tells(source: Prometheus) -> None:
    query = Increases((("events", Selector("jobs_total")),), MINUTE, WORKLOAD, only("checkout", "check-out"))
    assert values(source.read(query, AT)) == {"checkout": {"events": 180.0}, "check-out": {"events": 300.0}}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(2.0, {"total": 600.0, "most": 300.0, "least": 120.0, "low": 1.0, "high": 2.5}, id="between-two-bounds"),
        pytest.param(2.5, {"total": 600.0, "most": 120.0, "least": 120.0, "low": 2.5, "high": 2.5}, id="on-a-bound"),
        pytest.param(0.5, {"total": 600.0, "most": 600.0, "least": 300.0, "low": 0.0, "high": 1.0}, id="below-the-smallest"),
        pytest.param(60.0, {"total": 600.0, "most": 60.0, "least": 0.0, "low": 5.0, "high": inf}, id="beyond-the-largest"),
    ],
)
def test_slow_requests_are_bracketed_by_the_buckets_around_the_limit(source: Prometheus, limit: float, expected: dict[str, float]) -> None:
    assert values(source.read(slower(limit, "checkout"), AT)) == {"checkout": expected}


def test_bounds_are_asked_for_as_the_server_spells_them(source: Prometheus) -> None:
    assert values(source.read(slower(1.0, "go", "checkout"), AT)) == {
        app: {"total": 600.0, "most": 300.0, "least": 300.0, "low": 1.0, "high": 1.0} for app in ("go", "checkout")
    }


def test_workload_with_buckets_of_its_own_is_judged_by_them(source: Prometheus) -> None:
    # The nearest bounds of all are those of "fine"; "checkout" has no bucket there.
    assert values(source.read(slower(2.0, "fine", "checkout"), AT)) == {
        "fine": {"total": 600.0, "most": 240.0, "least": 240.0, "low": 2.0, "high": 2.0},
        "checkout": {"total": 600.0, "most": 300.0, "least": 120.0, "low": 1.0, "high": 2.5},
    }


def test_workload_whose_pods_share_no_bucket_is_a_fault(source: Prometheus) -> None:
    answer = source.read(slower(2.0, "rolling"), AT)
    assert answer.rows == {}
    assert "different buckets" in answer.faults["shop", "rolling"]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(2.0, {"total": 1200.0, "most": 600.0, "least": 240.0, "low": 1.0, "high": 2.5}, id="one-has-it"),
        pytest.param(2.5, {"total": 1200.0, "most": 240.0, "least": 240.0, "low": 2.5, "high": 2.5}, id="both-have-it"),
        pytest.param(5.0, {"total": 1200.0, "most": 240.0, "least": 0.0, "low": 2.5, "high": inf}, id="the-other-has-it"),
        pytest.param(1.0, {"total": 1200.0, "most": 600.0, "least": 600.0, "low": 1.0, "high": 1.0}, id="both-spell-it-differently"),
    ],
)
def test_pods_with_different_buckets_are_judged_by_those_that_they_share(source: Prometheus, limit: float, expected: dict[str, float]) -> None:
    assert values(source.read(slower(limit, "sharing"), AT)) == {"sharing": expected}


def test_bucket_that_ended_inside_the_window_proves_nothing(source: Prometheus) -> None:
    # By what it counted until then, requests after its end would look slower than 2.5 s.
    expected = {"total": 600.0, "most": 300.0, "least": 0.0, "low": 1.0, "high": inf}
    assert values(source.read(slower(2.5, "switched"), AT)) == {"switched": expected}


def test_buckets_of_workloads_are_told_with_whether_all_their_series_have_them(source: Prometheus) -> None:
    found = source.buckets(slower(2.0, "checkout", "sharing", "rolling", "nobody"), AT)
    assert {key[1]: buckets for key, buckets in found.items()} == {
        "checkout": Buckets(shared=(1.0, 2.5, 5.0), is_mixed=False),
        "sharing": Buckets(shared=(1.0, 2.5), is_mixed=True),
        "rolling": Buckets(shared=(), is_mixed=True),
    }


def test_bucket_series_may_be_named_themselves(source: Prometheus) -> None:
    named = Slower(Selector("seconds_bucket"), 2.5, MINUTE, APP, only("checkout"))
    assert source.read(named, AT) == source.read(slower(2.5, "checkout"), AT)


def test_histogram_without_buckets_is_absent(source: Prometheus) -> None:
    assert source.read(Slower(Selector("no_such_seconds"), 1.0, MINUTE, APP, only("checkout")), AT) == Answer({})


@pytest.mark.parametrize(
    ("pick", "expected"),
    [
        pytest.param("max", 99.0, id="max"),
        pytest.param("min", 50.0, id="min"),
        pytest.param("sum", 324.0, id="sum"),
        pytest.param("avg", 81.0, id="avg"),
    ],
)
def test_level_is_picked_among_the_series_of_a_workload(source: Prometheus, pick: str, expected: float) -> None:
    level = Levels(Selector("used"), None, pick, APP, only("checkout"))  # type: ignore[arg-type]  # the table's literals
    assert source.read(level, AT) == Answer({("shop", "checkout"): Row({"value": expected}, AT)}, known_parts=frozenset({"value"}))


def test_level_is_divided_series_by_series_and_a_limit_of_zero_is_no_limit(source: Prometheus) -> None:
    share = Levels(Selector("used"), Selector("most"), "max", APP, only("checkout"))
    assert values(source.read(share, AT)) == {"checkout": {"value": 0.95}}


def test_value_that_is_no_number_is_no_data(source: Prometheus) -> None:
    assert values(source.read(Levels(Selector("odd", (Matcher("pod", "=", "a"),)), None, "max", APP, only("checkout")), AT)) == {}


def test_expression_is_evaluated_as_written(source: Prometheus) -> None:
    answer = source.read(Expression("sum by (namespace, app) (rate(requests_total[1m])) > 1", APP, only("checkout", "search")), AT)
    assert answer.rows == {("shop", "checkout"): Row({"value": 10.0}, AT), ("shop", "search"): Row({"value": 2.0}, AT)}


@pytest.mark.parametrize(
    "promql",
    [
        pytest.param("sum by (app, namespace) (rate(requests_total[1m])) / scalar(sum(rate(requests_total[1m])))", id="share-of-all"),
        pytest.param("sum by (namespace, app) (rate(requests_total[1m])) / on () group_left () sum(rate(requests_total[1m]))", id="joined-with-all"),
    ],
)
def test_expression_about_all_workloads_is_not_narrowed_to_the_asked_one(source: Prometheus, promql: str) -> None:
    # 72 requests a second in all, 10 of them checkout's.
    answer = source.read(Expression(promql, APP, only("checkout")), AT)
    assert answer.rows["shop", "checkout"].values["value"] == pytest.approx(10 / 72)


def test_first_of_all_workloads_is_not_the_first_of_the_asked_ones(source: Prometheus) -> None:
    answer = source.read(Expression("topk(1, sum by (namespace, app) (rate(requests_total[1m])))", APP, only("search")), AT)
    assert answer.rows == {}


def test_two_series_for_one_workload_are_its_fault_and_nobody_elses(source: Prometheus) -> None:
    answer = source.read(Expression("requests_total", APP, only("checkout", "search")), AT)
    assert answer.rows == {("shop", "search"): Row({"value": 1200.0}, AT)}
    assert answer.faults == {("shop", "checkout"): "two series for namespace='shop', app='checkout': aggregate the expression by (namespace, app)"}


def test_expression_over_vanished_series_is_stale(source: Prometheus) -> None:
    answer = source.read(Expression("sum by (namespace, app) (increase(gone_total[5m]))", APP, only("older")), AT)
    assert answer.rows["shop", "older"].newest == second(555)


def test_expression_by_pod_belongs_to_the_workload_that_the_name_tells(source: Prometheus) -> None:
    query = Expression("rate(jobs_total[1m])", WORKLOAD, only("checkout", "check-out"))
    answer = source.read(query, AT)
    assert answer.rows == {("shop", "check-out"): Row({"value": 5.0}, AT)}
    assert list(answer.faults) == [("shop", "checkout")]


def test_absence_is_never_fresh_evidence(source: Prometheus) -> None:
    answer = source.read(Expression('absent(no_such{namespace="shop",app="checkout"})', APP, only("checkout")), AT)
    assert answer.rows["shop", "checkout"].newest == AT - timedelta(minutes=5)


@pytest.mark.parametrize(
    "promql",
    [
        pytest.param("requests_total[1m]", id="range"),
        pytest.param("1 + 1", id="scalar"),
        pytest.param("sum(", id="broken"),
        pytest.param("", id="empty"),
    ],
)
def test_expression_that_is_no_instant_vector_is_refused(source: Prometheus, promql: str) -> None:
    with pytest.raises(Permanent, match="nothing was asked"):
        source.read(Expression(promql, APP, only("checkout")), AT)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(errors("checkout", "search", "cart"), id="increases"),
        pytest.param(slower(2.0, "checkout", "fine", "rolling"), id="slower"),
        pytest.param(Levels(Selector("used"), Selector("most"), "max", APP, only("checkout")), id="levels"),
        pytest.param(Expression("requests_total", APP, only("checkout", "search")), id="expression"),
        pytest.param(grown("gone_total", "old", "older"), id="vanishing"),
        pytest.param(errors(), id="nobody"),
    ],
)
def test_history_is_what_read_would_have_said(source: Prometheus, query: Increases | Slower | Levels | Expression) -> None:
    instants = [second(450.5 + 1.5 * step) for step in range(101)]
    assert source.read_history(query, instants) == {at: source.read(query, at) for at in instants}


def test_history_of_one_instant_and_of_none(source: Prometheus) -> None:
    assert source.read_history(errors("checkout"), [AT]) == {AT: source.read(errors("checkout"), AT)}
    assert source.read_history(errors("checkout"), []) == {}


def test_history_at_uneven_instants_is_refused(source: Prometheus) -> None:
    with pytest.raises(Permanent, match="not evenly spaced"):
        source.read_history(errors("checkout"), [second(0), second(10), second(30)])


def test_history_longer_than_prometheus_allows_comes_in_parts(source: Prometheus) -> None:
    instants = [second(0.05 * step) for step in range(12_000)]
    answers = source.read_history(grown("resets_total", "r"), instants)
    assert list(answers) == instants
    assert answers[instants[-1]] == source.read(grown("resets_total", "r"), instants[-1])


@pytest.mark.parametrize(
    ("every", "expected"),
    [pytest.param(15, 60, id="fits"), pytest.param(7, 63, id="rounded-up"), pytest.param(90, 90, id="longer"), pytest.param(60, 60, id="equal")],
)
def test_block_is_the_smallest_multiple_that_holds_four_scrapes(source: Prometheus, every: int, expected: int) -> None:
    assert source.block(timedelta(seconds=every)) == timedelta(seconds=expected)


def test_delay_and_freshness_follow_the_scrape_interval() -> None:
    source = Prometheus("main", "http://127.0.0.1:9", scrape_interval=timedelta(seconds=30))
    assert (source.delay, source.freshness) == (timedelta(seconds=35), timedelta(seconds=70))


def test_the_labels_of_a_selector_s_series_are_shown_up_to_as_many_as_asked(source: Prometheus) -> None:
    search = Selector("requests_total", (Matcher("app", "=", "search"),))
    assert source.series(search, AT, 5) == ({"namespace": "shop", "app": "search", "code": "200"},)
    assert len(source.series(Selector("requests_total"), AT, 2)) == 2
    assert source.series(Selector("no_such_total"), AT, 5) == ()
    hostile = source.series(Selector("requests_total", (Matcher("app", "=", HOSTILE),)), AT, 5)
    assert [(labels["app"], labels["code"]) for labels in hostile] == [(HOSTILE, "200"), (HOSTILE, "500")]
