"""Series that are born inside a block: what a real Prometheus is asked counts them as the scrape source does, and never what is older."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.source import Identity, Increases, Matcher, Selector, Slower
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.adapters.scrape.given import Given, Shown
from tests import servers
from tests.adapters.openmetrics import START
from tests.remote_write import FLAGS, Plain, push

LAST = 7200
BLOCK = 60
SCRAPE = timedelta(seconds=15)
GONE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""What Prometheus writes where a series is not there any more."""
APP = Identity(("app",))
OLD = dict.fromkeys(range(0, LAST + 1, 15), 1000000.0)
UP = range(0, LAST + 1, 15)


@dataclass(frozen=True, slots=True)
class Target:
    """A target that was scraped at ``scrapes``, in vain at ``failed``. ``series``: what each page showed, by second, under its labels."""

    instance: str
    series: Sequence[tuple[Mapping[str, str], Mapping[int, float]]]
    scrapes: Sequence[int] = UP
    failed: Sequence[int] = ()
    labels: Mapping[str, str] | None = None


def requests(app: str, code: str, values: Mapping[int, float], **more: str) -> tuple[Mapping[str, str], Mapping[int, float]]:
    return {"__name__": "requests_total", "app": app, "code": code, **more}, values


def healthy(app: str, first: int = 0) -> tuple[Mapping[str, str], Mapping[int, float]]:
    return requests(app, "200", {second: 10.0 * (second - first) for second in range(first, LAST + 1, 15)})


def started(app: str, second: int, first: int) -> tuple[Mapping[str, str], Mapping[int, float]]:
    return {"__name__": "process_start_time_seconds", "app": app}, {at: float(START + second) for at in range(first, LAST + 1, 15)}


BORN = {7170: 37.0, 7185: 40.0, 7200: 45.0}
BACK = {7155: 1e6, 7170: 1e6 + 3, 7185: 1e6 + 6, 7200: 1e6 + 9}
YOUNG = range(7155, LAST + 1, 15)
SLOWLY = range(0, LAST + 1, 60)
TARGETS = (
    Target("born:1", [healthy("born"), requests("born", "500", BORN)]),
    Target("once:1", [healthy("once"), requests("once", "500", {7200: 37.0})]),
    Target("restarts:1", [healthy("restarts"), requests("restarts", "500", {7170: 37.0, 7185: 5.0, 7200: 9.0})]),
    Target("grown:1", [healthy("grown"), requests("grown", "500", {second: second / 15 for second in UP})]),
    Target("outage:1", [requests("outage", "500", BACK)], scrapes=[*range(0, 6601, 15), *YOUNG]),
    Target("failed:1", [requests("failed", "500", {**OLD, **BACK})], failed=[7140]),
    Target("returned:1", [healthy("returned"), requests("returned", "500", {**dict.fromkeys(range(0, 3601, 15), 1000000.0), **BACK})]),
    Target(
        "renamed:1",
        [requests("renamed", "500", dict.fromkeys(range(0, 7141, 15), 1000000.0), path="/a"), requests("renamed", "500", BACK, route="/a")],
    ),
    Target("labelled:1", [requests("labelled", "500", dict.fromkeys(range(0, 7141, 15), 1000000.0))], scrapes=range(0, 7141, 15)),
    Target("labelled:1", [requests("labelled", "500", BACK, team="a")], scrapes=YOUNG, labels={"team": "a"}),
    Target(
        "pod:1", [healthy("pod", 7155), started("pod", 7150, 7155), requests("pod", "500", {7155: 12, 7170: 20, 7185: 25, 7200: 30})], scrapes=YOUNG
    ),
    Target("slow:1", [requests("slow", "200", dict(zip(SLOWLY, SLOWLY, strict=True))), requests("slow", "500", {7200: 37.0})], scrapes=SLOWLY),
    Target("left:1", [requests("left", "500", dict.fromkeys(range(0, 7126, 15), 1000000.0))]),
    Target("old:1", [started("old", 60, 7155), requests("old", "500", BACK)], scrapes=YOUNG),
)


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus(flags=FLAGS) as server:
        push(server.url, [one for target in TARGETS for one in written(target)])
        yield Prometheus("main", server.url)


def written(target: Target) -> Iterator[tuple[Mapping[str, str], Sequence[Plain]]]:
    """What a Prometheus that scraped the target has written."""
    own = {"job": "shop", "instance": target.instance}
    pace = 60 if target.scrapes is SLOWLY else 15
    ends = [second + pace for second in target.scrapes if second + pace not in target.scrapes and second < LAST]
    gone = [Plain(START + second, GONE) for second in ends if second != 6615]  # an outage of Prometheus leaves no mark
    up = [Plain(START + second, float(second not in target.failed)) for second in target.scrapes]
    yield {"__name__": "up", **own, **(target.labels or {})}, sorted([*up, *gone], key=lambda one: one.second)
    for labels, values in target.series:
        held = {second: values[second] for second in target.scrapes if second in values and second not in target.failed}
        marks = {second + pace: GONE for second in held if second + pace in target.scrapes and second + pace not in held}
        yield {**labels, **own}, [Plain(START + second, value) for second, value in sorted([*held.items(), *marks.items()])]


def errors(*apps: str) -> Increases:
    """The errors among the requests."""
    total = Selector("requests_total")
    return Increases((("bad", Selector("requests_total", FIVE)), ("total", total)), timedelta(seconds=BLOCK), APP, frozenset((app,) for app in apps))


FIVE = (Matcher("code", "=", "500"),)


def events(*apps: str) -> Increases:
    """The errors, as a number of events."""
    return Increases((("events", Selector("requests_total", FIVE)),), timedelta(seconds=BLOCK), APP, frozenset((app,) for app in apps))


