"""The actions of a rule as values: in one spelling, named by a revision that says its weights and is told apart by a digest of all the rest.

A revision reads ``blue:100,green:0;sticky:600@3f9a1c2b4d5e``: the weights by name of the target group, for how many seconds a client is
kept at its group, and a digest over everything that the rule says, the groups' ARNs, its other actions and its conditions included.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rollbackd.adapters.base.target import Json

Raw: TypeAlias = Mapping[str, Any]
Actions: TypeAlias = Sequence[Mapping[str, Json]]
_REVISION = re.compile(r"(?P<weights>[A-Za-z0-9-]+:\d+(,[A-Za-z0-9-]+:\d+)*)(;sticky:(?P<sticky>\d+))?@[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as read. ``frame``: what identifies it and is never written: its ARN, conditions and the like."""

    arn: str
    listener: str
    balancer: str
    is_default: bool
    frame: Mapping[str, Json]
    actions: Actions

    def named(self, actions: Actions) -> str:
        """The revision of the rule with these actions."""
        body = json.dumps([self.frame, actions], sort_keys=True, separators=(",", ":"), default=str)
        return f"{spelled(actions)}@{hashlib.sha256(body.encode()).hexdigest()[:12]}"

    @property
    def revision(self) -> str:
        """What it stands at."""
        return self.named(self.actions)


@dataclass(frozen=True, slots=True)
class Spelled:
    """What a revision says of itself: weights by the name of the group, and the stickiness in seconds."""

    weights: Mapping[str, int]
    sticky: int | None


def spelled(actions: Actions) -> str:
    """The part of a revision that people read."""
    weights = weights_of(actions)
    if not weights:
        return str(actions[-1]["Type"]) if actions else "no-action"
    text = ",".join(f"{name_of(arn)}:{weight}" for arn, weight in sorted(weights.items(), key=lambda pair: name_of(pair[0])))
    seconds = sticky_of(actions)
    return text if seconds is None else f"{text};sticky:{seconds}"


def read(revision: str) -> Spelled | None:
    """What the revision says, None if it has no weights."""
    found = _REVISION.fullmatch(revision)
    if found is None:
        return None
    pairs = (pair.split(":") for pair in found["weights"].split(","))
    return Spelled({name: int(weight) for name, weight in pairs}, int(found["sticky"]) if found["sticky"] else None)


def canonical(actions: Sequence[Raw]) -> Actions:
    """The actions in one spelling: in their order, a forward always as weights, nothing that is off or empty."""
    ordered = sorted(actions, key=lambda action: int(action.get("Order") or 0))
    return tuple(_forward(action) if action["Type"] == "forward" else json.loads(json.dumps(action)) for action in ordered)


def _forward(action: Raw) -> Mapping[str, Json]:
    config = action.get("ForwardConfig") or {}
    groups = config.get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    sticky = config.get("TargetGroupStickinessConfig") or {}
    weights = {str(group["TargetGroupArn"]): int(group.get("Weight", 1)) for group in groups}
    return forward(weights, int(sticky["DurationSeconds"]) if sticky.get("Enabled") else None, action.get("Order"))


def forward(weights: Mapping[str, int], sticky: int | None, order: int | None) -> Mapping[str, Json]:
    """The action that shares requests out by these weights, by ARN."""
    config: dict[str, Json] = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": weights[arn]} for arn in sorted(weights)]}
    if sticky is not None:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky}
    made: dict[str, Json] = {"Type": "forward", "ForwardConfig": config}
    if order is not None:
        made["Order"] = order
    return made


def with_forward(actions: Actions, weights: Mapping[str, int], sticky: int | None) -> Actions:
    """The actions with another forward at their end; all else as it is."""
    order: Any = actions[-1].get("Order") if actions else None
    return (*actions[:-1], forward(weights, sticky, order))


def weights_of(actions: Actions) -> dict[str, int]:
    """The weights by ARN; empty for a rule that forwards nothing."""
    config: Any = actions[-1].get("ForwardConfig") if actions else None
    return {group["TargetGroupArn"]: group["Weight"] for group in config["TargetGroups"]} if config else {}


def sticky_of(actions: Actions) -> int | None:
    """For how many seconds clients are kept at their group, None if they are not."""
    config: Any = actions[-1].get("ForwardConfig") if actions else None
    sticky = (config or {}).get("TargetGroupStickinessConfig")
    return int(sticky["DurationSeconds"]) if sticky else None


def sendable(actions: Actions) -> list[dict[str, Any]]:
    """The actions as Amazon takes them: what it does not give away it is told to keep, and what is off is said to be."""
    return [_sendable(json.loads(json.dumps(action))) for action in actions]


def _sendable(action: dict[str, Any]) -> dict[str, Any]:
    if action["Type"] == "forward":
        action["ForwardConfig"].setdefault("TargetGroupStickinessConfig", {"Enabled": False})
    if action["Type"] == "authenticate-oidc":
        # The client secret is never read back; without this word the rule would lose it.
        action["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
    return action


def shares(weights: Mapping[str, int]) -> dict[str, float]:
    """The part of the requests that each group with a weight gets."""
    total = sum(weights.values())
    return {arn: weight / total for arn, weight in weights.items() if weight} if total else {}


def name_of(arn: str) -> str:
    """The name of a target group."""
    return arn.split("/")[1] if arn.count("/") >= 2 else arn
