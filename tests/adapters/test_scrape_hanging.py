"""Endpoints that never answer, beside others: nobody else waits for them, round after round."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from rollbackd.adapters.base.source import Identity, Increases, Selector
from rollbackd.adapters.scrape import Endpoint, Scrape
from rollbackd.adapters.scrape.lane import Lane
from tests.exposition import Exposition, Reply, exposing
from tests.servers import poll

SECOND = timedelta(seconds=1)
HANGS = Reply(wait=60)
REQUESTS = Increases((("total", Selector("requests_total")),), SECOND, Identity(("app",)), frozenset({("shop",)}))


@pytest.fixture
def living() -> Iterator[Exposition]:
    with exposing("requests_total 1\n") as page:
        yield page


@pytest.fixture
def silent() -> Iterator[Exposition]:
    with exposing("requests_total 1\n") as page:
        page.fault = HANGS
        yield page


def source_of(found: list[Endpoint], timeout: float) -> Scrape:
    return Scrape("local", lambda: found, interval=SECOND * 0.05, now=lambda: datetime.now(UTC), timeout=timeout * SECOND)


def rounds(living: Exposition, number: int) -> None:
    asked = len(living.asked)
    poll(lambda: len(living.asked) >= asked + number)


def threads(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


def test_a_page_that_answers_is_read_each_interval_though_many_others_hang(living: Exposition, silent: Exposition) -> None:
    source = source_of([*(Endpoint(f"{silent.url}/{number}") for number in range(20)), Endpoint(living.url)], timeout=1)
    source.start()
    poll(lambda: len(living.asked) >= 10)
    # If each of these rounds had waited for them they had been asked 200 times.
    assert len(silent.asked) < 100
    assert len(threads("scrape-local-slow")) <= 8
    assert len(source.check()) == 20
    source.stop()
    poll(lambda: not threads("scrape-local"))


def test_a_page_that_hung_is_read_again_as_soon_as_it_answers(silent: Exposition) -> None:
    source = source_of([Endpoint(silent.url, {"app": "shop"})], timeout=0.2)
    source.scrape()
    source.scrape()
    assert "did not arrive within 0.2s" in source.check()[0]
    silent.fault = None
    for _ in range(3):
        source.scrape()
    assert source.check() == ()
    assert len(silent.asked) == 5
    assert source.read(REQUESTS, datetime.now(UTC)).known_parts == {"total"}


def test_a_page_that_hung_and_is_gone_is_asked_no_more_and_no_fault(living: Exposition, silent: Exposition) -> None:
    found = [Endpoint(living.url), *(Endpoint(f"{silent.url}/{number}") for number in range(12))]
    source = source_of(found, timeout=0.3)
    source.start()
    poll(lambda: len(silent.asked) > 12)
    del found[1:]
    rounds(living, 10)
    asked = len(silent.asked)
    rounds(living, 10)
    assert len(silent.asked) == asked
    poll(lambda: source.check() == ())
    source.stop()


def test_a_question_is_dropped_while_the_last_one_of_its_page_has_not_ended() -> None:
    lane, go_on, put = Lane("local"), threading.Event(), []
    for question in ("first", "second"):
        lane.ask("page", lambda question=question: (put.append(question), go_on.wait(10)))  # type: ignore[misc]
    assert lane.is_asking("page")
    assert not lane.end(within=0)
    go_on.set()
    assert lane.end()
    assert put == ["first"]


def test_a_question_that_dies_is_told_and_the_next_one_is_put() -> None:
    lane, put = Lane("local"), []

    def die() -> None:
        raise RuntimeError("a bug")

    with capture_logs() as logs:
        lane.ask("page", die)
        assert lane.end()
    lane.ask("page", lambda: put.append("next"))
    assert lane.end()
    assert put == ["next"]
    assert [(entry["event"], entry["source"]) for entry in logs] == [("scrape.crashed", "local")]
