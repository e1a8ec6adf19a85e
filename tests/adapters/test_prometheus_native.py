"""Native histograms in a real Prometheus, beside classic ones: the same questions, the same rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.source import Answer, Derived, Identity, Row, Selector, Slower
from rollbackd.adapters.prometheus import Prometheus
from tests import servers
from tests.adapters.openmetrics import START
from tests.remote_write import FLAGS, Native, Plain, push

AT = datetime.fromtimestamp(START + 600, UTC)
MINUTE = timedelta(minutes=1)
APP = Identity(("app",))
WORKLOAD = Identity(("workload",), Derived("workload", "pod", r"(.+)-[a-z0-9]{6,10}-[a-z0-9]{5}"))


def evenly(*per_second: int, first: int = 0, schema: int = 0) -> list[Native]:
    """A histogram that grows evenly; of schema 0 the buckets from number 0 on end at 1, 2, 4, 8."""
    return [Native(START + second, [rate * second for rate in per_second], first, schema) for second in range(0, 601, 15)]


def classic(app: str, pod: str, rates: dict[str, int]) -> list[tuple[dict[str, str], list[Plain]]]:
    labels = {"__name__": "seconds_bucket", "app": app, "pod": pod}
    return [({**labels, "le": le}, [Plain(START + second, rate * second) for second in range(0, 601, 15)]) for le, rate in rates.items()]


RATES = {"1": 5, "2.5": 8, "+Inf": 10}


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus(flags=FLAGS) as server:
        series: list[tuple[dict[str, str], Sequence[Native | Plain]]] = [
            ({"__name__": "seconds", "app": "checkout", "pod": "checkout-5d4f8c7b9-abcde"}, evenly(5, 3, 1, 1)),
            ({"__name__": "seconds", "app": "checkout", "pod": "checkout-5d4f8c7b9-fghij"}, evenly(5, 3, 1, 1)),
            ({"__name__": "seconds", "app": "finer", "pod": "finer-5d4f8c7b9-abcde"}, evenly(4, 4, 2, first=23, schema=3)),
            ({"__name__": "seconds", "app": "idle", "pod": "idle-5d4f8c7b9-abcde"}, evenly(0)),
        ]
        # Scraped as both, as while people move from one to the other; and one pod of each.
        series += [({"__name__": "seconds", "app": "both", "pod": "p"}, evenly(5, 3, 1, 1)), *classic("both", "p", RATES)]
        series += [({"__name__": "seconds", "app": "moving", "pod": "new"}, evenly(5, 3, 1, 1)), *classic("moving", "old", RATES)]
        series += [({"__name__": "seconds", "app": "old", "quantile": "0.5"}, [Plain(START + 600, 0.3)]), *classic("old", "p", RATES)]
        push(server.url, series)
        yield Prometheus("main", server.url)


def slower(limit: float, *apps: str, identity: Identity = APP, metric: str = "seconds") -> Slower:
    return Slower(Selector(metric), limit, MINUTE, identity, frozenset((app,) for app in apps))


def values(answer: Answer) -> dict[str, dict[str, float]]:
    return {key[0]: dict(row.values) for key, row in answer.rows.items()}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(2.0, {"total": 1200.0, "most": 240.0, "least": 240.0, "low": 2.0, "high": 2.0}, id="where-a-bucket-ends"),
        pytest.param(3.0, {"total": 1200.0, "most": 240.0, "least": 120.0, "low": 2.0, "high": 4.0}, id="inside-a-bucket"),
        pytest.param(60.0, {"total": 1200.0, "most": 0.0, "least": 0.0, "low": 60.0, "high": 60.0}, id="above-all-observations"),
    ],
)
def test_slow_requests_are_bracketed_by_the_native_buckets_around_the_limit(source: Prometheus, limit: float, expected: dict[str, float]) -> None:
    assert source.read(slower(limit, "checkout"), AT) == Answer({("checkout",): Row(expected, AT)}, known_parts=frozenset({"total"}))


def test_the_bracket_is_as_narrow_as_the_resolution(source: Prometheus) -> None:
    row = values(source.read(slower(7.5, "finer"), AT))["finer"]
    assert (row["low"], row["high"]) == pytest.approx((2 ** (23 / 8), 2 ** (24 / 8)), rel=1e-6)
    assert (row["total"], row["most"], row["least"]) == (600.0, 360.0, 120.0)


def test_a_histogram_that_does_not_grow_is_data(source: Prometheus) -> None:
    assert values(source.read(slower(2.0, "idle"), AT))["idle"]["total"] == 0.0


def test_pods_are_summed_into_the_workload_that_their_name_tells(source: Prometheus) -> None:
    expected = {"total": 1200.0, "most": 240.0, "least": 120.0, "low": 2.0, "high": 4.0}
    assert values(source.read(slower(3.0, "checkout", identity=WORKLOAD), AT)) == {"checkout": expected}


def test_a_name_with_bucket_finds_them_too(source: Prometheus) -> None:
    assert values(source.read(slower(2.0, "checkout", metric="seconds_bucket"), AT))["checkout"]["total"] == 1200.0


def test_history_says_what_the_moment_said(source: Prometheus) -> None:
    instants = [AT - timedelta(seconds=30), AT]
    query = slower(3.0, "checkout", "idle", "nobody")
    assert source.read_history(query, instants) == {at: source.read(query, at) for at in instants}


def test_each_workload_of_a_fleet_is_judged_by_the_kind_that_it_has(source: Prometheus) -> None:
    assert values(source.read(slower(2.0, "old", "checkout"), AT)) == {
        "old": {"total": 600.0, "most": 300.0, "least": 120.0, "low": 1.0, "high": 2.5},
        "checkout": {"total": 1200.0, "most": 240.0, "least": 240.0, "low": 2.0, "high": 2.0},
    }


def test_requests_that_are_in_both_kinds_are_counted_once(source: Prometheus) -> None:
    assert values(source.read(slower(2.0, "both"), AT)) == {"both": {"total": 600.0, "most": 300.0, "least": 120.0, "low": 1.0, "high": 2.5}}


def test_pods_of_both_kinds_are_summed(source: Prometheus) -> None:
    expected = {"total": 1200.0, "most": 420.0, "least": 240.0, "low": 1.0, "high": 2.5}
    assert values(source.read(slower(2.0, "moving"), AT)) == {"moving": expected}
