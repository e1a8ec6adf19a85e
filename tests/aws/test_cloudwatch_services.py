"""Where the metrics of services are: looked up in moto, and counted where they were found."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.cloudwatch import CloudWatch, Services
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.aws.cloudwatch.metrics import PERCENT
from rollbackd.adapters.aws.cloudwatch.service import BALANCED, BY_NAME, Found, Place
from rollbackd.adapters.aws.failures import Denied
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Answer
from rollbackd.controller.config.accounts import AccountConfig
from rollbackd.controller.config.values import CloudWatchSource
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.wiring import aws as amazon
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.resolve import dimensions
from rollbackd.policies.resolve.names import Names
from tests.aws.cloudwatch_double import CloudWatchDouble, cloudwatch_double
from tests.aws.front import Fault, Front
from tests.aws.front import front as fronted
from tests.aws.servers import ACCOUNT, REGION, Microburst, aws, hand, microburst
from tests.aws.test_cloudwatch import ALB, AT, BEHIND, MINUTE, SHOP, errors, requests
from tests.e2e.daemon import policy
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("aws_keys")

PLAIN = ("ClusterName", "ServiceName")
DESCRIBED = (("ecs", "DescribeServices"), ("elbv2", "DescribeTargetGroups"))


@pytest.fixture
def double() -> Iterator[CloudWatchDouble]:
    with cloudwatch_double() as double:
        yield double


@pytest.fixture(scope="module")
def front(moto: Server) -> Iterator[Microburst]:
    with microburst(moto.url) as front:
        yield front


@pytest.fixture(scope="module")
def balanced(moto: Server) -> Place:
    """The place of the metrics of ``cw-0`` to ``cw-11``, which stand behind one balancer; ``cw-bare`` stands behind none."""
    ec2, elb, ecs = (hand(moto.url, service) for service in ("ec2", "elbv2", "ecs"))
    subnets = ec2.describe_subnets()["Subnets"][:2]
    balancer = elb.create_load_balancer(Name="cw", Subnets=[subnet["SubnetId"] for subnet in subnets])["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="cw", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"])["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    ecs.create_cluster(clusterName="main")
    ecs.register_task_definition(family="cw", containerDefinitions=[{"name": "app", "image": "shop:1", "memory": 128}])
    behind = [{"targetGroupArn": group, "containerName": "app", "containerPort": 80}]
    for number in range(12):
        ecs.create_service(cluster="main", serviceName=f"cw-{number}", taskDefinition="cw", desiredCount=0, loadBalancers=behind)
    ecs.create_service(cluster="main", serviceName="cw-bare", taskDefinition="cw", desiredCount=0)
    return {"LoadBalancer": balancer.partition(":loadbalancer/")[2], "TargetGroup": group.rpartition(":")[2]}


def key_of(service: str, account: str = "prod") -> str:
    return f"ecs:{account}/{REGION}/main/{service}"


def looked_up(front: Microburst) -> Services:
    return Services(aws(front.url), "prod", REGION, patience=timedelta(milliseconds=1))


def test_a_service_leads_to_its_balancer_and_target_group_and_is_looked_up_once(moto: Server, balanced: Place) -> None:
    services, key = Services(aws(moto.url), "prod", REGION), key_of("cw-11")
    assert services.places([key], frozenset(ALB.labels), AT) == {key: (balanced,)}
    assert services.places([key], frozenset(PLAIN), AT) == {key: ({"ClusterName": "main", "ServiceName": "cw-11"},)}
    hand(moto.url, "ecs").delete_service(cluster="main", service="cw-11", force=True)
    assert services.places([key], frozenset(ALB.labels), AT) == {key: (balanced,)}
    (gone,) = services.places([key], frozenset(ALB.labels), AT + timedelta(minutes=10)).values()
    assert isinstance(gone, Permanent)


@pytest.mark.parametrize(
    ("key", "names", "said"),
    [
        pytest.param(key_of("cw-bare"), ALB.labels, "has no target group", id="no-balancer"),
        pytest.param(key_of("cw-nobody"), ALB.labels, "does not exist", id="no-such-service"),
        pytest.param(key_of("cw-bare", "test"), ALB.labels, "name a source of its account and region", id="another-account"),
        pytest.param(key_of("cw-bare"), ("ProxyName",), "ProxyName cannot be looked up", id="unknown-dimension"),
        pytest.param("kubernetes:default/shop/deployment/api", ALB.labels, "is no service of ECS", id="no-service"),
    ],
)
def test_a_place_that_cannot_be_found_is_a_fault_with_what_to_write(moto: Server, balanced: Place, key: str, names: Sequence[str], said: str) -> None:
    found = Services(aws(moto.url), "prod", REGION).places([key], frozenset(names), AT)[key]
    assert isinstance(found, Permanent)
    assert said in str(found)


@pytest.mark.parametrize(("services", "calls"), [(1, 2), (10, 2), (11, 3)])
def test_services_are_described_ten_at_a_time(front: Microburst, balanced: Place, services: int, calls: int) -> None:
    front.rules(*({"service": service, "operation": name, "latency": 0.001} for service, name in DESCRIBED))
    before, keys = len(front.fired()), [key_of(f"cw-{number}") for number in range(services)]
    assert looked_up(front).places(keys, frozenset(ALB.labels), AT) == dict.fromkeys(keys, (balanced,))
    assert len(front.fired()) - before == calls


def test_while_amazon_does_not_answer_what_was_known_still_holds(front: Microburst, balanced: Place) -> None:
    front.rules()
    services, key = looked_up(front), key_of("cw-0")
    assert services.places([key], frozenset(ALB.labels), AT) == {key: (balanced,)}
    front.rules({"service": "ecs", "operation": "DescribeServices", "error": {"code": "ThrottlingException", "status": 400}})
    assert services.places([key], frozenset(ALB.labels), AT + timedelta(minutes=10)) == {key: (balanced,)}
    front.rules({"service": "ecs", "operation": "DescribeServices", "error": {"code": "AccessDeniedException", "status": 400}})
    (denied,) = services.places([key], frozenset(ALB.labels), AT + timedelta(minutes=20)).values()
    assert "ecs:DescribeServices" in str(denied)


CALLS = sorted(CLOUDWATCH.calls, key=str)
KEYS = (key_of("cw-1"), key_of("cw-1"))


def read_anew(front: Front) -> Answer:
    """What is read by a source that knows nothing yet, not even where the service is."""
    entered = aws(front.url)
    made = CloudWatch("cw", entered.caller("prod", REGION, CLOUDWATCH, asker="cw"), Services(entered, "prod", REGION).places)
    return made.read(errors(KEYS), AT)


def placed(double: CloudWatchDouble, found: Mapping[str, Found]) -> CloudWatch:
    caller = aws(double.url).caller("prod", REGION, CLOUDWATCH, asker="cw")
    return CloudWatch("cw", caller, lambda keys, names, at: {key: found[key] for key in keys})


def test_a_service_that_moves_between_two_target_groups_is_counted_in_both(double: CloudWatchDouble) -> None:
    blue, green = BEHIND, {"LoadBalancer": SHOP[0], "TargetGroup": "targetgroup/green/3"}
    requests(double, 60, 1)
    requests(double, 40, None, key=tuple(green.values()))
    key = key_of("api")
    answer = placed(double, {key: (blue, green)}).read(errors((key, key)), AT)
    assert answer.rows[key, key].values == {"bad": 1.0, "total": 100.0}


def test_a_service_that_cannot_be_found_takes_no_other_with_it(double: CloudWatchDouble) -> None:
    requests(double, 60, 1)
    key = key_of("gone")
    answer = placed(double, {key: Permanent("it is gone")}).read(errors(SHOP, (key, key)), AT)
    assert (set(answer.rows), answer.faults) == ({SHOP}, {(key, key): "it is gone"})


def test_what_was_written_stands_beside_what_is_looked_up(double: CloudWatchDouble) -> None:
    requests(double, 60, 1)
    key = key_of("api")
    answer = placed(double, {key: ({"LoadBalancer": SHOP[0]},)}).read(errors((key, SHOP[1])), AT)
    assert set(answer.rows) == {(key, SHOP[1])}


def test_from_the_policy_and_the_config_to_counts_with_nothing_written_by_hand(moto: Server, balanced: Place) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    for name, count in (("RequestCount", 300.0), ("HTTPCode_Target_5XX_Count", 60.0)):
        dimensions = [{"Name": key, "Value": value} for key, value in balanced.items()]
        data = {"MetricName": name, "Dimensions": dimensions, "Timestamp": end - MINUTE, "Value": count}
        hand(moto.url, "cloudwatch").put_metric_data(Namespace="AWS/ApplicationELB", MetricData=[data])
    accounts = {"prod": AccountConfig(ACCOUNT, (REGION,), endpoint=moto.url)}
    made = amazon.cloudwatch("cw", CloudWatchSource("prod", REGION), amazon.aws(accounts))
    known = {"accounts": {"prod": (REGION,)}, "source_kinds": {"cw": "cloudwatch"}, "contacts": frozenset({"oncall"})}
    names = Names(frozenset({"cw"}), frozenset(), None, **known)  # type: ignore[arg-type]  # each of its own type
    text = policy("api", {"ecs": {"cluster": "main", "service": "cw-1"}}, {"use": "error-rate"}, metrics="alb")
    loaded = load_policies({"api.yaml": text}, names)
    assert loaded.faults == ()
    observer = Observer({"cw": made}, lambda question: None)
    readings = observer.read(loaded.policies, end + made.delay + timedelta(seconds=20))
    observer.close()
    assert readings == {"api": (Counts(end - MINUTE, end, 60.0, 60.0, 300.0, end),)}


@pytest.fixture(scope="module")
def window(moto: Server, balanced: Place) -> Iterator[Front]:
    """Before all that the source asks; ``cw-1`` has had requests."""
    data = {"MetricName": "RequestCount", "Dimensions": [{"Name": key, "Value": value} for key, value in balanced.items()]}
    metric = {**data, "Timestamp": datetime(2026, 3, 2, 11, 59, 20, tzinfo=UTC), "Value": 300.0}
    hand(moto.url, "cloudwatch").put_metric_data(Namespace="AWS/ApplicationELB", MetricData=[metric])
    with fronted(moto.url) as front:
        yield front


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_that_is_throttled_or_expired_once_is_asked_again(window: Front, call: Call, code: str) -> None:
    window.calm()
    window.faults.append(Fault(call.operation, code, times=1))
    assert read_anew(window).rows[KEYS].values == {"bad": 0.0, "total": 300.0}
    assert window.asked.count(call.operation) == 2


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_that_is_denied_is_named_and_no_number_is_made_of_it(window: Front, call: Call) -> None:
    window.calm()
    window.faults.append(Fault(call.operation, "AccessDeniedException"))
    try:
        told = str(read_anew(window).faults[KEYS])
    except Denied as fault:
        told = str(fault)
    assert f": {call.permission} on " in told
    assert "By hand: aws " in told


def test_policies_and_the_source_have_the_same_words() -> None:
    assert (BY_NAME | BALANCED, PERCENT.metric) == (dimensions.OF_SERVICE, dimensions.PERCENT)
