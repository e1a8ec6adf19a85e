"""What the actor is told to do, and how a plan for it becomes a durable intent."""

import hashlib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.target import Intent, Plan, PlanRequest
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.decide.hands import approvals_of
from rollbackd.policies.known.events import Intended, Offered, Stopped
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.keys import recurs
from rollbackd.policies.model.policy import Policy, RevertRung

PATIENCE = timedelta(seconds=30)
"""How long a decision may wait for a free worker, at least; two looks where those take longer. From its slot on it may take OLDEST times as long:
metrics that are slowly read are no reason to do nothing.
"""
OLDEST = 4


@dataclass(frozen=True, slots=True)
class Order:
    """A rung to try: the decision, the policy whose ladder it is, and what the plan may draw on.

    ``is_offer``: the plan is put to people, and nothing is written. ``others``: what begins at once with it, and what of that does not apply.
    ``moment``: when the first suspect began, at the earliest.
    """

    act: Act
    policy: Policy
    candidates: tuple[str, ...]
    before: Mapping[str, object]
    limits: Limits
    contacts: tuple[str, ...]
    is_offer: bool = False
    others: tuple["Order | Stopped", ...] = ()
    moment: datetime | None = None

    def is_late(self, begun: datetime, now: datetime) -> bool:
        """Whether its evidence is too old to act on, where it has waited since ``begun``."""
        patience = max(2 * self.policy.every, PATIENCE)
        return now - begun > patience or now - self.act.at > OLDEST * patience


def digest_of(plans: Sequence[Plan]) -> str:
    """What people approve: this plan, or all of these and no others."""
    return plans[0].digest if len(plans) == 1 else hashlib.sha256("\n".join(plan.digest for plan in plans).encode()).hexdigest()


def offer_of(order: Order, plans: Sequence[Plan], now: datetime) -> Offered:
    """The plans as they are put to people, under the rung and the target of the first: ``order`` is its."""
    intent, act, asked = plans[0].intent, order.act, approvals_of(order.policy, order.act.remedy)
    return Offered(
        incident=act.incident,
        at=now,
        rung=act.rung,
        target=intent.target,
        from_revision=intent.from_revision,
        to_revision=intent.to_revision,
        plan_digest=digest_of(plans),
        evidence_digest=act.evidence_digest,
        needed=asked.count,
        expires_at=now + asked.within,
        summary="; and at once: ".join(plan.summary for plan in plans),
        reason=act.reason,
        steps=tuple(step for plan in plans for step in plan.steps),
        not_undone=tuple(rest for plan in plans for rest in plan.not_undone),
        command="; ".join(plan.command for plan in plans if plan.command),
    )


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
        reverts=isinstance(act.remedy, RevertRung) and act.undo is None and not recurs(intent.target),
        by=act.by,
    )


def request_again(intended: Intended) -> PlanRequest:
    """The question whose plan is this intent's own end state, for a write that never arrived."""
    before, after = intended.record.get("before"), intended.record.get("after")
    undo = None
    if before and after:
        # Flags have recorded both. Where the write never arrived, taking back its reverse is the write itself: exact, also for an undo, and
        # whatever has been declared safe since.
        undo = Intent(intended.target, intended.incident, intended.to_revision, intended.from_revision, {"before": after, "after": before})
    return PlanRequest(intended.target, intended.incident, intended.from_revision, (intended.to_revision,), undo=undo)


def limits_for(limits: Limits, cooldown: timedelta, passed: Collection[str] = ()) -> Limits:
    """The guard table with the policy's own cool-down and without the guards that people passed by name, for the transaction that claims."""
    return replace(
        limits,
        cooldown=timedelta(0) if "cool-down" in passed else cooldown,
        in_flight_per_namespace=_unless("in-flight-namespace", passed, limits.in_flight_per_namespace),
        in_flight=_unless("in-flight", passed, limits.in_flight),
        per_hour=_unless("per-hour", passed, limits.per_hour),
        per_target_per_day=_unless("per-target-day", passed, limits.per_target_per_day),
    )


def _unless(guard: str, passed: Collection[str], limit: int) -> int:
    return sys.maxsize if guard in passed else limit
