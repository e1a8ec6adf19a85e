"""What the actor is told to do, and how a plan for it becomes a durable intent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.target import Plan
from rollbackd.policies.decisions import Act
from rollbackd.policies.events import Intended
from rollbackd.policies.fleet import Limits
from rollbackd.policies.model import Policy, RevertRung


@dataclass(frozen=True, slots=True)
class Order:
    """A rung to try: the decision, the policy whose ladder it is, and what the plan may draw on."""

    act: Act
    policy: Policy
    candidates: tuple[str, ...]
    before: Mapping[str, object]
    limits: Limits
    contacts: tuple[str, ...]


def intent_to(plan: Plan, act: Act, now: datetime) -> Intended:
    """The plan as the journal keeps it, with the claim's end and the rollout's."""
    intent = plan.intent
    return Intended(
        incident=act.incident,
        at=now,
        rung=act.rung,
        target=intent.target,
        from_revision=intent.from_revision,
        to_revision=intent.to_revision,
        plan_digest=plan.digest,
        evidence_digest=act.evidence_digest,
        deadline=now + plan.apply_within,
        summary=plan.summary,
        steps=plan.steps,
        not_undone=plan.not_undone,
        command=plan.command,
        record=dict(intent.record),
        complete_by=now + plan.deadline,
        settle_seconds=plan.settle.total_seconds(),
        reverts=isinstance(act.remedy, RevertRung),
    )


def limits_for(limits: Limits, cooldown: timedelta) -> Limits:
    """The guard table with the policy's own cool-down, for the transaction that claims."""
    return replace(limits, cooldown=cooldown)
