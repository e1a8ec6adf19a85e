"""A whole rollback by each way of each adapter, and which declared call it takes along: what the weather is let loose on."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from rollbackd.adapters.aws import Account, Aws, Caller
from rollbackd.adapters.aws.access import PATIENCE
from rollbackd.adapters.aws.alb import Alb
from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.appconfig import AppConfig, Place, Profile
from rollbackd.adapters.aws.appconfig.calls import APPCONFIG
from rollbackd.adapters.aws.calls import Declared
from rollbackd.adapters.aws.ecs import Ecs
from rollbackd.adapters.aws.ecs.calls import ECS
from rollbackd.adapters.aws.rds import Rds
from rollbackd.adapters.aws.rds.calls import RDS
from rollbackd.adapters.aws.route53 import Route53
from rollbackd.adapters.aws.route53.calls import ROUTE53
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Plan, PlanRequest, Sight, Standing, Target
from tests.aws.appconfig import open_profile
from tests.aws.balancers import MOTO_ID, Balancer, open_balancer
from tests.aws.databases import ROLE, made, people
from tests.aws.ecs_double import EcsDouble
from tests.aws.ecs_state import BASE, Behaviour, Cloud
from tests.aws.names import Names, alias, balancer, open_names
from tests.aws.servers import REGION, account, hand
from tests.aws.stage import SHOP, in_flight, open_stage

_INCIDENTS = itertools.count(1)
_LATER = datetime.now(UTC) + timedelta(hours=1)
GROUP = f"arn:aws:elasticloadbalancing:{REGION}:111122223333:targetgroup/api/1"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a rollback is made on: something bad runs at ``key``. ``target``: what puts it back and remembers nothing yet.

    ``vanish``: somebody takes away what is put back.
    """

    key: str
    target: Callable[[Aws], Target]
    vanish: Callable[[], object]
    candidates: tuple[str, ...] = ()
    account: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ride:
    """One way of one adapter. ``behind``: the stand-in that it needs; ``writes``: what is sent, in order; ``takes``: calls of this way alone.

    ``checked``: the doctor looks first.
    """

    adapter: Declared
    way: str
    behind: str
    open: Callable[[Any], Stage]
    writes: tuple[str, ...]
    takes: frozenset[str] = frozenset()
    checked: bool = False

    def __str__(self) -> str:
        return f"{self.adapter.name}-{self.way}"


@dataclass
class Under:
    """A rollback under way. ``told``: all that was said of it so far."""

    stage: Stage
    target: Target
    incident: str = field(default_factory=lambda: f"inc-{next(_INCIDENTS)}")
    told: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        """Its plan. Raises what kept it from being made."""
        state = self.target.survey([self.stage.key])[self.stage.key]
        if isinstance(state, AdapterError):
            raise state
        plan = self.target.plan(PlanRequest(self.stage.key, self.incident, state.revision, self.stage.candidates, moment=_LATER))
        assert isinstance(plan, Plan), plan
        return plan

    def seen(self, plan: Plan) -> Sight:
        """How it stands, once that is no longer under way."""
        ends = time.monotonic() + 30
        while (sight := self.target.look(plan.intent)).standing is Standing.UNDERWAY and time.monotonic() < ends:
            time.sleep(0.02)
        return sight

    def ridden(self, ride: Ride) -> Sight:
        """From the first look to the end."""
        if ride.checked:
            self.told += self.target.check([self.stage.key])
        plan = self.plan()
        self.target.apply(plan)
        sight = self.seen(plan)
        self.told.append(sight.reason)
        return sight


class _Patient(Aws):
    """Asks again for as long as it takes: how busy this machine is decides nothing."""

    def caller(self, account: str, region: str, declared: Declared, *, asker: str, patience: timedelta = PATIENCE) -> Caller:
        return super().caller(account, region, declared, asker=asker, patience=max(patience, timedelta(minutes=5)))


def entered(url: str, stage: Stage, **more: Any) -> Aws:
    """The stage's account, reached by ``url``; nothing is waited for."""
    held: Account = account(url, **{**stage.account, **more})
    return _Patient({"prod": held}, now=lambda: datetime.now(UTC), timeout=(20.0, 60.0), sleep=lambda _: None)


# --- the ways ---------------------------------------------------------------------------------------------------------------------------------


def _anew(double: EcsDouble) -> EcsDouble:
    double.cloud = Cloud()
    return double


def _service(double: EcsDouble, **account: Any) -> Stage:
    return Stage(SHOP, Ecs, double.cloud.services.clear, ("api:1",), account)


def _update(double: EcsDouble) -> Stage:
    open_stage(_anew(double), loadBalancers=[{"targetGroupArn": GROUP, "containerName": "app", "containerPort": 80}])
    return _service(double)


def _stop(double: EcsDouble) -> Stage:
    in_flight(_anew(double), Behaviour(holds=True))
    double.cloud.behaviour = Behaviour()
    return _service(double)


def _continue(double: EcsDouble) -> Stage:
    in_flight(_anew(double), Behaviour(pauses=True))
    double.cloud.behaviour = Behaviour()
    return _service(double)


def _copy(double: EcsDouble) -> Stage:
    open_stage(_anew(double))
    double.cloud.definitions[f"{BASE}:task-definition/api:1"]["status"] = "INACTIVE"
    return _service(double, registers=True)


def _alb(aws: Aws) -> Alb:
    return Alb(aws, now=lambda: datetime.now(UTC))


def _weights(shop: Balancer, key: str, before: str) -> Stage:
    return Stage(key, _alb, lambda: shop.elb.delete_load_balancer(LoadBalancerArn=shop.arn), (before,), {"id": MOTO_ID})


