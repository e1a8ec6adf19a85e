"""What is asked of CloudWatch and what is made of its answers: against MiniStack for percentiles, our double for the rest."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.aws.cloudwatch import CloudWatch
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.aws.cloudwatch.service import Found
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Expression, Identity, Increases, Levels, Matcher, Query, Row, RowKey, Selector, Slower
from tests.aws.cloudwatch_double import CloudWatchDouble, cloudwatch_double
from tests.aws.servers import REGION, aws, hand
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("aws_keys")

MINUTE = timedelta(minutes=1)
AT = datetime(2026, 3, 2, 12, 0, 40, tzinfo=UTC)
END = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHOP = ("app/shop/1", "targetgroup/api/2")
ALB = Identity(("LoadBalancer", "TargetGroup"))
BEHIND = {"LoadBalancer": SHOP[0], "TargetGroup": SHOP[1]}


def selector(metric: str, namespace: str = "AWS/ApplicationELB", **words: str) -> Selector:
    return Selector(metric, (Matcher("namespace", "=", namespace), *(Matcher(name, "=", value) for name, value in words.items())))


def errors(*keys: RowKey, window: timedelta = MINUTE, **total: str) -> Increases:
    parts = (("bad", selector("HTTPCode_Target_5XX_Count", missing="0", **total)), ("total", selector("RequestCount", **total)))
    return Increases(parts, window, ALB, frozenset(keys or (SHOP,)))


def slower(limit: float = 2.0) -> Slower:
    return Slower(selector("TargetResponseTime"), limit, MINUTE, ALB, frozenset({SHOP}))


def memory(*keys: RowKey) -> Levels:
    value = selector("MemoryUtilization", "AWS/ECS", stat="Maximum")
    return Levels(value, Selector("percent"), "max", Identity(("ClusterName", "ServiceName")), frozenset(keys or (("main", "api"),)))


def nowhere(keys: Collection[str], names: frozenset[str], at: datetime) -> Mapping[str, Found]:
    raise AssertionError(f"{keys} were looked up")


def source(url: str) -> CloudWatch:
    return CloudWatch("cw", aws(url).caller("prod", REGION, CLOUDWATCH, asker="cw", patience=timedelta(milliseconds=1)), nowhere)


@pytest.fixture
def double() -> Iterator[CloudWatchDouble]:
    with cloudwatch_double() as double:
        yield double


def requests(double: CloudWatchDouble, total: int, bad: int | None, end: datetime = END, key: Sequence[str] = SHOP) -> None:
    at = dict(zip(ALB.labels, key, strict=True))
    double.count("AWS/ApplicationELB/RequestCount", total, end - MINUTE, **at)
    if bad is not None:
        double.count("AWS/ApplicationELB/HTTPCode_Target_5XX_Count", bad, end - MINUTE, **at)


def test_the_newest_whole_period_is_counted_and_says_which_it_is(double: CloudWatchDouble) -> None:
    requests(double, 100, 7)
    requests(double, 999, 999, END + MINUTE)  # 12:00:40 is in the middle of it
    answer = source(double.url).read(errors(), AT)
    assert answer.rows == {SHOP: Row({"bad": 7.0, "total": 100.0}, END, (END - MINUTE, END))}


def test_silence_about_errors_is_no_error_only_beside_requests_that_were_counted(double: CloudWatchDouble) -> None:
    requests(double, 100, None)
    double.count("AWS/ApplicationELB/HTTPCode_Target_5XX_Count", 5, END - MINUTE, LoadBalancer="app/other/1", TargetGroup="targetgroup/other/2")
    answer = source(double.url).read(errors(SHOP, ("app/other/1", "targetgroup/other/2"), ("app/none/1", "targetgroup/none/2")), AT)
    assert answer.rows[SHOP].values == {"bad": 0.0, "total": 100.0}
    assert {key: set(row.values) for key, row in answer.rows.items() if key != SHOP} == {("app/other/1", "targetgroup/other/2"): {"bad"}}


def test_a_period_that_lacks_its_requests_takes_the_whole_window_s_count_with_it(double: CloudWatchDouble) -> None:
    requests(double, 100, 1)
    assert source(double.url).read(errors(window=2 * MINUTE), AT).rows.get(SHOP) is None
    requests(double, 50, 2, END - MINUTE)
    assert source(double.url).read(errors(window=2 * MINUTE), AT).rows[SHOP].values == {"bad": 3.0, "total": 150.0}


def test_what_the_balancer_answered_by_itself_is_added_where_the_requests_are_known(double: CloudWatchDouble) -> None:
    whole = Identity(("LoadBalancer",))
    query = Increases(
        tuple((part, Selector(each.metric, (*each.matchers, Matcher("plus", "=", "HTTPCode_ELB_5XX_Count")))) for part, each in errors().parts),
        MINUTE,
        whole,
        frozenset({SHOP[:1]}),
    )
    double.count("AWS/ApplicationELB/HTTPCode_ELB_5XX_Count", 20, END - MINUTE, LoadBalancer=SHOP[0])
    assert "total" not in source(double.url).read(query, AT).rows[SHOP[:1]].values
    double.count("AWS/ApplicationELB/RequestCount", 80, END - MINUTE, LoadBalancer=SHOP[0])
    assert source(double.url).read(query, AT).rows[SHOP[:1]].values == {"bad": 20.0, "total": 100.0}


@pytest.mark.parametrize(
    ("samples", "slow", "total"),
    [
        pytest.param([0.1] * 90 + [2.0] + [2.1] * 9, 9, 100, id="both-sides"),
        pytest.param([0.1] * 10, 0, 10, id="none-is-slower"),
        pytest.param([30.0] * 10, 10, 10, id="all-are-slower"),
    ],
)
def test_slower_requests_are_counted_by_trimmed_counts(double: CloudWatchDouble, samples: list[float], slow: int, total: int) -> None:
    double.put("AWS/ApplicationELB/TargetResponseTime", samples, END - MINUTE, **BEHIND)
    values = source(double.url).read(slower(), AT).rows[SHOP].values
    assert values == {"total": total, "most": slow, "least": slow, "low": 2.0, "high": 2.0}
    assert {query["MetricStat"]["Stat"] for query in double.asked[0]["MetricDataQueries"]} == {"TC(2:)", "TC(:2)"}


def test_without_a_sample_nothing_is_known_of_the_latency(double: CloudWatchDouble) -> None:
    assert source(double.url).read(slower(), AT).rows == {}


def test_a_level_in_percent_is_a_share_and_may_be_one_period_late(double: CloudWatchDouble) -> None:
    double.put("AWS/ECS/MemoryUtilization", [60.0, 97.0], END - 2 * MINUTE, ClusterName="main", ServiceName="api")
    assert source(double.url).read(memory(), AT).rows == {("main", "api"): Row({"value": 0.97}, END - MINUTE)}
    assert source(double.url).read(memory(), AT + 2 * MINUTE).rows == {}


def test_a_percentile_is_a_level_that_ministack_computes_too(ministack: Server) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    for number, value in enumerate([0.1] * 18 + [3.0, 3.0]):
        data = {"MetricName": "Took", "Dimensions": [{"Name": "Service", "Value": "p95"}], "Timestamp": end - timedelta(seconds=59 - number)}
        hand(ministack.url, "cloudwatch").put_metric_data(Namespace="Shop", MetricData=[{**data, "Value": value}])
    query = Levels(selector("Took", "Shop", stat="p95"), None, "max", Identity(("Service",)), frozenset({("p95",), ("nobody",)}))
    answer = source(ministack.url).read(query, end)
    assert answer.rows == {("p95",): Row({"value": 3.0}, end)}


@pytest.mark.parametrize(
    ("bad", "total"),
    [pytest.param("CacheMisses", selector("CacheHits", "AWS/ElastiCache", plus="CacheMisses", CacheClusterId="c"), id="misses-of-all-look-ups")],
)
def test_a_hit_rate_is_a_share_of_counts(double: CloudWatchDouble, bad: str, total: Selector) -> None:
    for name, count in (("CacheHits", 90), ("CacheMisses", 10)):
        double.count(f"AWS/ElastiCache/{name}", count, END - MINUTE, CacheClusterId="c")
    query = Increases((("bad", selector(bad, "AWS/ElastiCache", CacheClusterId="c")), ("total", total)), MINUTE, Identity(()), frozenset({()}))
    assert source(double.url).read(query, AT).rows[()].values == {"bad": 10.0, "total": 100.0}


def test_a_database_s_connections_and_cpu_are_levels(double: CloudWatchDouble) -> None:
    double.put("AWS/RDS/DatabaseConnections", [40.0, 60.0], END - MINUTE, DBInstanceIdentifier="shop")
    double.put("AWS/RDS/CPUUtilization", [88.0], END - MINUTE, DBInstanceIdentifier="shop")
    made = source(double.url)

    def level(metric: str, of: Selector | None) -> float:
        query = Levels(selector(metric, "AWS/RDS", DBInstanceIdentifier="shop"), of, "max", Identity(()), frozenset({()}))
        return made.read(query, AT).rows[()].values["value"]

    assert (level("DatabaseConnections", None), level("CPUUtilization", Selector("percent"))) == (50.0, 0.88)


def test_a_metric_is_not_asked_for_twice_in_its_period(double: CloudWatchDouble) -> None:
    requests(double, 100, 7)
    made = source(double.url)
    first = made.read(errors(), AT - timedelta(seconds=30))
    assert made.read(errors(), AT) == first
    assert (made.asked, made.metrics_asked) == (1, 2)
    made.read(errors(), AT + MINUTE)
    assert (made.asked, made.metrics_asked) == (2, 4)


def test_questions_share_the_metrics_that_they_have_in_common(double: CloudWatchDouble) -> None:
    made = source(double.url)
    made.read(errors(), AT)
    made.read(Increases((("events", selector("RequestCount")),), MINUTE, ALB, frozenset({SHOP})), AT)
    assert (made.asked, made.metrics_asked) == (1, 2)


@pytest.mark.parametrize(("services", "calls"), [(1, 3), (10, 3), (100, 3), (300, 5)])
def test_calls_and_metrics_of_one_evaluation(double: CloudWatchDouble, services: int, calls: int) -> None:
    keys = [(f"app/s{n}/1", f"targetgroup/s{n}/2") for n in range(services)]
    names = [("main", f"s{n}") for n in range(services)]
    made = source(double.url)
    for query in (errors(*keys), Slower(selector("TargetResponseTime"), 2.0, MINUTE, ALB, frozenset(keys)), memory(*names)):
        made.read(query, AT)
    assert (made.asked, made.metrics_asked) == (calls, 5 * services)
    assert max(len(asked["MetricDataQueries"]) for asked in double.asked) <= 500


def test_pages_are_put_together(double: CloudWatchDouble) -> None:
    keys = [(f"app/s{n}/1", f"targetgroup/s{n}/2") for n in range(5)]
    for key in keys:
        requests(double, 10, 1, key=key)
    double.page = 3
    made = source(double.url)
    assert len(made.read(errors(*keys), AT).rows) == 5
    assert (made.asked, made.metrics_asked) == (4, 10)


def test_history_is_what_was_read_at_each_instant_in_few_requests(double: CloudWatchDouble) -> None:
    for back in range(180):
        requests(double, 100 + back, back % 3, END - back * MINUTE)
    instants = [AT - n * timedelta(seconds=15) for n in range(240, -1, -1)]
    made = source(double.url)
    found = made.read_history(errors(), instants)
    assert made.asked == 1
    assert found == {at: source(double.url).read(errors(), at) for at in instants[::24]} | {at: found[at] for at in instants}


def test_long_histories_stay_within_the_points_of_a_request(double: CloudWatchDouble) -> None:
    keys = [(f"app/s{n}/1", f"targetgroup/s{n}/2") for n in range(6)]
    made = source(double.url)
    made.read_history(errors(*keys), [AT - timedelta(days=14), AT])  # 20,160 points each
    assert (made.asked, made.metrics_asked) == (3, 12)
    with pytest.raises(Permanent, match="keeps minutes for 15 days"):
        made.read_history(errors(), [AT - timedelta(days=16), AT])


def test_nothing_is_asked_for_nobody(double: CloudWatchDouble) -> None:
    query = Increases(errors().parts, MINUTE, ALB, frozenset())
    assert (source(double.url).read(query, AT).rows, double.asked) == ({}, [])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param(Expression("up", ALB, frozenset({SHOP})), "no PromQL", id="promql"),
        pytest.param(Levels(Selector("CPU"), None, "max", ALB, frozenset({SHOP})), "in which namespace", id="no-namespace"),
        pytest.param(Levels(Selector("CPU", (Matcher("a", "=~", "b"),)), None, "max", ALB, frozenset({SHOP})), "equal dimensions", id="regex"),
        pytest.param(Levels(selector("CPU"), None, "second", ALB, frozenset({SHOP})), "tell the tasks", id="per-task"),
    ],
)
def test_what_cloudwatch_cannot_answer_is_said_and_not_asked(double: CloudWatchDouble, query: Query, said: str) -> None:
    with pytest.raises(Permanent, match=said):
        source(double.url).read(query, AT)
    assert double.asked == []
