"""Traffic is proven moved by the load balancer's own request counts, and a count that is missing never fails a rung."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.aws.alb.actions import Rule, forward
from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.alb.counts import Counts, Moved, Proof, judged, moved
from rollbackd.adapters.base.target import Intent, Standing
from tests.aws.balancers import open_balancer
from tests.aws.cloudwatch_double import CloudWatchDouble, cloudwatch_double
from tests.aws.servers import REGION, aws, hand, microburst
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("aws_keys")

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SENT = datetime(2026, 3, 2, 12, 0, 20, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ARN = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:"
BLUE, GREEN, RED = (f"{ARN}targetgroup/{name}/{name}1" for name in ("blue", "green", "red"))
METRIC = "AWS/ApplicationELB/RequestCount"


def intent(before: Mapping[str, int], after: Mapping[str, int]) -> Intent:
    record = {"before": [forward(before, None, None)], "after": [forward(after, None, None)]}
    return Intent(f"alb:prod/{REGION}/web/443/default", "inc-1", "was", "is", record)


AWAY = intent({BLUE: 0, GREEN: 100}, {BLUE: 100, GREEN: 0})


@dataclass
class Place:
    """A rule that was written at ``SENT``; what the load balancer counted is in ``double``."""

    double: CloudWatchDouble
    now: datetime = SENT
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = Counts(lambda: self.now)

    def proof(self, after: timedelta, wanted: Intent = AWAY) -> Proof:
        self.now = SENT + after
        caller = aws(self.double.url).caller("prod", REGION, ALB, asker="test", patience=timedelta(milliseconds=1))
        return self.counts.proof(caller, Rule("rule", "listener", f"{ARN}loadbalancer/app/web/1", True, {}, ()), wanted)

    def count(self, group: str, minute: int, total: int) -> None:
        """So many requests in the minute of that number, before or after noon."""
        behind = {"LoadBalancer": "app/web/1", "TargetGroup": group.rpartition(":")[2]}
        self.double.count(METRIC, total, NOON + minute * MINUTE + 5 * SECOND, **behind)


@pytest.fixture
def place() -> Iterator[Place]:
    with cloudwatch_double() as double:
        place = Place(double)
        place.counts.sent(AWAY)
        yield place


def test_requests_are_proven_moved_once_a_whole_minute_after_the_write_has_none_at_the_bad_group(place: Place) -> None:
    place.count(GREEN, -3, 500)
    assert place.proof(0 * SECOND) == Proof(False, "no whole minute since the write is counted yet")
    place.count(GREEN, 0, 80)
    place.count(BLUE, 0, 400)
    place.count(GREEN, 1, 0)
    place.count(BLUE, 1, 480)
    assert not place.proof(3 * MINUTE).is_over  # 12:01 may still grow
    assert place.proof(4 * MINUTE) == Proof(True, "proven by request counts: green 0 requests and blue 480 requests in 12:01")


def test_a_bad_group_that_keeps_draining_is_under_way_with_its_counts_and_proven_when_it_stops(place: Place) -> None:
    for minute, (green, blue) in enumerate([(500, 0), (90, 400), (41, 459)]):
        place.count(GREEN, minute, green)
        place.count(BLUE, minute, blue)
    found = place.proof(5 * MINUTE)
    assert not found.is_over
    assert found.reason.startswith("green 41 requests in 12:02, 0 expected; blue 459 requests; requests end where they began")
    place.count(BLUE, 3, 500)  # green is idle by now, and CloudWatch has nothing of it
    assert place.proof(6 * MINUTE) == Proof(True, "proven by request counts: green 0 requests and blue 500 requests in 12:03")


def test_cloudwatch_is_asked_every_30_seconds_at_most_and_no_more_once_it_is_over(place: Place) -> None:
    place.count(GREEN, -3, 500)
    for seconds in range(0, 61, 5):
        place.proof(seconds * SECOND)
    assert len(place.double.asked) == 3
    place.double.refusals = ["AccessDenied"]
    for seconds in range(90, 300, 5):
        assert place.proof(seconds * SECOND).is_over
    assert len(place.double.asked) == 4


def test_without_a_count_from_before_the_write_either_nothing_is_waited_for(place: Place) -> None:
    found = place.proof(0 * SECOND)
    assert (found.is_over, "CloudWatch has no requests of green and blue, nor from before the write" in found.reason) == (True, True)


def test_a_denied_question_is_no_failure_and_names_the_permission(place: Place) -> None:
    place.double.refusals = ["AccessDenied"]
    found = place.proof(0 * SECOND)
    assert (found.is_over, found.reason.startswith("read back, the move is not proven by request counts: not allowed to")) == (True, True)
    assert "cloudwatch:GetMetricData" in found.reason


@pytest.mark.parametrize("is_refused", [True, False], ids=["throttled", "partial"])
def test_cloudwatch_without_an_answer_is_given_five_minutes(place: Place, is_refused: bool) -> None:
    place.double.refusals = ["Throttling"] * 100 if is_refused else []
    place.double.statuses = {"RequestCount": "InternalError"}
    assert not place.proof(299 * SECOND).is_over
    found = place.proof(330 * SECOND)
    assert (found.is_over, "not proven by request counts within 5 minutes: " in found.reason) == (True, True)


def test_a_write_that_another_process_sent_is_read_back_without_a_question(place: Place) -> None:
    place.counts = Counts(lambda: place.now)
    found = place.proof(0 * SECOND)
    assert (found.is_over, "another process sent the write" in found.reason, place.double.asked) == (True, True, [])


def test_a_share_that_is_only_reduced_is_not_judged_by_counts(place: Place) -> None:
    found = place.proof(0 * SECOND, intent({BLUE: 50, GREEN: 50}, {BLUE: 90, GREEN: 10}))
    assert (found.is_over, "only reduced is not judged" in found.reason, place.double.asked) == (True, True, [])


def test_groups_that_lose_everything_and_groups_that_gain_are_told_apart() -> None:
    assert moved(intent({BLUE: 20, GREEN: 40, RED: 40}, {BLUE: 90, RED: 10, GREEN: 0})) == Moved((GREEN,), (BLUE,))


@pytest.mark.parametrize(
    ("lost", "gained", "after", "is_over", "said"),
    [
        pytest.param({1: 0}, {1: 0}, 4, False, "blue 0 requests", id="no-traffic"),
        pytest.param({1: 0}, {1: 0}, 5, True, "not proven by request counts within 5 minutes", id="no-traffic-for-long"),
        pytest.param({}, {1: 9}, 4, False, "has no requests of green, and what is missing is not 0", id="never-counted"),
        pytest.param({}, {1: 9}, 5, True, "not proven", id="never-counted-for-long"),
        pytest.param({0: 0, -1: 7}, {0: 9}, 4, False, "no whole minute", id="the-minute-of-the-write-itself"),
        pytest.param({7: 3}, {7: 9}, 9, False, "green 3 requests in 12:07, 0 expected", id="still-there"),
        pytest.param({8: 3}, {8: 9}, 10, True, "not proven by request counts within 10 minutes: green 3 requests", id="there-for-good"),
    ],
)
def test_what_counts_mean(lost: Mapping[int, float], gained: Mapping[int, float], after: int, is_over: bool, said: str) -> None:
    green, blue = ({NOON + (minute + 1) * MINUTE: float(count) for minute, count in each.items()} for each in (lost, gained))
    found = judged({"green": green}, {"blue": blue}, SENT, SENT + after * MINUTE)
    assert (found.is_over, said in found.reason) == (is_over, True), found.reason


def counted(url: str, groups: Sequence[tuple[str, int]], balancer: str, at: datetime) -> None:
    """moto's load balancers count nothing by themselves."""
    for group, total in groups:
        dimensions = [
            {"Name": "LoadBalancer", "Value": balancer.partition(":loadbalancer/")[2]},
            {"Name": "TargetGroup", "Value": group.rpartition(":")[2]},
        ]
        data = [{"MetricName": "RequestCount", "Dimensions": dimensions, "Timestamp": at, "Value": total}]
        hand(url, "cloudwatch").put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)


def test_a_rung_is_under_way_until_the_counts_prove_it(moto: Server) -> None:
    shop = open_balancer(moto.url)
    now = datetime.now(UTC)
    target = shop.target(now=lambda: now)
    plan = shop.plan(target)
    counted(shop.url, [(shop.bad, 300)], shop.arn, now - 3 * MINUTE)
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.UNDERWAY
    counted(shop.url, [(shop.bad, 0), (shop.good, 300)], shop.arn, now + MINUTE)
    now += 4 * MINUTE
    sight = target.look(plan.intent)
    assert (sight.standing, "proven by request counts" in sight.reason) == (Standing.THERE, True)


def test_a_rung_that_may_not_read_counts_is_done_when_it_is_read_back(moto: Server) -> None:
    shop = open_balancer(moto.url)
    with microburst(moto.url) as front:
        target = shop.target(front.url)
        plan = shop.plan(target)
        target.apply(plan)
        front.rules({"operation": "GetMetricData", "error": {"code": "AccessDenied", "status": 403}})
        sight = target.look(plan.intent)
    assert (sight.standing, "Allow the daemon's own credentials: cloudwatch:GetMetricData" in sight.reason) == (Standing.THERE, True)
