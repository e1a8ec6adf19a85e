"""From a source's answers to readings: doubt becomes unknown, and one question serves every workload."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.source import Answer, Increases, Levels, Query, Row
from rollbackd.adapters.scrape import Endpoint, Scrape
from rollbackd.controller.config.values import NamedProbe
from rollbackd.controller.observe.probing import Probing
from rollbackd.controller.observe.questions import ProbeQuestion, asks_of
from rollbackd.controller.observe.readings import Observer, SourceHealth
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Counts, Events, Lack, Level, Reading, Unknown
from rollbackd.policies.model.signals import Count, Gauge, Identity, Latency, Matcher, Probe, PromQL, Rate, Ratio, Selector
from tests.exposition import Exposition, Reply, exposing, these
from tests.policies.literals import ERRORS, MINUTE, POLICY, SECOND, T0
from tests.servers import free_port

DELAY = 5 * SECOND
ASKED = T0 - DELAY
BAD = Selector("requests_total", (Matcher("code", "=~", "5.."),))
TOTAL = Selector("requests_total")
FAILED = Selector("failed_total")


class Literal:
    """A source that answers what the test says, and keeps what it was asked."""

    name = "prometheus"
    delay = DELAY
    freshness = 40 * SECOND

    def __init__(self, *replies: Answer | AdapterError) -> None:
        self._replies = replies
        self.asked: list[Query] = []

    def block(self, every: timedelta) -> timedelta:
        return MINUTE

    def read(self, query: Query, at: datetime) -> Answer:
        assert at == ASKED
        self.asked.append(query)
        reply = self._replies[0]
        if isinstance(reply, AdapterError):
            raise reply
        return reply

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        return {}


@pytest.mark.parametrize(
    ("every", "block", "window", "watched", "in_calm"),
    [
        pytest.param(15, 15, 300, 15, 60, id="a-scrape-source"),
        pytest.param(15, 45, 300, 45, 60, id="scrapes-of-10-s"),
        pytest.param(15, 60, 300, 60, 60, id="scrapes-of-15-s-leave-no-gap"),
        pytest.param(15, 60, 110, 110, 110, id="a-block-that-fills-the-window"),
        pytest.param(15, 15, 170, 15, 170, id="such-a-block-in-calm"),
        pytest.param(15, 60, 170, 75, 170, id="two-blocks-that-fill-it"),
        pytest.param(15, 60, 270, 60, 60, id="nearly"),
        pytest.param(60, 60, 110, 110, 110, id="shorter-than-two-slots"),
        pytest.param(15, 60, 30, 60, 60, id="a-window-shorter-than-a-block"),
        pytest.param(35, 35, 300, 35, 70, id="looks-70-s-apart"),
        pytest.param(120, 120, 300, 120, 120, id="looks-as-rare-as-slots"),
    ],
)
@pytest.mark.parametrize("signal", [Count(FAILED), Rate(FAILED)])
def test_numbers_of_events_are_asked_for_without_a_gap_between_looks(signal, every, block, window, watched, in_calm):
    policy = policy_with(signal)
    condition = replace(policy.conditions[0], window=window * SECOND)
    policy = replace(policy, every=every * SECOND, conditions=(condition, replace(condition, signal=Ratio(BAD, TOTAL))))
    for is_calm, expected in ((False, watched), (True, in_calm)):
        number, share = asks_of(policy, block * SECOND, in_calm=is_calm)
        assert (number.group.window, share.group.window) == (expected * SECOND, block * SECOND)


def policy_with(signal: object, name: str = "checkout") -> Policy:
    condition = replace(ERRORS, signal=signal, identity=Identity(("app",), (name,)))  # type: ignore[arg-type]
    return replace(POLICY, name=name, digest=name, conditions=(condition,))


def reading(signal: object, reply: Answer | AdapterError) -> object:
    observer = Observer({"prometheus": Literal(reply)}, lambda _: None)
    (found,) = observer.read([policy_with(signal)], T0)["checkout"]
    observer.close()
    return found


def row(**values: float) -> Answer:
    return Answer({("checkout",): Row(values, ASKED)}, known_parts=frozenset(values))


RATIO = Ratio(BAD, TOTAL)


BEYOND = Unknown(ASKED, Lack.ERROR, "9.0072e+15 events were counted: beyond 2^53 single events are not told apart")


@pytest.mark.parametrize(
    ("signal", "reply", "expected"),
    [
        pytest.param(RATIO, row(bad=3.0, total=60.0), Counts(ASKED - MINUTE, ASKED, 3.0, 3.0, 60.0, ASKED), id="ratio"),
        pytest.param(RATIO, row(total=60.0), Counts(ASKED - MINUTE, ASKED, 0.0, 0.0, 60.0, ASKED), id="no-error-series-yet-is-no-errors"),
        pytest.param(
            Latency(Selector("h"), 0.95, 2.0),
            row(least=1.0, most=9.0, total=60.0, low=1.0, high=2.5),
            Counts(ASKED - MINUTE, ASKED, 1.0, 9.0, 60.0, ASKED, 1.0, 2.5),
            id="latency",
        ),
        pytest.param(Count(FAILED), row(events=0.0), Events(ASKED - MINUTE, ASKED, 0.0, ASKED), id="an-increase-of-zero-is-data"),
        pytest.param(Gauge(TOTAL), row(value=0.97), Level(ASKED, 0.97, ASKED), id="gauge"),
        pytest.param(PromQL("x"), row(value=1.0), Level(ASKED, 1.0, ASKED), id="promql"),
    ],
)
def test_an_answer_becomes_a_reading(signal, reply, expected):
    assert reading(signal, reply) == expected


STALE = Answer({("checkout",): Row({"bad": 9.0, "total": 9.0}, ASKED - MINUTE)})
TWICE = Answer({}, faults={("checkout",): "two series for one workload"})


@pytest.mark.parametrize(
    ("signal", "reply", "expected"),
    [
        pytest.param(RATIO, Answer({}), Unknown(ASKED, Lack.NODATA, "no series with a finite value for this workload"), id="empty-answer"),
        pytest.param(RATIO, row(bad=3.0), Unknown(ASKED, Lack.NODATA, "no series for the total"), id="errors-without-a-total"),
        pytest.param(
            Ratio(FAILED, TOTAL),
            row(total=60.0),
            Unknown(ASKED, Lack.NODATA, "no series of failed_total anywhere: it may be misspelt"),
            id="misspelt",
        ),
        pytest.param(RATIO, STALE, Unknown(ASKED, Lack.NODATA, "stale: the newest sample is from 13:58:55"), id="stale"),
        pytest.param(RATIO, TWICE, Unknown(ASKED, Lack.ERROR, "two series for one workload"), id="two-series"),
        pytest.param(
            RATIO,
            row(bad=-3.0, total=60.0),
            Unknown(ASKED, Lack.ERROR, "-3 events were counted: what falls below zero is no counter"),
            id="a-counter-below-zero",
        ),
        pytest.param(RATIO, row(bad=math.nan, total=60.0), Unknown(ASKED, Lack.ERROR, "the events counted are no number"), id="no-number"),
        pytest.param(RATIO, row(bad=0.0, total=2.0**53), Counts(ASKED - MINUTE, ASKED, 0.0, 0.0, 2.0**53, ASKED), id="as-many-as-can-be-counted"),
        pytest.param(RATIO, row(bad=0.0, total=2.0**53 + 2), BEYOND, id="more-in-all-than-can-be-counted"),
        pytest.param(RATIO, row(bad=2.0**53 + 2, total=60.0), BEYOND, id="more-bad-ones-than-can-be-counted"),
        pytest.param(Latency(FAILED, 0.95, 2.0), row(least=1.0, most=9.0, total=2.0**53 + 2), BEYOND, id="more-requests-than-can-be-counted"),
        pytest.param(Latency(FAILED, 0.95, 2.0), row(least=1.0, most=2.0**53 + 2, total=60.0), BEYOND, id="more-slow-ones-than-can-be-counted"),
        pytest.param(Count(FAILED), row(events=2.0**53 + 2), BEYOND, id="more-events-than-can-be-counted"),
        pytest.param(RATIO, Transient("refused"), Unknown(ASKED, Lack.ERROR, "refused"), id="source-down"),
        pytest.param(Gauge(TOTAL), row(), Unknown(ASKED, Lack.NODATA, "no finite value"), id="nan"),
    ],
)
def test_doubt_becomes_unknown(signal, reply, expected):
    assert reading(signal, reply) == expected


def test_one_question_serves_every_workload_of_a_signal():
    source = Literal(Answer({}))
    observer = Observer({"prometheus": source}, lambda _: None)
    observer.read([policy_with(RATIO, name) for name in ("a", "b", "c")], T0)
    observer.close()
    (asked,) = source.asked
    assert asked.only == frozenset({("a",), ("b",), ("c",)})


def test_a_source_that_fails_is_known_to_be_down_until_it_answers_again():
    source = Literal(Transient("refused"))
    observer = Observer({"prometheus": source}, lambda _: None)
    observer.read([policy_with(RATIO)], T0)
    assert observer.health["prometheus"].fault == "refused"
    source._replies = (Answer({}),)
    observer.read([policy_with(RATIO)], T0)
    observer.close()
    assert observer.health["prometheus"].fault is None
    assert observer.health["prometheus"].seen == ASKED


class HalfDeaf(Literal):
    """A source that answers every query but those of one kind."""

    def __init__(self, deaf_to: type[Query]) -> None:
        super().__init__(Answer({}))
        self._deaf_to = deaf_to

    def read(self, query: Query, at: datetime) -> Answer:
        if isinstance(query, self._deaf_to):
            raise Permanent("422: too many samples")
        return super().read(query, at)


@pytest.mark.parametrize("deaf_to", [pytest.param(Increases, id="the-first"), pytest.param(Levels, id="the-last")])
def test_a_source_one_of_whose_queries_always_fails_is_known_to_be_at_fault(deaf_to):
    ratio, gauge = policy_with(RATIO, "a"), policy_with(Gauge(TOTAL), "b")
    observer = Observer({"prometheus": HalfDeaf(deaf_to)}, lambda _: None)
    observer.read([ratio, gauge], T0)
    observer.close()
    assert observer.health["prometheus"].fault == "422: too many samples"


def test_a_probe_reads_as_the_share_of_endpoints_that_fail():
    closed = f"tcp://127.0.0.1:{free_port()}"
    probing = Probing({"edge": NamedProbe((closed,), 2 * SECOND)}, {})
    observer = Observer({"prometheus": Literal(Answer({}))}, probing)
    (found,) = observer.read([policy_with(Probe(name="edge"))], T0)["checkout"]
    observer.close()
    assert found == Level(ASKED, 1.0, ASKED)


def test_a_probe_of_the_target_itself_asks_the_addresses_of_its_replicas():
    port = free_port()
    probing = Probing({}, {"kubernetes": lambda key: ["127.0.0.1"]})
    assert probing(ProbeQuestion(None, port, "/healthz", "kubernetes:default/shop/deployment/checkout")) == 1.0


def test_a_target_without_replicas_has_no_share():
    probing = Probing({}, {"kubernetes": lambda key: []})
    assert probing(ProbeQuestion(None, 80, "/", "kubernetes:default/shop/deployment/checkout")) is None


def test_a_probe_that_nobody_configured_says_what_to_do():
    with pytest.raises(Permanent, match="add it under probes:"):
        Probing({}, {})(ProbeQuestion("edge", None, None, "command:shop"))


def scraped(page: Exposition, *texts: str | None) -> tuple[Reading, SourceHealth]:
    """What is read, and the source's health, once its only page showed these every 15 s; None: HTTP 500."""
    clock = [T0]
    source = Scrape("prometheus", these(Endpoint(page.url, {"app": "checkout"})), interval=15 * SECOND, now=lambda: clock[0])
    observer = Observer({"prometheus": source}, lambda _: None)
    for number, text in enumerate(texts):
        clock[0] = T0 + number * 15 * SECOND
        page.fault = Reply(status=500) if text is None else Reply(body=text.encode())
        source.scrape()
    (found,) = observer.read([policy_with(RATIO)], clock[0])["checkout"]
    observer.close()
    source.stop()
    return found, observer.health["prometheus"]


def test_a_scrape_source_whose_only_page_fails_is_down_and_says_why() -> None:
    with exposing() as page:
        found, health = scraped(page, "a 1\n", "a 1\n", None, None, None, None)
    assert isinstance(found, Unknown)
    assert found.lack is Lack.ERROR
    assert "HTTP 500" in found.why
    assert health.fault == found.why


def test_a_scrape_source_whose_page_fails_once_is_up() -> None:
    with exposing() as page:
        _, health = scraped(page, "a 1\n", "a 1\n", None)
    assert health.fault is None


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-40000"])
def test_scraped_errors_that_no_counter_can_show_are_unknown_and_name_the_series(odd: str) -> None:
    looks = [f'{TOTAL.metric}{{code="200"}} {100 * n}\n{TOTAL.metric}{{code="500"}} {odd if n > 2 else 0}\n' for n in range(6)]
    with exposing() as page:
        found, health = scraped(page, *looks)
    assert isinstance(found, Unknown)
    assert (found.lack, health.fault) == (Lack.ERROR, None)
    assert 'code="500"' in found.why