@cache
def _services_of_somebody(url: str) -> None:
    """A service of ECS without a load balancer, so that all services are listed and described."""
    ecs = hand(url, "ecs")
    ecs.create_cluster(clusterName="main")
    ecs.register_task_definition(family="weather", containerDefinitions=[{"name": "app", "image": "shop:1", "memory": 128}])
    ecs.create_service(cluster="main", serviceName="weather", taskDefinition="weather", desiredCount=0)


def _listener(url: str) -> Stage:
    _services_of_somebody(url)
    shop = open_balancer(url, good=1, bad=1)
    return _weights(shop, shop.key, shop.before)


def _rule(url: str) -> Stage:
    """The rule knows the bad group alone, so the good one has to be found by its name."""
    shop = open_balancer(url, good=1, bad=1)
    conditions = [{"Field": "path-pattern", "Values": ["/api/*"]}]
    good, bad = ([{"Type": "forward", "TargetGroupArn": group}] for group in (shop.good, shop.bad))
    arn = shop.elb.create_rule(ListenerArn=shop.listener, Priority=7, Conditions=conditions, Actions=good)["Rules"][0]["RuleArn"]
    key = shop.key.replace("default", "7")
    before = shop.target().survey([key])[key]
    shop.elb.modify_rule(RuleArn=arn, Actions=bad)
    assert not isinstance(before, AdapterError)
    return _weights(shop, key, before.revision)


def _route53(aws: Aws) -> Route53:
    # A minute passes between two looks at the clock: what waits for one is over at once.
    minutes = itertools.count(step=60)
    return Route53(aws, clock=lambda: next(minutes))


def _led(names: Names, key: str) -> Stage:
    return Stage(key, _route53, lambda: names.put(*names.records(), action="DELETE"), (names.before,))


def _name(url: str) -> Stage:
    names = open_names(url)
    return _led(names, names.key)


@cache
def _serving(url: str) -> str:
    return balancer(url, "weather", targets=1)


def _alias(url: str) -> Stage:
    """The zone by its id, and a name that led to a load balancer."""
    names = open_names(url, lambda name: [alias(name, f"dualstack.{_serving(url)}.")])
    return _led(names, names.key.replace(f"/{names.zone}/", f"/{names.zone_id}/"))


def _flags(scope: str) -> Callable[[str], Stage]:
    def opened(url: str) -> Stage:
        shop = open_profile(url)
        shop.deploy({"cart": False, "search": False})
        shop.deploy({"cart": True, "search": True})

        def target(aws: Aws) -> AppConfig:
            place = Place(aws, "prod", REGION, shop.application, "production", "flags", shop.strategy)
            return AppConfig({"shop": Profile("shop", place)})

        return Stage(f"appconfig:shop/{scope}", target, shop.remove)

    return opened


def _database(way: str) -> Callable[[str], Stage]:
    def opened(url: str) -> Stage:
        name = made(url, DeletionProtection=False)

        def vanish() -> None:
            people(url).delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)

        return Stage(f"rds:prod/{REGION}/{name}/{way}", lambda aws: Rds(aws, now=lambda: _LATER), vanish, account={"role": ROLE})

    return opened


RIDES = (
    Ride(ALB, "listener", "moto", _listener, ("ModifyListener",)),
    Ride(ALB, "rule", "moto", _rule, ("ModifyRule",), frozenset({"ModifyRule", "DescribeTargetGroups"})),
    Ride(APPCONFIG, "back", "ministack", _flags("all"), ("StopDeployment",)),
    Ride(
        APPCONFIG,
        "version",
        "ministack",
        _flags("flags:cart"),
        ("CreateHostedConfigurationVersion", "StartDeployment"),
        frozenset({"CreateHostedConfigurationVersion", "StartDeployment", "ListHostedConfigurationVersions"}),
    ),
    Ride(
        APPCONFIG,
        "checked",
        "ministack",
        _flags("all"),
        ("StopDeployment",),
        frozenset({"GetDeploymentStrategy", "StartConfigurationSession", "GetLatestConfiguration"}),
        checked=True,
    ),
    Ride(ECS, "update", "ecs", _update, ("UpdateService",)),
    Ride(ECS, "stop", "ecs", _stop, ("StopServiceDeployment",), frozenset({"StopServiceDeployment"})),
    Ride(ECS, "continue", "ecs", _continue, ("ContinueServiceDeployment",), frozenset({"ContinueServiceDeployment"})),
    Ride(
        ECS,
        "copy",
        "ecs",
        _copy,
        ("RegisterTaskDefinition", "UpdateService"),
        frozenset({"RegisterTaskDefinition", "ListTaskDefinitions"}),
    ),
    Ride(RDS, "snapshot", "moto", _database("snapshot"), ("RestoreDBInstanceFromDBSnapshot",)),
    Ride(RDS, "point", "moto", _database("point-in-time"), ("RestoreDBInstanceToPointInTime",), frozenset({"RestoreDBInstanceToPointInTime"})),
    Ride(ROUTE53, "name", "ministack", _name, ("ChangeResourceRecordSets",)),
    Ride(
        ROUTE53,
        "alias",
        "ministack",
        _alias,
        ("ChangeResourceRecordSets",),
        frozenset({"GetHostedZone", "DescribeLoadBalancers", "DescribeTargetGroups", "DescribeTargetHealth"}),
    ),
)
"""The first of each adapter takes every call that no other takes."""


def ride_of(adapter: Declared, operation: str) -> Ride:
    """The ride that takes this call along."""
    mine = [ride for ride in RIDES if ride.adapter is adapter]
    return next((ride for ride in mine if operation in ride.takes), mine[0])
