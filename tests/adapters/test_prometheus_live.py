"""The Prometheus source against a real Prometheus at work: what comes and goes, and what its own check says."""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.source import Expression, Identity, Increases, Selector
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.policies.text.regexes import foreign_to_re2
from tests import servers
from tests.exposition import Exposition


def test_live_series_that_misses_one_scrape_stays_evidence(prometheus: servers.Server, exposition: Exposition) -> None:
    source = Prometheus("live", prometheus.url, scrape_interval=timedelta(seconds=3))
    query = Increases((("events", Selector("live_total")),), timedelta(seconds=20), Identity(("app",)), frozenset({("missed",)}))
    gone = Expression('absent(live_total{app="missed"})', Identity(("app",)), frozenset({("missed",)}))
    exposition.text = 'live_total{app="missed"} 3\n'
    servers.poll(lambda: source.read(query, datetime.now(UTC) - timedelta(seconds=4)).rows, within=30)
    exposition.text = ""
    servers.poll(lambda: source.read(gone, datetime.now(UTC)).rows)
    at = datetime.now(UTC)
    assert at - source.read(query, at).rows["missed",].newest < source.freshness


@pytest.mark.parametrize(
    ("pattern", "has_it"),
    [
        *((pattern, True) for pattern in ("(?i)a", "(?s-i:a)", "a{1000}", "(a{100}){10}", "((a{500}){0}){3}", "a??")),
        *((pattern, True) for pattern in (r"[\d]", r"\pL\z", r"\Qa{1001}\E", r"\(?=a", "[[:alpha:]+*]")),
        *((pattern, False) for pattern in ("(?x)a b", "(?u)a", "(?|a)", "a{1001}", "(a{100}){11}", "a{1001,}", "a**", "a{2}{3}")),
        *((pattern, False) for pattern in (r"\u0041", r"[\h]", r"\1", r"\C")),
    ],
)
def test_a_regular_expression_is_foreign_to_re2_where_the_server_says_so(prometheus: servers.Server, pattern: str, has_it: bool) -> None:
    told = requests.get(f"{prometheus.url}/api/v1/query", {"query": f"up{{x=~`{pattern}`}}"}, timeout=10)
    assert (told.status_code == 200, foreign_to_re2(pattern) is None) == (has_it, has_it)


def test_check_is_silent_about_a_server_that_scrapes_as_configured(prometheus: servers.Server) -> None:
    assert Prometheus("live", prometheus.url, scrape_interval=timedelta(seconds=1)).check() == ()


def test_check_tells_that_targets_are_scraped_more_rarely_than_configured(prometheus: servers.Server) -> None:
    source = Prometheus("live", prometheus.url, scrape_interval=timedelta(milliseconds=250))
    servers.poll(source.check, within=30)
    (finding,) = source.check()
    assert "not every 0.25 s: set scrape_interval" in finding


def test_check_tells_of_a_server_that_is_not_there() -> None:
    (finding,) = Prometheus("main", f"http://127.0.0.1:{servers.free_port()}").check()
    assert finding.startswith("main: could not be reached (Connection refused)")


def test_clock_of_the_server_is_compared_with_ours(prometheus: servers.Server) -> None:
    source = Prometheus("live", prometheus.url)
    skew = source.clock_skew(datetime.now(UTC) - timedelta(hours=1))
    assert timedelta(minutes=59) < skew < timedelta(minutes=61)


def test_question_that_would_load_too_many_samples_is_refused_for_good() -> None:
    query = Expression("up", Identity(("instance",)), frozenset({("127.0.0.1:1",)}))
    refusals: list[AdapterError] = []

    def is_refused() -> bool:
        try:
            Prometheus("live", server.url).read(query, datetime.now(UTC))
        except AdapterError as refusal:
            refusals.append(refusal)
        return bool(refusals)

    with servers.prometheus("127.0.0.1:1", "127.0.0.1:2", flags=["--query.max-samples=1"]) as server:
        servers.poll(is_refused)
    assert isinstance(refusals[0], Permanent)
    assert "would load too many samples" in str(refusals[0])
