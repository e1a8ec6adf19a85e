"""Where the metrics of services of ECS are: their clusters and names, and the load balancers and target groups that they stand behind."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, TypeAlias

from rollbackd.adapters.aws.access import Aws, Caller
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH, DESCRIBE_SERVICES, DESCRIBE_TARGET_GROUPS
from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.shape import shaped

BY_NAME = frozenset(("ClusterName", "ServiceName"))
"""The dimensions that the target's key has; for the others Amazon is asked."""
BALANCED = frozenset(("LoadBalancer", "TargetGroup"))
REMEMBERED = timedelta(minutes=10)
"""A release may move a service to other target groups."""
DOUBTED = timedelta(minutes=1)
"""A service that was not found is looked for again sooner."""
HURRY = timedelta(seconds=3)
"""How long Amazon is asked again: the slot waits for it."""
AT_ONCE = 10
"""So many services are described by one request."""
Place: TypeAlias = Mapping[str, str]
"""The values of dimensions."""
Found: TypeAlias = tuple[Place, ...] | AdapterError
"""Every place of a service, or why none is known."""
_Name: TypeAlias = tuple[str, str]
"""A service's cluster and its own name."""


class Services:
    """Says at which dimensions the services of one account and region are found. Safe to use from several threads."""

    def __init__(self, aws: Aws, account: str, region: str, *, patience: timedelta = HURRY) -> None:
        self._aws = aws
        self._account = account
        self._region = region
        self._patience = patience
        self._lock = threading.Lock()
        self._known: dict[_Name, tuple[datetime, Found]] = {}

    def places(self, keys: Collection[str], names: frozenset[str], at: datetime) -> Mapping[str, Found]:
        """For each of the targets every combination of these dimensions that belongs to it. Raises nothing."""
        found: dict[str, Found] = {}
        services: dict[str, _Name] = {}
        for key in keys:
            try:
                services[key] = self._named(key, names)
            except Permanent as fault:
                found[key] = fault
        behind = self._behind(sorted(set(services.values())), at) if names & BALANCED else {}
        for key, service in services.items():
            found[key] = _combined(service, behind.get(service, ({},)), names)
        return found

    def _named(self, key: str, names: frozenset[str]) -> _Name:
        kind, _, rest = key.partition(":")
        parts = rest.split("/")
        if kind != "ecs" or len(parts) != 4:
            raise Permanent(f"{key} is no service of ECS, so where its metrics are cannot be looked up: write the dimensions under `match`")
        if unknown := names - BY_NAME - BALANCED:
            raise Permanent(f"{key}: its {', '.join(sorted(unknown))} cannot be looked up, so nothing was asked: write it under `match`")
        account, region, cluster, service = parts
        if (account, region) != (self._account, self._region):
            here = f"account {self._account}, {self._region}"
            raise Permanent(f"{key}: this source reads {here}, where its metrics are not: name a source of its account and region in the policy")
        return cluster, service

    def _behind(self, services: Sequence[_Name], at: datetime) -> Mapping[_Name, Found]:
        with self._lock:
            if due := [service for service in services if self._is_due(service, at)]:
                self._look_up(due, at)
            return {service: self._known[service][1] for service in services}

    def _is_due(self, service: _Name, at: datetime) -> bool:
        known = self._known.get(service)
        return known is None or abs(at - known[0]) >= (DOUBTED if isinstance(known[1], AdapterError) else REMEMBERED)

    def _look_up(self, services: Sequence[_Name], at: datetime) -> None:
        """All of these are known as of ``at``. While Amazon does not answer, what was known of a service still holds."""
        try:
            caller = self._aws.caller(self._account, self._region, CLOUDWATCH, asker=f"services in {self._region}", patience=self._patience)
            groups = _target_groups(caller, services)
            balancers = _balancers(caller) if any(groups.values()) else {}
        except AdapterError as fault:
            before = self._known if isinstance(fault, Transient) else {}
            self._known |= {service: (at, before[service][1] if service in before else fault) for service in services}
            return
        self._known |= {service: (at, _places(service, groups.get(service), balancers)) for service in services}


def _combined(service: _Name, behind: Found, names: frozenset[str]) -> Found:
    if isinstance(behind, AdapterError):
        return behind
    own = {"ClusterName": service[0], "ServiceName": service[1]}
    found = [{name: value for name, value in {**own, **place}.items() if name in names} for place in behind]
    return tuple(place for number, place in enumerate(found) if place not in found[:number])


def _target_groups(caller: Caller, services: Sequence[_Name]) -> dict[_Name, list[str]]:
    """The target groups of each service that exists."""
    found: dict[_Name, list[str]] = {}
    for cluster, named in groupby(services, key=lambda service: service[0]):
        mine = [name for _, name in named]
        for first in range(0, len(mine), AT_ONCE):
            answer = caller.read(DESCRIBE_SERVICES, cluster=cluster, services=mine[first : first + AT_ONCE])
            with shaped("ecs DescribeServices"):
                there = [each for each in answer["services"] if each["status"] != "INACTIVE"]  # Amazon remembers what was deleted for a while
                found |= {(cluster, each["serviceName"]): list(dict.fromkeys(_used(each))) for each in there}
    return found


def _used(service: Mapping[str, Any]) -> Iterator[str]:
    """All that it uses: a blue/green service moves between two, and its requests are those of both."""
    for each in service.get("loadBalancers", ()):
        yield from filter(None, (each.get("targetGroupArn"), each.get("advancedConfiguration", {}).get("alternateTargetGroupArn")))


def _balancers(caller: Caller) -> dict[str, list[str]]:
    """The load balancers of every target group there is: one that is named and gone would spoil the answer for all."""
    found: dict[str, list[str]] = {}
    for page in caller.pages(DESCRIBE_TARGET_GROUPS, given="NextMarker", asked="Marker"):
        with shaped("elbv2 DescribeTargetGroups"):
            found |= {group["TargetGroupArn"]: group["LoadBalancerArns"] for group in page["TargetGroups"]}
    return found


def _places(service: _Name, groups: Sequence[str] | None, balancers: Mapping[str, Sequence[str]]) -> Found:
    name = f"service {service[1]} of cluster {service[0]}"
    if groups is None:
        return Permanent(f"{name} does not exist, so it has no metrics: correct the target in the policy")
    if not groups:
        return Permanent(f"{name} has no target group of a load balancer, so it has no metrics of one: use the profile `ecs`, or write `match`")
    found = []
    for group in groups:
        for balancer in balancers.get(group, ()):
            _, is_of_applications, tail = balancer.partition(":loadbalancer/app/")
            if is_of_applications:
                found.append({"LoadBalancer": f"app/{tail}", "TargetGroup": group.rpartition(":")[2]})
    return tuple(found) or Permanent(f"{name}: none of its target groups is behind an application load balancer: write `match`")