def at(second: float) -> datetime:
    return datetime.fromtimestamp(START + second, UTC)


@pytest.mark.parametrize(
    ("app", "bad"),
    [
        pytest.param("born", 45, id="all-it-counted-once-it-is-there"),
        pytest.param("once", 37, id="seen-by-one-scrape"),
        pytest.param("restarts", 37, id="interrupted-by-a-restart"),
        pytest.param("grown", 4, id="born-long-ago"),
        pytest.param("pod", 30, id="of-a-process-younger-than-the-block"),
    ],
)
def test_what_a_newborn_series_counted_is_counted(source: Prometheus, app: str, bad: float) -> None:
    assert source.read(errors(app), at(LAST)).rows[(app,)].values["bad"] == pytest.approx(bad)


@pytest.mark.parametrize("app", ["outage", "failed", "returned", "renamed", "labelled", "old"])
@pytest.mark.parametrize("ask", [errors, events], ids=["share", "events"])
def test_what_comes_back_with_an_old_total_was_not_born(source: Prometheus, app: str, ask) -> None:  # type: ignore[no-untyped-def]  # one of two
    row = source.read(ask(app), at(LAST)).rows.get((app,))
    assert row is None or max(row.values.values()) < 1000


def test_with_one_scrape_in_a_block_the_newborn_are_not_all_that_is_counted(source: Prometheus) -> None:
    """Nothing that was there before has an increase then: the first errors of a healthy service would be all of its requests."""
    row = source.read(errors("slow"), at(LAST + 5)).rows.get(("slow",))
    assert row is None or row.values.get("bad", 0) == 0


def test_events_are_believed_of_a_target_that_was_seen_without_them_and_not_of_a_new_process(source: Prometheus) -> None:
    rows = source.read(events("born", "pod"), at(LAST)).rows
    assert rows[("born",)].values == {"events": 45}
    assert rows[("pod",)].values["events"] <= 24  # 18 were seen to be added in 45 seconds


def test_a_newborn_series_is_counted_in_the_block_of_its_birth_alone(source: Prometheus) -> None:
    history = source.read_history(errors("born"), [at(second) for second in range(7155, LAST + 1, 15)])
    assert [row.values.get("bad", 0) for row in (answer.rows[("born",)] for answer in history.values())] == [0, 37, 40, 45]
    assert source.read(errors("born"), at(7230)).rows[("born",)].values["bad"] < 45


@pytest.mark.parametrize("ask", [errors, events], ids=["share", "events"])
def test_a_long_history_counts_as_each_look_by_itself(source: Prometheus, ask) -> None:  # type: ignore[no-untyped-def]  # one of two
    apps = sorted({labels["app"] for target in TARGETS for labels, _ in target.series})
    instants = [at(second) for second in range(5400, LAST + 16, 15)]
    looks = {instant: source.read(ask(*apps), instant).rows for instant in instants}
    for app in apps:
        found = source.read_history(ask(app), instants)
        assert [found[instant].rows.get((app,)) for instant in instants] == [looks[instant].get((app,)) for instant in instants]


def test_a_long_history_is_asked_for_whole_only_where_something_was_born(source: Prometheus) -> None:
    instants, before = [at(second) for second in range(2715, LAST + 1, 15)], source.asked
    source.read_history(errors("grown"), instants)
    assert source.asked - before == 1
    source.read_history(errors("born"), instants)
    assert source.asked - before == 3


@pytest.mark.parametrize("app", ["born", "once", "grown", "returned"])
def test_pages_that_are_read_directly_count_the_same(source: Prometheus, app: str) -> None:
    found = [shown(target) for target in TARGETS if any(labels["app"] == app for labels, _ in target.series)]
    pages = Given("page", found, interval=SCRAPE)
    exact, theirs = (one.read(errors(app), at(LAST)).rows[(app,)].values for one in (pages, source))
    assert theirs == pytest.approx({**dict(exact)}, rel=0.4)  # a Prometheus stretches what had been there before
    assert theirs["bad"] == pytest.approx(exact["bad"], abs=0.001 if app in ("born", "once") else 4)


def shown(target: Target) -> list[Shown]:
    def page(second: int) -> dict[str, float]:
        return {named(labels): values[second] for labels, values in target.series if second in values}

    return [Shown(at(second), page(second)) for second in target.scrapes if second not in target.failed]


def named(labels: Mapping[str, str]) -> str:
    """The series as the exposition format writes it."""
    return labels["__name__"] + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items() if label != "__name__") + "}"


def test_the_buckets_of_a_newborn_histogram_are_counted_alike() -> None:
    layout = {"1": {7170: 30.0, 7185: 31.0, 7200: 32.0}, "2": {7170: 35.0, 7185: 37.0, 7200: 39.0}, "+Inf": {7170: 37.0, 7185: 40.0, 7200: 45.0}}
    buckets = [({"__name__": "seconds_bucket", "app": "slow", "le": bound}, values) for bound, values in layout.items()]
    with servers.prometheus(flags=FLAGS) as server:
        push(server.url, list(written(Target("slow:1", buckets))))
        query = Slower(Selector("seconds"), 2.0, timedelta(seconds=BLOCK), APP, frozenset({("slow",)}))
        row = Prometheus("main", server.url).read(query, at(LAST)).rows[("slow",)]
    assert row.values == {"total": 45, "most": 6, "least": 6, "low": 2, "high": 2}


def test_it_says_which_newborn_series_count(source: Prometheus) -> None:
    assert source.births(at(LAST)) == "newborn series count in full; 2 processes tell when they started, of 13 targets"
    assert source.births(at(6900)).startswith("newborn series count in full on targets scraped before")
    assert source.births(at(-10)).startswith("newborn series lose their first value")
