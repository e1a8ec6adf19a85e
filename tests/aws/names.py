"""A zone in MiniStack with a name that led to the good place, and leads to the bad one now."""

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.aws.route53 import Route53
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Sight, TargetState
from tests.aws.servers import account, hand

_NUMBERS = itertools.count(1)
ZONE_OF_BALANCERS = "Z32O12XQLNTSW2"


@cache
def _aws(url: str, **more: Any) -> Aws:
    sleep = more.pop("sleep", lambda _: None)
    return Aws({"prod": account(url, **more)}, now=lambda: datetime.now(UTC), timeout=(2.0, 20.0), sleep=sleep)


def plain(name: str, *addresses: str, kind: str = "A", ttl: int = 60) -> dict[str, Any]:
    """A simple record set."""
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": each} for each in addresses]}


def weighted(name: str, identifier: str, weight: int, address: str, kind: str = "A") -> dict[str, Any]:
    """One of several record sets of a name."""
    return {**plain(name, address, kind=kind), "SetIdentifier": identifier, "Weight": weight}


def alias(name: str, address: str, **more: Any) -> dict[str, Any]:
    """A record set that leads to a load balancer."""
    target = {"HostedZoneId": ZONE_OF_BALANCERS, "DNSName": address, "EvaluateTargetHealth": True}
    return {"Name": name, "Type": "A", "AliasTarget": target, **more}


def balancer(url: str, name: str, *, targets: int) -> str:
    """A load balancer with so many healthy targets; its address."""
    elb, ec2 = hand(url, "elbv2"), hand(url, "ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
    made = elb.create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]
    group = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
    if targets:
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": f"10.0.0.{number}", "Port": 80} for number in range(1, targets + 1)])
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=actions)
    return str(made["DNSName"])


class Settling(Route53):
    """Returns from an apply once all name servers have it, for tests that are about something else."""

    def apply(self, plan: Plan) -> None:
        super().apply(plan)
        while self.look(plan.intent).standing.value == "underway":
            time.sleep(0.02)


@dataclass
class Names:
    """The name ``api`` of a zone of its own. ``before``: the revision it is to go back to."""

    url: str
    zone: str
    zone_id: str
    before: str = ""

    @property
    def name(self) -> str:
        """The name in full."""
        return f"api.{self.zone}"

    @property
    def key(self) -> str:
        """The target key."""
        return f"route53:prod/{self.zone}/{self.name}"

    @property
    def dns(self) -> Any:
        """A person's hand."""
        return hand(self.url, "route53")

    def put(self, *sets: dict[str, Any], action: str = "UPSERT") -> None:
        """A deployment, or a person, writes records."""
        changes = [{"Action": action, "ResourceRecordSet": each} for each in sets]
        self.dns.change_resource_record_sets(HostedZoneId=self.zone_id, ChangeBatch={"Changes": changes})

    def records(self) -> list[dict[str, Any]]:
        """All of the zone but its own."""
        found = self.dns.list_resource_record_sets(HostedZoneId=self.zone_id)["ResourceRecordSets"]
        return [each for each in found if each["Type"] not in ("NS", "SOA")]

    def target(self, url: str = "", *, of: type[Route53] = Route53, clock: Any = time.monotonic, **more: Any) -> Route53:
        """A target that remembers nothing yet; reached at ``url``, where something stands in front. ``sleep``: what its pauses are filled with."""
        return of(_aws(url or self.url, **more), clock=clock)

    def state(self, key: str = "") -> TargetState:
        """How it stands."""
        state = self.target().survey([key or self.key])[key or self.key]
        assert isinstance(state, TargetState), state
        return state

    def request(self, *candidates: str) -> PlanRequest:
        """What the controller asks."""
        return PlanRequest(self.key, "inc-1", self.state().revision, candidates or (self.before,))

    def plan(self, target: Route53 | None = None) -> Plan:
        """The plan of an incident of what stands there."""
        plan = (target or self.target()).plan(self.request())
        assert isinstance(plan, Plan), plan
        return plan

    def look(self, intent: Intent) -> Sight:
        """How it stands relative to the intent, for somebody who remembers nothing."""
        return self.target().look(intent)


def open_names(url: str, before: Any = None, now: Any = None) -> Names:
    """A zone whose name had the records ``before(name)`` and has ``now(name)``."""
    zone = f"shop{next(_NUMBERS)}.example"
    answer = hand(url, "route53").create_hosted_zone(Name=zone, CallerReference=zone)
    names = Names(url, zone, answer["HostedZone"]["Id"].rpartition("/")[2])
    names.put(*(before(names.name) if before else [plain(names.name, "192.0.2.1")]))
    names.before = names.state().revision
    names.put(*(now(names.name) if now else [plain(names.name, "192.0.2.2")]))
    return names
