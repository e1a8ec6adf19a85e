"""CloudWatch as the daemon has it: its config, when it is asked and what that costs, and the four triggers on nothing but it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.aws.cloudwatch import CloudWatch
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.base.source import Answer, Row
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.clock import now
from rollbackd.controller.config.load import Config, load_config, names
from rollbackd.controller.config.values import CloudWatchSource
from rollbackd.controller.doctor.findings import Grade
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.observe.readings import Observer, SourceHealth, Spent
from rollbackd.policies.judge.verdict import judge
from rollbackd.policies.known.watch import new_watch, take
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import OutsideWatch, Policy
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.resolve.names import Names
from tests.aws.cloudwatch_double import CloudWatchDouble, cloudwatch_double
from tests.aws.servers import ACCOUNT, REGION, aws
from tests.controller.patient import Patient
from tests.controller.served import Said, desk_of
from tests.controller.test_metrics import sample
from tests.controller.test_observe import ERRORS, MINUTE, Literal
from tests.controller.world import EVERY, SHOP_POLICY, World
from tests.e2e.daemon import policy
from tests.policies.literals import POLICY, T0

HEAD = "apiVersion: rollbackd/v1\nkind: Config\npolicies: [policies.d]\n"
ONE = f"accounts: {{prod: {{id: '{ACCOUNT}', regions: [eu-west-1]}}}}\n"
SEVERAL = f"accounts: {{prod: {{id: '{ACCOUNT}', regions: [eu-west-1, us-east-1]}}, test: {{id: '222222222222', regions: [eu-west-1]}}}}\n"


@pytest.fixture
def double(aws_keys: None) -> Iterator[CloudWatchDouble]:
    with cloudwatch_double() as double:
        yield double


# The config


def read(text: str) -> Config | list[str]:
    config = load_config(HEAD + text, "rollbackd.yaml", Path("/etc/rollbackd"))
    return config if isinstance(config, Config) else [str(fault) for fault in config]


@pytest.mark.parametrize(
    ("source", "accounts", "found"),
    [
        pytest.param("cloudwatch: {}", ONE, CloudWatchSource("prod", "eu-west-1"), id="the-only-account-and-region"),
        pytest.param(
            "cw: {kind: cloudwatch, account: prod, region: us-east-1, delay: 3m}",
            SEVERAL,
            CloudWatchSource("prod", "us-east-1", timedelta(minutes=3)),
            id="everything-said",
        ),
    ],
)
def test_a_source_is_an_account_and_a_region(source: str, accounts: str, found: CloudWatchSource) -> None:
    config = read(f"{accounts}sources: {{{source}}}\n")
    assert isinstance(config, Config)
    (name,) = config.sources
    assert (config.sources[name], names(config).source_kinds) == (found, {name: "cloudwatch"})


@pytest.mark.parametrize(
    ("source", "accounts", "fault"),
    [
        pytest.param("{}", "", "expected the key 'account', found none; the config has no accounts", id="no-accounts"),
        pytest.param("{}", SEVERAL, "expected the key 'account', found none; there are several: prod, test", id="several-accounts"),
        pytest.param("{account: prod}", SEVERAL, "expected the key 'region', found none; there are several: eu-west-1, us-east-1", id="regions"),
        pytest.param("{account: prd}", ONE, "› account: expected one of the config's accounts, found 'prd'; did you mean 'prod'", id="typo"),
        pytest.param("{region: us-east-1}", ONE, "› region: expected one of the config's regions, found 'us-east-1'", id="region-of-no-use"),
    ],
)
def test_an_account_or_region_that_is_not_there_is_a_fault_with_its_place(source: str, accounts: str, fault: str) -> None:
    said = read(f"{accounts}sources: {{cloudwatch: {source}}}\n")
    assert isinstance(said, list)
    assert len(said) == 1
    assert said[0].startswith("rollbackd.yaml:")
    assert fault in said[0]


# What is counted, and when it is asked


def test_counts_are_of_the_periods_that_the_source_says() -> None:
    counted = T0 - 3 * MINUTE, T0 - 2 * MINUTE
    answer = Answer({("checkout",): Row({"bad": 1.0, "total": 9.0}, counted[1], counted)}, known_parts=frozenset({"bad", "total"}))
    source = Literal(answer)
    source.freshness = timedelta(minutes=10)
    condition = replace(ERRORS, identity=replace(ERRORS.identity, labels=("app",), values=("checkout",)))
    (reading,) = Observer({"prometheus": source}, lambda _: None).read([replace(POLICY, conditions=(condition,))], T0)["checkout"]
    assert reading == Counts(*counted, 1.0, 1.0, 9.0, counted[1])


METERED = replace(
    SHOP_POLICY,
    is_metered=True,
    watch=timedelta(minutes=2),
    outside_watch=OutsideWatch.IGNORE,
    timing=replace(SHOP_POLICY.timing, bake=timedelta(minutes=1)),
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, METERED)
    yield world
    world.close()


def is_asked(world: World, after: timedelta = timedelta(minutes=5)) -> bool:
    return world.engine.due(world.engine.policies.values(), world.at + after) != []


def test_a_source_that_costs_money_is_asked_until_what_runs_is_known_good_and_not_after(world: World) -> None:
    world.slot(0)
    assert is_asked(world)
    for _ in range(8):
        world.slot(0)
    assert not is_asked(world)


def test_a_change_has_it_asked_again_for_its_watch(world: World) -> None:
    for _ in range(9):
        world.slot(0)
    world.deploy("v2")
    world.engine.cycle(Batch(world.at + EVERY, world.survey(), {}))  # the survey of a slot in which no source was asked
    assert is_asked(world)


def test_a_source_that_costs_nothing_is_asked_always(world: World) -> None:
    world.engine.adopt((replace(METERED, digest="free", is_metered=False),))
    for _ in range(9):
        world.slot(0)
    assert is_asked(world)


def test_a_policy_that_wants_to_hear_of_everything_is_asked_always(world: World) -> None:
    world.engine.adopt((replace(METERED, digest="loud", outside_watch=OutsideWatch.NOTIFY),))
    for _ in range(9):
        world.slot(0)
    assert is_asked(world)


def test_what_it_has_cost_is_among_our_own_metrics(world: World) -> None:
    said = Said()
    said.health = {"cw": SourceHealth(T0, None, Spent(12, 340)), "prometheus": SourceHealth(T0, None)}
    metrics = Metrics(desk_of(world, said))
    assert (sample(metrics, "source_requests_total", source="cw"), sample(metrics, "source_metrics_total", source="cw")) == (12, 340)


# The four triggers

AT = datetime(2026, 3, 2, 12, 0, 7, tzinfo=UTC)
BALANCER = {"LoadBalancer": "app/shop/1", "TargetGroup": "targetgroup/api/2"}
PLACE = {**BALANCER, "ClusterName": "main", "ServiceName": "api"}


def triggers(every: str) -> Policy:
    target = {"ecs": {"cluster": "main", "service": "api"}}
    text = policy("api", target, {"use": "standard"}, every=every, metrics="alb", match={"ProxyName": "shop"})
    known = Names(
        frozenset({"cw"}), frozenset(), None, accounts={"prod": (REGION,)}, source_kinds={"cw": "cloudwatch"}, contacts=frozenset({"oncall"})
    )
    loaded = load_policies({"api.yaml": text}, known)
    assert loaded.faults == ()
    return loaded.policies[0]


def publish(double: CloudWatchDouble, *, is_bad: bool) -> None:
    for back in range(1, 20):
        at = AT.replace(second=0) - back * MINUTE
        double.count("AWS/ApplicationELB/RequestCount", 300, at, **BALANCER)
        if is_bad:
            double.count("AWS/ApplicationELB/HTTPCode_Target_5XX_Count", 60, at, **BALANCER)
        double.put("AWS/ApplicationELB/TargetResponseTime", [0.1] * 200 + [3.0 if is_bad else 0.2] * 100, at, **BALANCER)
        double.put("AWS/ECS/MemoryUtilization", [50.0, 99.0 if is_bad else 60.0], at, ClusterName="main", ServiceName="api")
        double.put("AWS/RDS/DatabaseConnectionsSetupFailed", [4.0 if is_bad else 0.0], at, ProxyName="shop")


@pytest.mark.parametrize("every", ["15s", "45s", "1m", "2m"])
@pytest.mark.parametrize(("is_bad", "state"), [(True, "breach"), (False, "ok")])
def test_the_four_triggers_are_judged_by_cloudwatch_alone(double: CloudWatchDouble, every: str, is_bad: bool, state: str) -> None:
    publish(double, is_bad=is_bad)
    caller = aws(double.url).caller("prod", REGION, CLOUDWATCH, asker="cw")
    source = CloudWatch("cw", caller, lambda keys, wanted, at: dict.fromkeys(keys, ({name: PLACE[name] for name in wanted},)))
    mine = triggers(every)
    observer = Observer({"cw": source}, lambda question: None)
    past = observer.read_history([mine], [AT + source.delay - back * mine.every for back in range(int(timedelta(minutes=12) / mine.every), -1, -1)])
    observer.close()
    watch = new_watch(mine)
    for _, readings in past.take_out("api"):
        watch = take(mine, watch, readings)
    pairs = zip(mine.conditions, watch.tracks, strict=True)
    found = {c.name: judge(c, track.readings, None, None, AT + source.delay).state.value for c, track in pairs if c.name != "stuck-rollout"}
    assert found == dict.fromkeys(("error-rate", "p95-latency", "memory", "database-failures"), state)


# The doctor, and what looks at a Prometheus only


def patient(folder: Path, double: CloudWatchDouble) -> Patient:
    known = {"id": ACCOUNT, "regions": [REGION], "endpoint": double.url}
    text = policy("shop", {"command": {"name": "shop"}}, {"use": "error-rate"}, metrics="alb", match=BALANCER)
    return Patient(folder, config={"accounts": {"prod": known}, "sources": {"cloudwatch": {}}}, policies={"shop": text})


def test_the_doctor_says_that_it_answers_and_what_a_look_costs(tmp_path: Path, double: CloudWatchDouble) -> None:
    for back in range(5):
        double.count("AWS/ApplicationELB/RequestCount", 300, now() - back * MINUTE, **BALANCER)
    found = patient(tmp_path, double).findings("sources", "evidence")
    assert [(each.check, each.subject, each.grade) for each in found] == [
        ("sources", "cloudwatch", Grade.PASS),
        ("evidence", "cloudwatch", Grade.PASS),
        ("evidence", "shop", Grade.PASS),
    ]
    assert found[1].found == "one look at 1 policies asks it for 2 metrics: each minute while their watches are open"


def test_the_doctor_names_the_permission_that_is_missing(tmp_path: Path, double: CloudWatchDouble) -> None:
    double.refusals = ["AccessDenied"] * 10
    (found,) = patient(tmp_path, double).findings("sources")
    assert (found.grade, found.reached) == (Grade.FAIL, True)
    assert "cloudwatch:GetMetricData" in found.found


def test_a_backtest_refuses_a_policy_that_reads_cloudwatch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "api.yaml").write_text(policy("api", {"command": {"name": "shop"}}, {"use": "error-rate"}, metrics="alb", match=BALANCER))
    (tmp_path / "changes.csv").write_text("at,target\n2026-03-01T12:00:00Z,command:shop\n")
    words = [str(tmp_path / "api.yaml"), "--changes", str(tmp_path / "changes.csv"), "--prometheus", "http://127.0.0.1:9"]
    assert outcome(["backtest", *words]) == 64
    said = " ".join(capsys.readouterr().err.split())
    assert "policy 'api' is passed over: it reads CloudWatch" in said
    assert "no policy that reads a Prometheus" in said
