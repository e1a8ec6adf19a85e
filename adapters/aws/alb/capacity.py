"""Whether the groups that get the traffic can carry it: healthy targets, and enough of them, before anything moves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rollbackd.adapters.aws.alb.actions import Actions, Raw, name_of, shares, weights_of
from rollbackd.adapters.aws.alb.reading import Reader
from rollbackd.adapters.base.errors import Refused

ENOUGH = 0.75
"""So much of the targets that serve now has to stand ready for the same share: releases are seldom scaled to the last target."""
_ADVICE = "Scale it up and wait until its targets are healthy, then try again."


@dataclass(frozen=True, slots=True)
class Strength:
    """Targets of a group: how many there are, how many would get requests; ``why``: the reason of one that would not."""

    registered: int
    healthy: int
    why: str = ""


def strength(states: list[Raw]) -> Strength:
    """What the health of its targets says of a group. Targets that are leaving do not count."""
    staying = [state for state in states if state.get("State") != "draining"]
    ill = next((f"{state.get('State')}, {state.get('Reason', 'no reason given')}" for state in staying if not _serves(state)), "")
    return Strength(len(staying), sum(map(_serves, staying)), ill)


def _serves(state: Raw) -> bool:
    """A function, or a group without health checks, has no health and serves all the same."""
    return state.get("State") == "healthy" or state.get("Reason") == "Target.HealthChecksDisabled"


def refuse_weak(reader: Reader, before: Actions, after: Actions) -> tuple[str, ...]:
    """A line for each group that will serve, with its count. Raises Refused where one could not carry its share."""
    serving, wanted = shares(weights_of(before)), shares(weights_of(after))
    strengths = {arn: strength(reader.health(arn)) for arn in {**serving, **wanted}}
    needed = demand(serving, strengths)
    return tuple(_fit(name_of(arn), share, strengths[arn], needed) for arn, share in sorted(wanted.items()))


def demand(serving: Mapping[str, float], strengths: Mapping[str, Strength]) -> float:
    """How many targets the whole traffic would need, by the busiest of the groups that serve now; 0 if none has targets."""
    return min((strengths[arn].registered / share for arn, share in serving.items() if strengths[arn].registered), default=0.0)


def _fit(name: str, share: float, found: Strength, needed: float) -> str:
    counts = f"{found.healthy} of {found.registered} targets healthy in target group {name}"
    if not found.healthy:
        why = f" ({found.why})" if found.why else ""
        raise Refused(f"{counts}{why}: it could carry nothing. Nothing was changed.", advice=_ADVICE)
    least = math.ceil(ENOUGH * share * needed)
    if found.healthy < least:
        sum_ = f"its share of {share:.0%} now takes {needed:.3g} x {share:.2g} targets, and {ENOUGH:.0%} of that, {least}, have to be healthy"
        raise Refused(f"{counts}: too few, {sum_}. Nothing was changed.", advice=_ADVICE)
    return f"{counts}, at least {max(least, 1)} needed for {share:.0%} of the requests"
