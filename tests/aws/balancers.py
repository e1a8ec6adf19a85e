"""A load balancer in moto whose rule shares requests out between a good group and a bad one."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.aws.alb import Alb
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Sight, TargetState
from tests.aws.servers import REGION, account, hand

MOTO_ID = "123456789012"
"""The account that moto says we are of."""
_NUMBERS = itertools.count(1)


@cache
def _aws(url: str, **more: Any) -> Aws:
    sleep = more.pop("sleep", lambda _: None)
    return Aws({"prod": account(url, **{"id": MOTO_ID, **more})}, now=lambda: datetime.now(UTC), timeout=(2.0, 20.0), sleep=sleep)


@dataclass(frozen=True)
class Balancer:
    """Its default rule gives everything to ``bad``, after ``good`` had everything. ``before``: the revision of then."""

    url: str
    name: str
    arn: str
    listener: str
    good: str
    bad: str
    before: str = ""

    @property
    def key(self) -> str:
        """The target key of its default rule."""
        return f"alb:prod/{REGION}/{self.name}/80/default"

    @property
    def elb(self) -> Any:
        """A person's hand."""
        return hand(self.url, "elbv2")

    def target(self, url: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC), **more: Any) -> Alb:
        """A target that remembers nothing yet; reached at ``url``, where something stands in front. ``sleep``: what its pauses are filled with."""
        return Alb(_aws(url or self.url, **more), now=now)

    def share(self, good: int, bad: int, sticky: int = 0, **first: Any) -> None:
        """A deployment, or a person, sets the weights."""
        config: dict[str, Any] = {"TargetGroups": [{"TargetGroupArn": self.good, "Weight": good}, {"TargetGroupArn": self.bad, "Weight": bad}]}
        if sticky:
            config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky}
        actions = [{**first, "Order": 1}] if first else []
        actions.append({"Type": "forward", "ForwardConfig": config, "Order": len(actions) + 1})
        self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=actions)

    def actions(self) -> Any:
        """What its default rule does."""
        return self.elb.describe_listeners(ListenerArns=[self.listener])["Listeners"][0]["DefaultActions"]

    def weights(self) -> tuple[int, int]:
        """Those of the good and the bad group."""
        found = {each["TargetGroupArn"]: int(each["Weight"]) for each in self.actions()[-1]["ForwardConfig"]["TargetGroups"]}
        return found[self.good], found[self.bad]

    def state(self) -> TargetState:
        """How it stands."""
        state = self.target().survey([self.key])[self.key]
        assert isinstance(state, TargetState), state
        return state

    def request(self, *candidates: str) -> PlanRequest:
        """What the controller asks."""
        return PlanRequest(self.key, "inc-1", self.state().revision, candidates or (self.before,))

    def plan(self, target: Alb | None = None, *candidates: str) -> Plan:
        """The plan of an incident of what stands there."""
        plan = (target or self.target()).plan(self.request(*candidates))
        assert isinstance(plan, Plan), plan
        return plan

    def look(self, intent: Intent) -> Sight:
        """How it stands relative to the intent."""
        return self.target().look(intent)


def open_balancer(url: str, *, good: int = 4, bad: int = 4, sticky: int = 0, **first: Any) -> Balancer:
    """A load balancer of its own, so many targets in each group. ``first``: an action before the forward."""
    elb, ec2, name = hand(url, "elbv2"), hand(url, "ec2"), f"shop{next(_NUMBERS)}"
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
    arn = elb.create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    groups = [_group(elb, f"{name}-{color}", vpc, count) for color, count in (("blue", good), ("green", bad))]
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    listener = elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[answer])["Listeners"][0]["ListenerArn"]
    balancer = Balancer(url, name, arn, listener, *groups)
    balancer.share(100, 0, sticky, **first)
    before = balancer.state().revision
    balancer.share(0, 100, sticky, **first)
    return Balancer(url, name, arn, listener, *groups, before)


def _group(elb: Any, name: str, vpc: str, targets: int) -> str:
    group: str = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
    if targets:
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": f"10.0.0.{number}", "Port": 80} for number in range(1, targets + 1)])
    return group
