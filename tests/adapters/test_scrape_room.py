"""At the limit of series: what has departed makes room for what lives, and what it told is unknown from then on, never a smaller number."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.source import Answer, Identity, Increases, Levels, Query, Row, Selector, Slower
from rollbackd.adapters.scrape import Endpoint, Scrape
from rollbackd.adapters.scrape.answer import Asked, answer
from rollbackd.adapters.scrape.lost import without
from rollbackd.adapters.scrape.page import Sample
from rollbackd.adapters.scrape.ring import Ring
from tests.exposition import Exposition, exposing

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BY_APP = Identity(("app",))
SHOP, ZOO = ("shop",), ("zoo",)


class Town:
    """Pods that come and go, each a page of two series, read every 5 s by a source that keeps ``max_series``."""

    def __init__(self, pages: Mapping[str, Exposition], max_series: int) -> None:
        self.pages = pages
        self.clock = T0
        self.found: list[Endpoint | AdapterError] = []
        self.source = Scrape("local", lambda: self.found, interval=5 * SECOND, now=lambda: self.clock, max_series=max_series)

    def scrape(self, second: float, **pods: int) -> None:
        """At this second there are these pods, which have counted so many requests; the first letter of a pod says whose it is."""
        self.found = [Endpoint(self.pages[pod].url, {"app": "zoo" if pod.startswith("z") else "shop"}) for pod in pods]
        for pod, count in pods.items():
            self.pages[pod].text = f"requests_total {count}\nused {count}\n"
        self.look(second)

    def look(self, second: float) -> None:
        self.clock = T0 + second * SECOND
        self.source.scrape()

    def read(self, query: Query, second: float) -> Answer:
        return self.source.read(query, T0 + second * SECOND)


@pytest.fixture
def pages() -> Iterator[dict[str, Exposition]]:
    with ExitStack() as stack:
        yield {pod: stack.enter_context(exposing()) for pod in ("a", "b", "c", "z")}


def requests(window: float) -> Increases:
    return Increases((("total", Selector("requests_total")),), window * SECOND, BY_APP, frozenset({SHOP, ZOO}))


def used(pick: str = "sum") -> Levels:
    return Levels(Selector("used"), None, pick, BY_APP, frozenset({SHOP, ZOO}))  # type: ignore[arg-type]


def counted(answer: Answer) -> dict[str, float]:
    return {key[0]: row.values["total"] for key, row in answer.rows.items()}


def test_pods_of_a_rollout_are_counted_though_those_before_them_filled_the_ring(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=4)
    town.scrape(0, a=10, b=10)
    town.scrape(5, b=20, c=0)
    town.scrape(10, c=7, z=0)
    town.scrape(15, c=9, z=4)
    assert town.source.check() == ()
    assert counted(town.read(requests(5), 15)) == {"shop": 2, "zoo": 4}


def test_who_left_first_makes_room_first(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=6)
    town.scrape(0, z=10, a=10, b=10)
    town.scrape(5, a=10, b=13)
    town.scrape(10, b=19, c=0)
    answer = town.read(requests(5), 5)
    assert answer.rows == {SHOP: Row({"total": 3}, T0 + 5 * SECOND)}
    assert set(answer.faults) == {ZOO}


def test_a_pod_that_lives_makes_no_room(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=4)
    town.scrape(0, a=0, b=0)  # before c: in one round nobody knows which of them is first
    town.scrape(10, a=10, b=0, c=0)
    (fault,) = town.source.check()
    assert fault.startswith(f"{pages['c'].address} was not scraped: with its 2 new series there were more than 4")
    assert counted(town.read(requests(10), 10)) == {"shop": 10}


def test_nothing_is_let_go_where_that_makes_too_little_room(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=5)
    town.scrape(0, a=10, z=10)
    town.scrape(5, a=11, z=12)
    pages["c"].text = "".join(f"x{number} 1\n" for number in range(4))
    town.found = [Endpoint(pages["a"].url, {"app": "shop"}), Endpoint(pages["c"].url, {"app": "shop"})]
    town.look(10)
    assert "more than 5" in town.source.check()[0]
    assert counted(town.read(requests(5), 5)) == {"shop": 1, "zoo": 2}


def test_what_made_room_is_unknown_where_it_would_be_counted_and_no_smaller_sum(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=4)
    town.scrape(0, a=0, b=0)
    town.scrape(5, a=100, b=1)
    town.scrape(10, b=2)
    assert counted(town.read(requests(9), 10)) == {"shop": 102}
    town.scrape(15, b=4, c=0)
    answer = town.read(requests(11), 15)
    assert answer.rows == {}
    assert answer.faults == {
        SHOP: "what endpoints that left by 12:00:05 had told made room for living ones; the workload is unknown while that is part of its window; "
        "raise max_series or expose fewer"
    }
    assert counted(town.read(requests(9), 15)) == {"shop": 3}


def test_a_level_that_what_made_room_was_part_of_is_unknown(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=4)
    town.scrape(0, a=50, b=1)
    assert town.read(used(), 0).rows == {SHOP: Row({"value": 51}, T0)}
    town.scrape(5, b=1, c=2)
    for second in (0, 5):
        assert (town.read(used(), second).rows, set(town.read(used(), second).faults)) == ({}, {SHOP})
    town.scrape(25, b=1, c=2)
    assert town.read(used(), 25).rows == {SHOP: Row({"value": 3}, T0 + 25 * SECOND)}


def test_metrics_that_what_made_room_did_not_have_stay_known(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=5)
    town.scrape(0, a=0, b=0)
    pages["c"].text = "served_total 1\n"
    town.found = [Endpoint(pages[pod].url, {"app": "shop"}) for pod in ("b", "c")]
    town.look(5)
    town.scrape(7, b=0, z=0)
    query = Slower(Selector("seconds"), 1.0, 5 * SECOND, BY_APP, frozenset({SHOP}))
    assert town.read(query, 7) == Answer({})
    assert set(town.read(requests(9), 7).faults) == {SHOP}


def test_a_pod_that_comes_back_after_it_made_room_is_counted_from_its_return(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=4)
    town.scrape(0, a=0, b=0)
    town.scrape(5, b=0, c=0)
    town.scrape(10, a=70, b=1)
    assert (counted(town.read(requests(6), 10)), set(town.read(requests(6), 10).faults)) == ({}, {SHOP})
    town.scrape(16, a=72, b=2)
    assert counted(town.read(requests(5), 16)) == {"shop": 3}


def test_pods_whose_name_cannot_be_resolved_make_room_only_once_they_are_stale(pages: dict[str, Exposition]) -> None:
    town = Town(pages, max_series=2)
    town.scrape(0, a=0)
    town.found = [Endpoint(pages["z"].url, {"app": "zoo"}), Transient("the name shop cannot be resolved")]
    pages["z"].text = "requests_total 1\nused 1\n"
    town.look(19)
    assert "more than 2" in town.source.check()[1]
    town.look(21)
    assert town.source.check() == ("the name shop cannot be resolved",)


def test_an_endpoint_that_left_without_being_scraped_is_forgotten() -> None:
    ring, endpoint = Ring(retention=60, max_series=10), Endpoint("http://127.0.0.1:9/metrics")
    (silent,) = ring.gather([endpoint], 0)
    assert ring.gather([endpoint], 5) == [silent]
    ring.gather([], 10)
    assert ring.gather([endpoint], 15) != [silent]


# Whatever happens


PODS = [Endpoint(f"http://127.0.0.1/{number}", {"app": "zoo" if number > 3 else "shop"}) for number in range(6)]
ROUNDS = st.lists(st.dictionaries(st.integers(0, 5), st.integers(0, 9), max_size=3), min_size=2, max_size=14)


def told(ring: Ring, rounds: list[dict[int, int]]) -> Ring:
    """The ring after these rounds, 5 s apart, in each of which there were these pods, which had counted so much since they were last seen."""
    counts = dict.fromkeys(range(6), 0)
    for number, round_ in enumerate(rounds):
        for track, (pod, more) in zip(ring.gather([PODS[pod] for pod in round_], 5.0 * number), round_.items(), strict=True):
            counts[pod] += more
            samples = [Sample("requests_total", counts[pod], None), Sample("used", more, None)]
            ring.take(track, samples, track.unknown(samples), 5.0 * number)
    return ring


@settings(max_examples=300, deadline=None)
@given(ROUNDS, st.integers(0, 70), st.one_of(st.integers(1, 40).map(requests), st.sampled_from(["sum", "max", "min", "avg"]).map(used)))
def test_what_is_told_at_the_limit_is_what_is_told_without_one(rounds: list[dict[int, int]], moment: int, query: Query) -> None:
    full, free = (told(Ring(retention=2700, max_series=limit), rounds) for limit in (6, 1000))
    at_limit, without_limit = (
        without(ring.lost, answer(query, asked), query, asked) for ring in (full, free) for asked in [Asked(ring, moment + 0.5, 12.5, 20)]
    )
    for key, row in at_limit.rows.items():
        assert row.values == without_limit.rows[key].values
    assert without_limit.faults == {}
