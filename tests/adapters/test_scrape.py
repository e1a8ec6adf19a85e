"""The scrape source against real HTTP pages on loopback, scraped by hand at chosen times, or by its own thread."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from structlog.testing import capture_logs

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.source import Answer, Derived, Expression, Identity, Increases, Levels, Matcher, Query, Row, Selector, Slower
from rollbackd.adapters.scrape import Endpoint, Scrape, by_name
from rollbackd.adapters.scrape.page import Sample, read_page
from rollbackd.adapters.scrape.ring import Track
from tests.exposition import Exposition, Reply, exposing, these
from tests.servers import free_port, poll

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BY_APP = Identity(("app",))
SHOP = frozenset({("shop",)})


class Stage:
    """A source with an interval of 5 s whose clock is set by hand, over pages whose text is set by hand."""

    def __init__(self, *pages: Exposition, **options: object) -> None:
        self.endpoints = [Endpoint(f"{page.url}/metrics", {"app": "shop"}) for page in pages]
        self.clock = T0
        self.source = Scrape("local", lambda: self.endpoints, interval=5 * SECOND, now=lambda: self.clock, **options)  # type: ignore[arg-type]

    def scrape(self, second: float) -> None:
        self.clock = T0 + second * SECOND
        self.source.scrape()

    def read(self, query: Query, second: float) -> Answer:
        return self.source.read(query, T0 + second * SECOND)


@pytest.fixture
def page() -> Iterator[Exposition]:
    with exposing() as page:
        yield page


@pytest.fixture
def pages() -> Iterator[list[Exposition]]:
    with ExitStack() as stack:
        yield [stack.enter_context(exposing()) for _ in range(2)]


def requests(window: float, **parts: Selector) -> Increases:
    selectors = parts or {"total": Selector("requests_total")}
    return Increases(tuple(selectors.items()), window * SECOND, BY_APP, SHOP)


def failing() -> Selector:
    return Selector("requests_total", (Matcher("code", "=~", "5.."),))


def row(second: float, **values: float) -> dict[tuple[str, ...], Row]:
    return {("shop",): Row(values, T0 + second * SECOND)}


def at(stage: Stage, page: Exposition, *texts: tuple[float, str]) -> None:
    for second, text in texts:
        page.text = text
        stage.scrape(second)


# Increases


def test_an_increase_is_exact_over_its_window(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 100\n"), (5, "requests_total 107\n"), (10, "requests_total 110\n"), (15, "requests_total 111\n"))
    assert stage.read(requests(10), 15).rows == row(15, total=4)


def test_windows_that_meet_count_each_event_once(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 0\n"), (4.2, "requests_total 3\n"), (10, "requests_total 8\n"), (14.9, "requests_total 20\n"))
    assert [stage.read(requests(5), second).rows[("shop",)].values["total"] for second in (5, 10, 15)] == [3, 5, 12]


def test_samples_after_the_asked_moment_do_not_count(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 0\n"), (5, "requests_total 3\n"), (10, "requests_total 8\n"))
    assert stage.read(requests(5), 9.9).rows == row(5, total=3)


def test_a_counter_that_stands_still_is_data(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 5\n"), (5, "requests_total 5\n"))
    assert stage.read(requests(5), 5).rows == row(5, total=0)


def test_a_reset_counts_the_new_value_in_full(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 100\n"), (5, "requests_total 110\n"), (10, "requests_total 4\n"))
    assert stage.read(requests(10), 10).rows == row(10, total=14)


def test_a_new_process_is_a_reset_even_if_its_counter_has_overtaken_the_old_one(page: Exposition) -> None:
    stage = Stage(page)
    born = T0.timestamp()
    at(
        stage,
        page,
        (0, f"requests_total 5\nprocess_start_time_seconds {born - 60}\n"),
        (5, f"requests_total 9\nprocess_start_time_seconds {born + 3}\n"),
    )
    assert stage.read(requests(5), 5).rows == row(5, total=9)


def test_several_processes_behind_one_address_never_count_what_is_old(page: Exposition) -> None:
    stage = Stage(page)
    one, other = (f"process_start_time_seconds {T0.timestamp() - age}\n" for age in (7200, 3600))
    at(stage, page, (0, f"requests_total 5000\n{one}"), (5, f"requests_total 90\n{other}"), (10, f"requests_total 5002\nnew_total 7\n{one}"))
    assert stage.read(requests(10), 10).rows == row(10, total=0)
    assert "several processes" in stage.source.check()[0]
    at(stage, page, (15, f"requests_total 5003\nnew_total 7\n{one}"))
    assert stage.read(requests(15), 15).rows == row(15, total=1)
    assert stage.source.check() == ()


def test_a_label_value_born_on_a_known_endpoint_counts_from_zero(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'requests_total{code="200"} 50\n'), (5, 'requests_total{code="200"} 60\nrequests_total{code="500"} 37\n'))
    assert stage.read(requests(5, bad=failing(), total=Selector("requests_total")), 5).rows == row(5, bad=37, total=47)


def test_what_the_first_scrape_of_an_endpoint_shows_is_not_growth(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1000\n"), (5, "requests_total 1001\n"))
    assert stage.read(requests(5), 5).rows == row(5, total=1)


def test_a_series_that_was_away_for_one_scrape_goes_on_where_it_was(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 100\n"), (5, "other 1\n"), (10, "requests_total 103\n"))
    assert stage.read(requests(10), 10).rows == row(10, total=3)


def test_labels_in_another_order_are_the_same_series(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'requests_total{a="1",code="500"} 40\n'), (5, 'requests_total{code="500",a="1"} 41\n'))
    assert stage.read(requests(5), 5).rows == row(5, total=1)


def test_the_endpoints_of_a_workload_are_summed_and_other_workloads_left_out(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    stage.endpoints.append(Endpoint(f"{pages[0].url}/other", {"app": "other"}))
    for second, value in ((0, 10), (5, 13)):
        pages[0].text = pages[1].text = f"requests_total {value}\n"
        stage.scrape(second)
    assert stage.read(requests(5), 5).rows == row(5, total=6)


def test_a_part_without_any_series_is_missing_from_the_row(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    answer = stage.read(requests(5, bad=failing(), total=Selector("requests_total")), 5)
    assert answer.rows == row(5, total=1)
    assert answer.known_parts == {"total"}


def test_a_part_that_another_workload_has_is_known(page: Exposition) -> None:
    stage = Stage(page)
    stage.endpoints.append(Endpoint(f"{page.url}/other", {"app": "other"}))
    at(stage, page, (0, 'requests_total{code="500"} 1\n'), (5, 'requests_total{code="500"} 2\n'))
    query = Increases((("bad", failing()),), 5 * SECOND, BY_APP, frozenset({("elsewhere",)}))
    assert stage.read(query, 5) == Answer({}, known_parts=frozenset({"bad"}))


# What no counter shows

ODD = pytest.mark.parametrize("odd", ["NaN", "+Inf", "-Inf", "-40000"])


def page_of(requests: int, failed: str) -> str:
    return f'requests_total{{code="200"}} {requests}\nrequests_total{{code="500"}} {failed}\nseconds{{quantile="0.5"}} NaN\n'


@ODD
def test_a_series_that_shows_what_no_counter_can_is_a_fault_for_as_long_as_the_window_rests_on_it(page: Exposition, odd: str) -> None:
    stage = Stage(page)
    ratio = requests(5, bad=failing(), total=Selector("requests_total"))
    at(stage, page, (0, page_of(0, "0")), (5, page_of(100, odd)), (10, page_of(200, "40000")), (15, page_of(300, "40002")))
    for second in (5, 10):
        answer = stage.read(ratio, second)
        assert answer.rows == {}
        assert answer.faults[("shop",)].startswith(f'requests_total{{app="shop",code="500"}} showed {float(odd):g}: ')
    assert stage.read(ratio, 15) == Answer(row(15, bad=2, total=102), known_parts=frozenset({"bad", "total"}))


@ODD
def test_a_series_that_is_born_as_what_no_counter_can_show_is_a_fault(page: Exposition, odd: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'requests_total{code="200"} 0\n'), (5, page_of(100, odd)))
    answer = stage.read(requests(5), 5)
    assert (answer.rows, set(answer.faults)) == ({}, SHOP)


def test_an_infinity_that_stands_still_stays_a_fault(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, *((second, page_of(second, "+Inf")) for second in range(0, 61, 5)))
    answer = stage.read(requests(10), 60)
    assert (answer.rows, set(answer.faults)) == ({}, SHOP)


@ODD
def test_a_series_that_is_not_asked_for_spoils_nothing(page: Exposition, odd: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, page_of(0, odd)), (5, page_of(100, odd)))
    served = Selector("requests_total", (Matcher("code", "=", "200"),))
    assert stage.read(requests(5, total=served), 5) == Answer(row(5, total=100), known_parts=frozenset({"total"}))


@ODD
def test_a_bucket_that_shows_what_no_counter_can_is_a_fault(page: Exposition, odd: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, BUCKETS.format(1, 2, 3, 4)), (5, BUCKETS.format(2, odd, 4, 5)))
    answer = stage.read(slower(1.0), 5)
    assert answer.rows == {}
    assert 'le="1.0"' in answer.faults[("shop",)]


# What the ring does not cover


def test_a_window_that_begins_before_the_first_scrape_has_no_row(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    assert stage.read(requests(6), 5).rows == {}


def test_a_window_that_begins_in_a_gap_has_no_row_and_one_around_the_gap_has(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"), (60, "requests_total 500\n"), (65, "requests_total 501\n"))
    assert stage.read(requests(35), 65).rows == {}
    assert stage.read(requests(65), 65).rows == row(65, total=500)
    assert stage.read(requests(5), 65).rows == row(65, total=1)


def test_a_window_older_than_the_retention_has_no_row(page: Exposition) -> None:
    stage = Stage(page, retention=60 * SECOND)
    for second in range(0, 500, 5):
        at(stage, page, (second, f"requests_total {second}\n"))
    assert stage.read(requests(60), 495).rows == row(495, total=60)
    assert stage.read(requests(400), 495).rows == {}


def test_an_endpoint_that_vanishes_keeps_what_it_counted_while_its_newest_sample_ages(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"), (5, "requests_total 8\n"))
    page.fault = Reply(status=503)
    stage.scrape(10)
    stage.scrape(15)
    assert stage.read(requests(15), 15).rows == row(5, total=7)


def test_an_endpoint_that_joins_counts_from_its_first_scrape(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    joining = stage.endpoints.pop()
    pages[1].text = "requests_total 900\n"
    at(stage, pages[0], (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    stage.endpoints.append(joining)
    at(stage, pages[0], (10, "requests_total 3\n"))
    pages[1].text = "requests_total 904\n"
    at(stage, pages[0], (15, "requests_total 4\n"))
    assert stage.read(requests(15), 15).rows == row(15, total=3 + 4)


def test_an_address_that_comes_back_with_other_labels_is_another_endpoint(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 900\n"))
    stage.endpoints = [Endpoint(stage.endpoints[0].url, {"app": "shop", "pod": "new"})]
    at(stage, page, (5, "requests_total 950\n"), (10, "requests_total 951\n"))
    assert stage.read(requests(5), 10).rows == row(10, total=1)
    assert stage.read(requests(10), 10).rows == row(10, total=1)


def test_samples_with_times_of_their_own_age_by_those_times(page: Exposition) -> None:
    stage = Stage(page)
    first, second = (int((T0 + seconds * SECOND).timestamp() * 1000) for seconds in (-1, 4))
    at(stage, page, (0, f"requests_total 1 {first}\n"), (5, f"requests_total 3 {second}\n"), (10, f"requests_total 3 {second}\n"))
    assert stage.read(requests(10), 10).rows == row(4, total=2)


def test_a_source_none_of_whose_pages_answers_is_down_once_what_it_has_is_stale(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    pages[1].text = "requests_total 1\n"
    at(stage, pages[0], (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    pages[0].fault, pages[1].fault = Reply(status=500), Reply(body=b"<html>\n")
    for second in range(10, 31, 5):
        stage.scrape(second)
    assert stage.read(requests(10), 25).rows == row(5, total=0)  # 20 s are bridged
    with pytest.raises(Transient, match=r"nothing since 12:00:05; nothing is known; .*HTTP 500.*; .*no page of metrics") as raised:
        stage.read(requests(5), 26)
    assert pages[0].address in str(raised.value)
    assert stage.read(requests(5), 5).rows == row(5, total=1)
    pages[0].fault = None
    stage.scrape(35)
    stage.scrape(40)
    assert stage.read(requests(5), 40).rows == row(40, total=0)


def test_a_source_that_is_down_names_three_pages_and_how_many_more(page: Exposition) -> None:
    stage = Stage(page)
    stage.endpoints = [Endpoint(f"{page.url}/{number}", {"app": "shop"}) for number in range(5)]
    page.fault = Reply(status=500)
    stage.scrape(0)
    with pytest.raises(Transient, match=r"/0 was .*/1 was .*/2 was .*; and 2 more$"):
        stage.read(requests(5), 0)


def test_a_workload_that_only_pages_without_an_answer_could_tell_of_has_their_fault(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    stage.endpoints[1] = Endpoint(stage.endpoints[1].url, {"app": "zoo"})
    pages[1].fault = Reply(status=500)
    at(stage, pages[0], (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    query = replace(requests(5), only=frozenset({("shop",), ("zoo",), ("elsewhere",)}))
    answer = stage.read(query, 5)
    assert answer.rows == row(5, total=1)
    assert set(answer.faults) == {("zoo",)}
    assert "HTTP 500" in answer.faults[("zoo",)]


def test_a_workload_whose_page_is_replaced_is_bridged_by_what_the_former_one_told(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    coming = stage.endpoints.pop()
    at(stage, pages[0], (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    stage.endpoints = [coming]
    pages[1].fault = Reply(status=503)
    stage.scrape(10)
    assert stage.read(requests(10), 10) == Answer(row(5, total=1), known_parts=frozenset({"total"}))


def test_a_workload_that_a_page_with_an_answer_could_tell_of_has_no_fault_of_the_others(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    stage.endpoints = [Endpoint(endpoint.url) for endpoint in stage.endpoints]  # who it is stands on the pages
    pages[1].fault = Reply(status=500)
    at(stage, pages[0], (0, 'requests_total{app="shop"} 1\n'), (5, 'requests_total{app="shop"} 2\n'))
    query = replace(requests(5), only=frozenset({("shop",), ("zoo",)}))
    assert stage.read(query, 5) == Answer(row(5, total=1), known_parts=frozenset({"total"}))


def test_before_the_first_scrape_nothing_is_known(page: Exposition) -> None:
    with pytest.raises(Transient, match="scraped nothing yet"):
        Stage(page).read(requests(5), 5)


def test_there_is_no_history(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"))
    assert stage.source.read_history(requests(5), [T0]) == {}


# Histograms

BUCKETS = """latency_seconds_bucket{{le="0.5"}} {0}
latency_seconds_bucket{{le="1.0"}} {1}
latency_seconds_bucket{{le="2.5"}} {2}
latency_seconds_bucket{{le="+Inf"}} {3}
"""


def slower(limit: float, metric: str = "latency_seconds") -> Slower:
    return Slower(Selector(metric), limit, 5 * SECOND, BY_APP, SHOP)


@pytest.mark.parametrize(
    ("limit", "values"),
    [
        pytest.param(2.0, {"total": 40, "most": 10, "least": 3, "low": 1, "high": 2.5}, id="between-two-bounds"),
        pytest.param(1.0, {"total": 40, "most": 10, "least": 10, "low": 1, "high": 1}, id="at-a-bound"),
        pytest.param(3.0, {"total": 40, "most": 3, "least": 0, "low": 2.5, "high": math.inf}, id="beyond-the-largest"),
        pytest.param(0.1, {"total": 40, "most": 40, "least": 20, "low": 0, "high": 0.5}, id="below-the-smallest"),
    ],
)
@pytest.mark.parametrize("metric", ["latency_seconds", "latency_seconds_bucket"])
def test_slow_requests_are_bracketed_by_the_bounds_around_the_limit(page: Exposition, limit: float, values: dict[str, float], metric: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, BUCKETS.format(1, 2, 3, 4)), (5, BUCKETS.format(21, 32, 40, 44)))
    assert stage.read(slower(limit, metric), 5).rows == row(5, **values)


FINER = """latency_seconds_bucket{{le="1"}} {0}
latency_seconds_bucket{{le="2"}} {1}
latency_seconds_bucket{{le="2.5"}} {2}
latency_seconds_bucket{{le="+Inf"}} {3}
"""


@pytest.mark.parametrize(
    ("limit", "values"),
    [
        pytest.param(2.0, {"total": 80, "most": 40, "least": 9, "low": 1, "high": 2.5}, id="one-has-it"),
        pytest.param(1.0, {"total": 80, "most": 40, "least": 40, "low": 1, "high": 1}, id="both-spell-it-differently"),
    ],
)
def test_endpoints_with_different_buckets_are_judged_by_those_that_they_share(
    pages: list[Exposition], limit: float, values: dict[str, float]
) -> None:
    stage = Stage(*pages)
    pages[1].text = FINER.format(1, 2, 3, 4)
    at(stage, pages[0], (0, BUCKETS.format(1, 2, 3, 4)))
    pages[1].text = FINER.format(11, 32, 37, 44)
    at(stage, pages[0], (5, BUCKETS.format(21, 32, 40, 44)))
    assert stage.read(slower(limit), 5).rows == row(5, **values)


def test_buckets_that_changed_inside_the_window_prove_nothing(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, BUCKETS.format(1, 2, 3, 4)), (5, FINER.format(10, 20, 30, 40).replace('le="1"', 'le="1.0"')))
    assert stage.read(slower(2.0), 5).rows == row(5, total=36, most=28, least=9, low=1, high=2.5)


def test_endpoints_that_share_no_bucket_are_a_fault_and_no_guess(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    pages[1].text = 'latency_seconds_bucket{le="2"} 1\nlatency_seconds_bucket{le="+Inf"} 1\n'
    at(stage, pages[0], (0, BUCKETS.format(1, 2, 3, 4)), (5, BUCKETS.format(1, 2, 3, 4)))
    answer = stage.read(slower(2.0), 5)
    assert answer.rows == {}
    assert "different buckets" in answer.faults[("shop",)]


@pytest.mark.parametrize("bucket", ['le="1"', 'le="+Inf"} 1\nlatency_seconds_bucket{le="many"', 'x="1"'], ids=["no-inf", "no-number", "no-bound"])
def test_a_histogram_that_is_none_is_a_fault(page: Exposition, bucket: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, f"latency_seconds_bucket{{{bucket}}} 1\n"), (5, f"latency_seconds_bucket{{{bucket}}} 1\n"))
    assert "+Inf" in stage.read(slower(2.0), 5).faults[("shop",)]


# Levels


def level(pick: str = "max", of: str | None = None) -> Levels:
    return Levels(Selector("used"), None if of is None else Selector(of), pick, BY_APP, SHOP)  # type: ignore[arg-type]


@pytest.mark.parametrize(("pick", "value"), [("max", 9.0), ("min", 2.0), ("sum", 11.0), ("avg", 5.5)])
def test_a_gauge_is_reduced_per_workload(page: Exposition, pick: str, value: float) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'used{pod="a"} 2\nused{pod="b"} 9\n'))
    assert stage.read(level(pick), 3).rows == row(0, value=value)


def test_a_gauge_is_divided_series_by_series(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'used{pod="a",kind="rss"} 90\nused{pod="b",kind="rss"} 50\nlimit{pod="a"} 100\nlimit{pod="b"} 500\n'))
    assert stage.read(level(of="limit"), 0).rows == row(0, value=0.9)


@pytest.mark.parametrize(
    "text", ["", 'limit{pod="b"} 10\n', 'limit{pod="a"} 0\n', 'limit{pod="a"} NaN\n'], ids=["none", "another-pod", "zero", "nan"]
)
def test_without_a_limit_no_limit_is_breached(page: Exposition, text: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, f'used{{pod="a"}} 90\n{text}'))
    assert stage.read(level(of="limit"), 0).rows == {}


def test_two_limits_for_one_series_are_a_fault(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'used{pod="a"} 90\nlimit{pod="a",kind="hard"} 100\nlimit{pod="a",kind="soft"} 50\n'))
    assert "2 series of limit" in stage.read(level(of="limit"), 0).faults[("shop",)]


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_a_value_that_is_no_finite_number_is_no_row(page: Exposition, value: str) -> None:
    stage = Stage(page)
    at(stage, page, (0, f'used{{pod="a"}} {value}\nused{{pod="b"}} 1\n'))
    assert stage.read(level(), 0).rows == {}


def test_a_gauge_that_is_gone_is_no_row(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "used 1\n"), (5, "other 1\n"))
    assert stage.read(level(), 5).rows == {}
    assert stage.read(level(), 4).rows == row(0, value=1)


def test_a_pod_that_no_longer_answers_does_not_hold_the_level(pages: list[Exposition]) -> None:
    stage = Stage(*pages)
    pages[0].text, pages[1].text = "used 1\n", "used 99\n"
    stage.scrape(0)
    pages[1].fault = Reply(status=500)
    at(stage, pages[0], (15, "used 1\n"))
    assert stage.read(level(), 15).rows == row(15, value=99)
    at(stage, pages[0], (25, "used 1\n"))
    assert stage.read(level(), 25).rows == row(25, value=1)


# Selecting


@pytest.mark.parametrize(
    ("matcher", "total"),
    [
        pytest.param(Matcher("code", "=", "500"), 1, id="equal"),
        pytest.param(Matcher("code", "!=", "500"), 6, id="not-equal"),
        pytest.param(Matcher("code", "=~", "5.|50."), 1, id="pattern-is-anchored"),
        pytest.param(Matcher("code", "!~", "5.."), 6, id="not-pattern"),
        pytest.param(Matcher("absent", "=", ""), 7, id="an-absent-label-is-empty"),
        pytest.param(Matcher("code", "=", 'a"}\\ # {\n'), 4, id="any-character"),
    ],
)
def test_matchers_select_as_prometheus_does(page: Exposition, matcher: Matcher, total: float) -> None:
    stage = Stage(page)
    text = 'requests_total{{code="500"}} {0}\nrequests_total{{code="200"}} {1}\nrequests_total{{code="a\\"}}\\\\ # {{\\n"}} {2}\n'
    at(stage, page, (0, text.format(0, 0, 0)), (5, text.format(1, 2, 4)))
    assert stage.read(requests(5, total=Selector("requests_total", (matcher,))), 5).rows == row(5, total=total)


def test_a_pattern_that_is_none_is_permanent(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"))
    with pytest.raises(Permanent, match="no regular expression"):
        stage.read(requests(5, total=Selector("requests_total", (Matcher("a", "=~", "("),))), 5)


def test_a_workload_may_be_derived_from_a_label(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'used{pod="cart-7d9f-abcde"} 3\nused{pod="odd"} 9\n'))
    identity = Identity(("app", "workload"), Derived("workload", "pod", "(.+)-[^-]+-[^-]+"))
    query = Levels(Selector("used"), None, "max", identity, frozenset({("shop", "cart"), ("shop", "odd"), ("shop", "")}))
    assert stage.read(query, 0).rows == {("shop", "cart"): Row({"value": 3}, T0)}


def test_an_exposed_label_does_not_replace_the_endpoints_own(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, 'used{app="forged"} 3\n'))
    query = Levels(Selector("used", (Matcher("exported_app", "=", "forged"),)), None, "max", BY_APP, SHOP)
    assert stage.read(query, 0).rows == row(0, value=3)


def test_an_expression_is_permanent(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "used 1\n"))
    with pytest.raises(Permanent, match="no PromQL"):
        stage.read(Expression("used", BY_APP, SHOP), 0)


# Pages


def test_the_pages_of_the_official_client_are_read_in_both_formats(page: Exposition) -> None:
    registry = CollectorRegistry()
    counter = Counter("requests", "help\nwith \\ characters", ["code"], registry=registry)
    histogram = Histogram("latency_seconds", "help", buckets=(0.5, 1), registry=registry)
    stage = Stage(page)
    counter.labels("500").inc(2)
    at(stage, page, (0, generate_latest(registry).decode()))
    counter.labels("500").inc(3)
    histogram.observe(0.7, {"trace_id": "abc"})
    page.fault = openmetrics(generate_openmetrics(registry))
    stage.scrape(5)
    assert stage.source.check() == ()
    assert stage.read(requests(5), 5).rows == row(5, total=3)
    assert stage.read(slower(0.5), 5).rows[("shop",)].values["most"] == 1


def test_a_counter_keeps_the_name_it_is_exposed_under(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "# TYPE requests counter\nrequests 1\n"), (5, "# TYPE requests counter\nrequests 4\n"))
    assert stage.read(requests(5, total=Selector("requests")), 5).rows == row(5, total=3)


def openmetrics(body: bytes) -> Reply:
    return Reply(body=body, headers={"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"})


@pytest.mark.parametrize("body", [b"requests_total 3\n# EOF\n", b"requests_total 3\n# EOF"], ids=["as-specified", "without-the-last-line-end"])
def test_an_openmetrics_page_ends_with_its_last_line(page: Exposition, body: bytes) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"))
    page.fault = openmetrics(body)
    stage.scrape(5)
    assert stage.source.check() == ()
    assert stage.read(requests(5), 5).rows == row(5, total=2)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(Reply(status=500), "HTTP 500", id="http-500"),
        pytest.param(Reply(status=302, headers={"Location": "/metrics"}), "HTTP 302", id="redirect"),
        pytest.param(Reply(status=302, headers={"Location": "http://[oops/login"}), "HTTP 302", id="redirect-to-no-address"),
        pytest.param(Reply(body=b"<html>\nrequests_total 9\n"), "no page of metrics", id="html"),
        pytest.param(Reply(body=b"requests_total 9"), "cut", id="no-last-line-end"),
        pytest.param(Reply(body=b"requests_total 9\n", promise=99), "IncompleteRead", id="cut-body"),
        pytest.param(openmetrics(b"requests_total 9\n"), "cut", id="openmetrics-without-its-end"),
        pytest.param(openmetrics(b"requests_total 9\n# EO"), "cut", id="openmetrics-cut-in-its-end"),
        pytest.param(openmetrics(b"requests_total 9# EOF\n"), "cut", id="openmetrics-whose-end-is-no-line"),
        pytest.param(openmetrics(b""), "cut", id="openmetrics-without-anything"),
        pytest.param(Reply(body=b"requests_total 9\nrequests_total 10\n"), "twice", id="one-series-twice"),
        pytest.param(Reply(body=b'requests_total{a="1} 9\n'), "no page of metrics", id="open-quote"),
        pytest.param(Reply(body=b"requests_total nine\n"), "no page of metrics", id="no-number"),
        pytest.param(Reply(body=b"requests_total 1_0\n"), "no page of metrics", id="python-number"),
        pytest.param(Reply(body=b"requests_total{a=1} 9\n"), "no page of metrics", id="label-without-quotes"),
        pytest.param(Reply(body=b"requests_total \xff\n"), "no UTF-8", id="no-utf-8"),
        pytest.param(Reply(body=b"x", headers={"Content-Encoding": "gzip"}), "gzip", id="compressed-though-not-asked"),
        pytest.param(Reply(wait=30), "", id="no-answer"),
        pytest.param(Reply(body=lambda: iter(lambda: b"#" * 65_536, b"")), "larger than", id="without-end"),
    ],
)
def test_a_page_that_is_not_whole_is_not_used_and_named_by_check(page: Exposition, reply: Reply, says: str) -> None:
    stage = Stage(page, timeout=SECOND * 0.5 if reply.wait else SECOND * 20)
    at(stage, page, (0, "requests_total 1\n"))
    page.fault = reply
    stage.scrape(5)
    (fault,) = stage.source.check()
    assert fault.startswith(f"{page.address}/metrics was not scraped: ")
    assert says in fault
    assert stage.read(requests(5), 5).rows == row(0, total=0)


def test_a_redirect_is_told_before_its_body_has_come(page: Exposition) -> None:
    ended = []

    def drip() -> Iterator[bytes]:
        for _ in range(100):
            yield b"moved"
            page.stopping.wait(0.05)
        ended.append(True)

    stage = Stage(page)
    page.fault = Reply(status=302, headers={"Location": "/login"}, body=drip)
    stage.scrape(0)
    assert not ended
    assert "HTTP 302" in stage.source.check()[0]


def test_scrapes_that_ceased_without_a_fault_are_no_answer(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"), (5, "requests_total 2\n"))
    assert stage.source.check() == ()
    with pytest.raises(Transient, match=r"has scraped nothing since 12:00:05; .* its last round of scrapes does not end"):
        stage.read(requests(5), 26)


def test_nothing_listening_is_named_by_check() -> None:
    source = Scrape("local", these(Endpoint(f"http://user:hunter2@127.0.0.1:{free_port()}/m")), interval=SECOND, now=lambda: T0)
    source.scrape()
    (fault,) = source.check()
    assert "refused" in fault
    assert "hunter2" not in fault


def test_more_series_than_allowed_are_not_kept_in_part(page: Exposition) -> None:
    stage = Stage(page, max_series=10)
    at(stage, page, (0, "requests_total 1\n"), (5, "requests_total 2\n" + "".join(f"x{i} 1\n" for i in range(10))))
    assert "more than 10" in stage.source.check()[0]
    assert stage.read(requests(5), 5).rows == row(0, total=0)


def test_series_that_are_gone_make_room_after_the_retention(page: Exposition) -> None:
    stage = Stage(page, max_series=5, retention=30 * SECOND)
    for second in range(0, 1000, 5):
        at(stage, page, (second, f"requests_total {second}\nx{second // 250} 1\n"))
    assert stage.source.check() == ()
    assert stage.read(requests(5), 995).rows == row(995, total=5)


def test_a_clock_that_went_back_adds_no_sample(page: Exposition) -> None:
    stage = Stage(page)
    at(stage, page, (0, "requests_total 1\n"), (5, "requests_total 2\n"), (3, "requests_total 3\n"))
    assert "clock" in stage.source.check()[0]
    assert stage.read(requests(5), 5).rows == row(5, total=1)


LINES = st.text(alphabet=list('abc_:{}",=\\ \t#.0159eE+-NaInf\x00\u2028é\r'), max_size=40)


@given(st.lists(LINES, max_size=3), st.booleans())
def test_no_page_at_all_brings_anything_but_samples_or_a_transient_fault(lines: list[str], openmetrics: bool) -> None:
    endpoint = Endpoint("http://127.0.0.1/", {"app": "shop"})
    track = Track(endpoint)
    text = "\n".join(lines) + ("\n# EOF\n" if openmetrics else "\n")
    with suppress(Transient):
        samples = read_page(endpoint, text, openmetrics, track.by_text)
        track.take(samples, track.unknown(samples), 1.0)


@given(st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 50), st.booleans()), min_size=1, max_size=30), st.integers(1, 40))
def test_windows_that_meet_add_up_to_everything_that_was_counted(scrapes: list[tuple[float, int, bool]], width: int) -> None:
    track = Track(Endpoint("http://127.0.0.1/"))
    time, value, counted = 0.0, 100, 0
    take(track, time, value)
    for pause, growth, restarts in scrapes:
        time, value, counted = time + pause, growth if restarts and growth < value else value + growth, counted + growth
        take(track, time, value)
    (series,) = track.named("requests_total")
    edges = [*range(0, int(time) + width + 1, width)]
    assert sum(series.growth(start, end) for start, end in pairwise(edges)) == counted


def take(track: Track, time: float, value: float) -> None:
    samples = [Sample("requests_total", value, None)]
    track.take(samples, track.unknown(samples), time)


# Endpoints


def test_a_name_is_scraped_at_its_addresses(page: Exposition) -> None:
    port = int(page.address.split(":")[1])
    assert by_name("localhost", port, "/m", {"app": "shop"})() == [Endpoint(f"http://127.0.0.1:{port}/m", {"app": "shop"})]


@pytest.mark.parametrize(
    ("discover", "says"),
    [
        pytest.param(by_name("no-such-name.invalid", 80), "no-such-name.invalid", id="unknown-name"),
        pytest.param(by_name("x" * 64, 80), "no host name", id="no-name"),
        pytest.param(these(), "no endpoint", id="none"),
    ],
)
def test_no_endpoint_is_named_by_check_and_nothing_is_known(discover: object, says: str) -> None:
    source = Scrape("local", discover, interval=SECOND, now=lambda: T0)  # type: ignore[arg-type]
    source.scrape()
    assert says in source.check()[0]
    with pytest.raises(AdapterError, match=says):
        source.read(requests(1), T0)


def test_a_name_without_an_address_leaves_the_other_pages_read(page: Exposition) -> None:
    gone = Transient("the name reports.shop.svc cannot be resolved")
    page.text = "requests_total 1\n"
    found: list[Endpoint | AdapterError] = [Endpoint(page.url, {"app": "shop"}), gone]
    clock = [T0]
    source = Scrape("local", lambda: found, interval=SECOND, now=lambda: clock[0])
    for _ in range(3):
        source.scrape()
        clock[0] += SECOND
    assert source.check() == (str(gone),)
    assert source.read(requests(1), T0 + 2 * SECOND).rows[("shop",)].values == {"total": 0}


# Pacing


def test_the_thread_scrapes_until_it_is_stopped(page: Exposition) -> None:
    page.text = "requests_total 1\n"
    source = Scrape("local", these(Endpoint(page.url, {"app": "shop"})), interval=SECOND * 0.05, now=lambda: datetime.now(UTC))
    source.start()
    source.start()
    poll(lambda: len(page.asked) >= 3)
    source.stop()
    asked = len(page.asked)
    assert source.read(requests(0.01), datetime.now(UTC)).rows[("shop",)].values == {"total": 0}
    assert len(page.asked) == asked


def test_a_round_that_dies_is_told_and_the_next_one_is_scraped(page: Exposition) -> None:
    page.text = "requests_total 1\n"
    rounds = iter([RuntimeError("a bug")])
    told = []

    def discover() -> list[Endpoint]:
        told.extend(source.check())
        for fault in rounds:
            raise fault
        return [Endpoint(page.url, {"app": "shop"})]

    source = Scrape("local", discover, interval=SECOND * 0.05, now=lambda: datetime.now(UTC))
    with capture_logs() as logs:
        source.start()
        poll(lambda: len(page.asked) >= 3 and source.check() == ())  # a stop in the midst of a round would be a fault of its own
        source.stop()
    assert told[1:] == ["source local failed in its last round; not all was scraped; see the daemon's log"]
    assert [(entry["event"], entry["source"], entry["exc_info"]) for entry in logs] == [("scrape.crashed", "local", True)]


@pytest.mark.parametrize(("every", "block"), [(1, 5), (2, 6), (5, 5), (15, 15)])
def test_a_block_is_the_smallest_multiple_of_every_that_holds_a_scrape(page: Exposition, every: float, block: float) -> None:
    assert Stage(page).source.block(every * SECOND) == block * SECOND


def test_samples_are_fresh_for_two_scrapes_and_ten_seconds(page: Exposition) -> None:
    assert (Stage(page).source.freshness, Stage(page).source.delay) == (20 * SECOND, timedelta(0))
