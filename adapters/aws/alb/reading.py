"""Rules as Amazon answers them; where a listener is, and who else writes rules, is remembered for a while."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.alb import calls
from rollbackd.adapters.aws.alb.actions import Raw, Rule, canonical
from rollbackd.adapters.aws.alb.place import DEFAULT, Place
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.shape import shaped

OWNERS_KEPT = timedelta(minutes=10)
"""How long it is remembered which services deploy through which rules: asking all services takes many calls."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The ARNs of a listener and of its load balancer."""

    arn: str
    balancer: str


@dataclass(slots=True)
class Memory:
    """What is remembered while the process lives. ``services``: by account and region, with the moment they were read."""

    listeners: dict[tuple[str, str, str, int], Listener] = field(default_factory=dict)
    services: dict[tuple[str, str], tuple[float, tuple[Raw, ...]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reader:
    """Reads in one account and region. Raises Transient, Permanent or Refused."""

    def __init__(self, caller: Caller, memory: Memory) -> None:
        self.caller = caller
        self._memory = memory

    def rule(self, place: Place) -> Rule:
        """The rule as it stands. Raises Gone if it, its listener or its load balancer is not there."""
        listener, rules = self.rules(place)
        return self.chosen(place, listener, rules)

    def rules(self, place: Place) -> tuple[Listener, Sequence[Raw]]:
        """All rules of the place's listener."""
        known = self._memory.listeners.get(place.listener)
        try:
            listener = known or self._found(place)
            return listener, self._rules(listener)
        except Gone:
            if known is None:
                raise
            # It was deleted and made anew, as deployments of infrastructure do.
            listener = self._found(place)
            return listener, self._rules(listener)

    def chosen(self, place: Place, listener: Listener, rules: Sequence[Raw]) -> Rule:
        """The place's rule among those of its listener. Raises Gone if it is not there."""
        with shaped(str(place)):
            raw = next((rule for rule in rules if (rule["IsDefault"] if place.rule == DEFAULT else rule["Priority"] == place.rule)), None)
            if raw is None:
                known = ", ".join(str(rule["Priority"]) for rule in rules)
                raise Gone(f"there is no {place}; its listener has the rules {known}. Correct the target in the policy.")
            frame = {"arn": raw["RuleArn"], "conditions": raw.get("Conditions") or [], "transforms": raw.get("Transforms") or []}
            return Rule(raw["RuleArn"], listener.arn, listener.balancer, bool(raw["IsDefault"]), frame, canonical(raw["Actions"]))

    def group(self, name: str) -> str:
        """The ARN of a target group. Raises Gone if there is none of the name."""
        answer = self.caller.read(calls.DESCRIBE_GROUPS, Names=[name])
        with shaped(f"target group {name}"):
            return str(answer["TargetGroups"][0]["TargetGroupArn"])

    def health(self, group: str) -> list[Raw]:
        """The state of every target of the group."""
        answer = self.caller.read(calls.DESCRIBE_HEALTH, TargetGroupArn=group)
        return [item.get("TargetHealth") or {} for item in answer.get("TargetHealthDescriptions") or []]

    def tags(self, arns: Sequence[str]) -> dict[str, str]:
        """All tags of these resources."""
        answer = self.caller.read(calls.DESCRIBE_TAGS, ResourceArns=list(arns))
        with shaped("DescribeTags"):
            return {tag["Key"]: tag.get("Value", "") for each in answer["TagDescriptions"] for tag in each.get("Tags") or []}

    def services(self) -> tuple[Raw, ...]:
        """All services of ECS in the account and region that have a load balancer; asked anew every ten minutes."""
        key = (self.caller.account.name, self.caller.region)
        with self._memory.lock:
            read_at, known = self._memory.services.get(key, (float("-inf"), ()))
            if time.monotonic() - read_at < OWNERS_KEPT.total_seconds():
                return known
        found = tuple(self._services())
        with self._memory.lock:
            self._memory.services[key] = (time.monotonic(), found)
        return found

    def _services(self) -> list[Raw]:
        clusters = [arn for page in self.caller.pages(calls.LIST_CLUSTERS) for arn in page.get("clusterArns") or []]
        found: list[Raw] = []
        for cluster in clusters:
            pages = self.caller.pages(calls.LIST_SERVICES, cluster=cluster, maxResults=100)
            names = [arn for page in pages for arn in page.get("serviceArns") or []]
            for start in range(0, len(names), 10):
                answer = self.caller.read(calls.DESCRIBE_SERVICES, cluster=cluster, services=names[start : start + 10])
                found += [each for each in answer.get("services") or [] if each.get("loadBalancers") or each.get("taskSets")]
        return found

    def _found(self, place: Place) -> Listener:
        answer = self.caller.read(calls.DESCRIBE_BALANCERS, Names=[place.balancer])
        with shaped(str(place)):
            balancer: dict[str, Any] = answer["LoadBalancers"][0]
            arn = str(balancer["LoadBalancerArn"])
            if balancer.get("Type", "application") != "application":
                raise Permanent(
                    f"load balancer {place.balancer} is a {balancer['Type']} load balancer: only an application load balancer has weights."
                )
            pages = self.caller.pages(calls.DESCRIBE_LISTENERS, given="NextMarker", asked="Marker", LoadBalancerArn=arn)
            listeners = {each["Port"]: str(each["ListenerArn"]) for page in pages for each in page["Listeners"]}
        if place.port not in listeners:
            known = ", ".join(map(str, sorted(listeners))) or "none"
            raise Gone(f"load balancer {place.balancer} has no listener on port {place.port}; known: {known}. Correct the target in the policy.")
        found = Listener(listeners[place.port], arn)
        self._memory.listeners[place.listener] = found
        return found

    def _rules(self, listener: Listener) -> Sequence[Raw]:
        pages = self.caller.pages(calls.DESCRIBE_RULES, given="NextMarker", asked="Marker", ListenerArn=listener.arn)
        with shaped(f"listener {listener.arn}"):
            return [rule for page in pages for rule in page["Rules"]]
