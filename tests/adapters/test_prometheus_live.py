"""The Prometheus source against a real Prometheus at work: what comes and goes, and what its own check says."""

from datetime import UTC, datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.source import Expression, Identity, Increases, Selector
from rollbackd.adapters.prometheus import Prometheus
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
