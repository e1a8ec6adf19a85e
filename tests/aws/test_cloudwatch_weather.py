"""CloudWatch in bad weather: nothing is made of an answer that is not whole, and no answer is a number that Amazon did not give."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from rollbackd.adapters.aws.failures import Denied, Throttled
from rollbackd.adapters.base.errors import Transient
from tests.aws.cloudwatch_double import CloudWatchDouble, cloudwatch_double
from tests.aws.test_cloudwatch import AT, BEHIND, END, MINUTE, SHOP, errors, memory, requests, slower, source

pytestmark = pytest.mark.usefixtures("aws_keys")
OTHER = ("app/other/1", "targetgroup/other/2")


@pytest.fixture
def double() -> Iterator[CloudWatchDouble]:
    with cloudwatch_double() as double:
        yield double


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_a_metric_that_is_not_whole_is_a_fault_of_its_workload_alone(double: CloudWatchDouble, status: str) -> None:
    requests(double, 100, 1)
    double.put("AWS/ApplicationELB/TargetResponseTime", [0.1], END - MINUTE, **BEHIND)
    double.statuses["HTTPCode_Target_5XX_Count"] = status
    made = source(double.url)
    answer = made.read(errors(), AT)
    assert answer.rows == {}
    assert answer.faults == {SHOP: f"cw: HTTPCode_Target_5XX_Count (Sum) cannot be trusted: CloudWatch said {status}"}
    assert set(made.read(slower(), AT).rows) == {SHOP}


def test_a_doubtful_metric_is_asked_for_again_in_the_next_period_and_not_before(double: CloudWatchDouble) -> None:
    requests(double, 100, 1)
    requests(double, 100, 1, END + MINUTE)
    double.statuses["RequestCount"] = "PartialData"
    made = source(double.url)
    assert made.read(errors(), AT).faults
    double.statuses.clear()
    assert made.read(errors(), AT).faults
    assert made.asked == 1
    assert set(made.read(errors(), AT + MINUTE).rows) == {SHOP}


def test_a_message_beside_the_answer_makes_all_of_it_doubtful(double: CloudWatchDouble) -> None:
    requests(double, 100, 1)
    double.messages = [{"Code": "MaxMetricsExceeded", "Value": "some metrics were left out"}]
    answer = source(double.url).read(errors(), AT)
    assert answer.rows == {}
    assert "remarked MaxMetricsExceeded some metrics were left out" in answer.faults[SHOP]


def test_a_metric_that_nobody_published_is_no_data_and_never_zero(double: CloudWatchDouble) -> None:
    made = source(double.url)
    assert [made.read(query, AT).rows for query in (errors(), slower(), memory())] == [{}, {}, {}]


def test_an_answer_without_end_is_given_up(double: CloudWatchDouble) -> None:
    double.endless = True
    with pytest.raises(Transient, match="more than 50 pages"):
        source(double.url).read(errors(), AT)


def test_throttling_is_transient_and_leaves_nothing_behind(double: CloudWatchDouble) -> None:
    requests(double, 100, 1)
    double.refusals = ["ThrottlingException"] * 20
    made = source(double.url)
    with pytest.raises(Throttled):
        made.read(errors(), AT)
    double.refusals.clear()
    assert set(made.read(errors(), AT).rows) == {SHOP}


def test_denied_says_which_permission_is_missing(double: CloudWatchDouble) -> None:
    double.refusals = ["AccessDenied"]
    with pytest.raises(Denied, match="cloudwatch:GetMetricData"):
        source(double.url).read(errors(), AT)


def test_a_server_that_is_not_there_is_transient() -> None:
    with pytest.raises(Transient, match="no answer to cloudwatch GetMetricData"):
        source("http://127.0.0.1:9").read(errors(), AT)


def test_a_late_period_is_no_data_until_the_next(double: CloudWatchDouble) -> None:
    requests(double, 100, 1, END - MINUTE)
    made = source(double.url)
    assert made.read(errors(), AT).rows == {}
    requests(double, 100, 1)
    requests(double, 100, 1, END + MINUTE)
    assert made.read(errors(), AT + MINUTE).rows[SHOP].counted == (END, END + MINUTE)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_data(double: CloudWatchDouble, value: float) -> None:
    double.put("AWS/ECS/MemoryUtilization", [value], END - MINUTE, ClusterName="main", ServiceName="api")
    assert source(double.url).read(memory(), AT).rows == {}


def test_the_clock_is_told_by_the_answer(double: CloudWatchDouble) -> None:
    now = datetime.now(AT.tzinfo)
    assert abs(source(double.url).clock_skew(now)) < timedelta(seconds=5)
    ahead = source(double.url).clock_skew(now + timedelta(hours=1))
    assert timedelta(minutes=-61) < ahead < timedelta(minutes=-59)
