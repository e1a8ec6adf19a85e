"""What every metric source promises, whatever it reads. Each is asked for a workload that is there and one that nobody has seen."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.aws.cloudwatch import CloudWatch
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Expression, Identity, Increases, Matcher, Selector, Source
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.adapters.scrape.given import Given, Shown
from rollbackd.controller.observe.questions import Ask
from rollbackd.controller.observe.readings import readings_at
from rollbackd.policies.model.readings import Counts, Unknown
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.aws.servers import REGION, aws, hand

MINUTE = timedelta(minutes=1)
STEP = timedelta(seconds=15)
BEGIN = datetime.fromtimestamp(START, UTC)
SHOP, SICK, NOBODY = ("shop",), ("sick",), ("nobody",)


@dataclass(frozen=True)
class Stage:
    """A source in which ``shop`` has ten requests in each minute before ``at``, two of them bad; ``sick``, where there, has bad ones that are NaN."""

    source: Source
    at: datetime
    words: tuple[Matcher, ...] = ()

    def question(self, window: timedelta = MINUTE) -> Increases:
        parts = (("bad", Selector("bad_total", self.words)), ("total", Selector("requests_total", self.words)))
        return Increases(parts, window, Identity(("app",)), frozenset({SHOP, NOBODY}))


def _grown(name: str, each: float, times: int, app: str = "shop") -> dict[str, float]:
    return {f'{name}{{app="{app}"}}': each * times}


def prometheus(request: pytest.FixtureRequest) -> Iterator[Stage]:
    bad, total = growing(2 / 60), growing(10 / 60)
    past = [series("bad_total", {"app": "shop"}, bad), series("bad_total", {"app": "sick"}, [(second, math.nan) for second, _ in bad])]
    past += [series("requests_total", {"app": app}, total) for app in ("shop", "sick")]
    with servers.prometheus_with_history(document(*past)) as server:
        yield Stage(Prometheus("prometheus", server.url), BEGIN + timedelta(minutes=9))


def scrape(request: pytest.FixtureRequest) -> Iterator[Stage]:
    def shown(n: int) -> dict[str, float]:
        requests = _grown("requests_total", 2.5, n) | _grown("requests_total", 2.5, n, "sick")
        return _grown("bad_total", 0.5, n) | _grown("bad_total", math.nan, n, "sick") | requests

    pages = [Shown(BEGIN + n * STEP, shown(n)) for n in range(41)]
    yield Stage(Given("scrape", [pages], interval=STEP), BEGIN + timedelta(minutes=9))


def cloudwatch(request: pytest.FixtureRequest) -> Iterator[Stage]:
    request.getfixturevalue("aws_keys")
    url = request.getfixturevalue("ministack").url
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    client = hand(url, "cloudwatch")
    for name, each in (("bad_total", 2.0), ("requests_total", 10.0)):
        data = [
            {"MetricName": name, "Dimensions": [{"Name": "app", "Value": "shop"}], "Timestamp": at - n * MINUTE, "Value": each} for n in range(1, 9)
        ]
        client.put_metric_data(Namespace="Contract", MetricData=data)
    caller = aws(url).caller("prod", REGION, CLOUDWATCH, asker="cloudwatch")
    yield Stage(CloudWatch("cloudwatch", caller, lambda keys, names, at: {}), at, (Matcher("namespace", "=", "Contract"),))


@pytest.fixture(params=[prometheus, scrape, cloudwatch], ids=lambda stage: stage.__name__)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    make: Callable[[pytest.FixtureRequest], Iterator[Stage]] = request.param
    yield from make(request)


def test_a_workload_is_counted_and_one_without_series_has_no_row(stage: Stage) -> None:
    answer = stage.source.read(stage.question(), stage.at)
    assert set(answer.rows) == {SHOP}
    assert answer.rows[SHOP].values == pytest.approx({"bad": 2.0, "total": 10.0})
    assert answer.faults == {}
    assert stage.at - stage.source.freshness <= answer.rows[SHOP].newest <= stage.at


@pytest.mark.parametrize("stage", [prometheus, scrape], indirect=True, ids=lambda stage: stage.__name__)  # CloudWatch keeps no such number
def test_bad_events_that_are_no_number_are_not_counted_as_none(stage: Stage) -> None:
    question = stage.question()
    at = stage.at + stage.source.delay
    shop, sick = readings_at(stage.source, lambda _: None, (Ask(question, SHOP), Ask(question, SICK)), at)
    assert isinstance(shop, Counts)
    assert isinstance(sick, Unknown)


def test_what_was_counted_ends_no_later_than_asked_and_is_as_long_as_asked(stage: Stage) -> None:
    counted = stage.source.read(stage.question(), stage.at + timedelta(seconds=7)).rows[SHOP].counted
    assert counted is None or (counted[1] <= stage.at and counted[1] - counted[0] == MINUTE)


def test_history_is_what_was_read_at_each_instant(stage: Stage) -> None:
    instants = [stage.at - n * 2 * STEP for n in range(8, -1, -1)]
    found = stage.source.read_history(stage.question(), instants)
    assert dict(found) == {at: stage.source.read(stage.question(), at) for at in instants}


def test_a_block_is_a_whole_multiple_of_the_interval(stage: Stage) -> None:
    for every in (timedelta(seconds=1), STEP, timedelta(seconds=45), MINUTE, timedelta(minutes=5)):
        block = stage.source.block(every)
        assert block > timedelta(0)
        assert block % every == timedelta(0)


def test_a_question_for_no_workload_is_answered_by_nothing(stage: Stage) -> None:
    assert stage.source.read(replace(stage.question(), only=frozenset()), stage.at).rows == {}
    assert not any(answer.rows for answer in stage.source.read_history(replace(stage.question(), only=frozenset()), [stage.at]).values())


def test_an_expression_is_answered_or_refused_with_what_to_write_instead(stage: Stage) -> None:
    query = Expression("sum by (app) (requests_total)", Identity(("app",)), frozenset({SHOP}))
    if isinstance(stage.source, Prometheus):
        assert set(stage.source.read(query, stage.at).rows) == {SHOP}
        return
    with pytest.raises(Permanent, match="write the signal as ratio, latency, gauge, count or rate"):
        stage.source.read(query, stage.at)
