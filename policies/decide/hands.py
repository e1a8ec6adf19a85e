"""What people decide: plans that wait for their approval, and what they order themselves."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.policies.decide import ladder, proof
from rollbackd.policies.decide.decisions import Act, Decision, Wait
from rollbackd.policies.decide.guards import ALWAYS_ASKED, Guard, destination, first_block, guards, running_guards
from rollbackd.policies.decide.slot import Slot
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Approved, Held, Intended, Offered, Ordered
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident, suspects_of
from rollbackd.policies.known.reasons import clock_text
from rollbackd.policies.model.keys import is_handed_over, recurs
from rollbackd.policies.model.policy import Approvals, FlagsRung, Mode, Policy, RestoreRung, RevertRung, Rung

TWO = Approvals(2, timedelta(minutes=30))
"""So many people approve a restore at least, and at most so late, whatever the policy says."""
NEVER_ORDERED = "it is two people's to approve, when the ladder comes to it, and no one person's to order"
"""Of a restore."""


def approvals_of(policy: Policy, rung: Rung) -> Approvals:
    """Who has to approve a plan for the rung."""
    asked = policy.approvals
    return Approvals(max(asked.count, TWO.count), min(asked.within, TWO.within)) if isinstance(rung, RestoreRung) else asked


def await_approval(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    """A plan was put to people: carried out once enough of them approve it and the breach is proven, held once its time is up."""
    offer = incident.offer
    if (over := proof.is_over(slot, incident)) is not None:
        return (over,)
    if offer is None:
        return (Wait("no plan is put to people"),)
    if (other := proof.other_writer(slot, incident)) is not None:
        # What was planned, and maybe approved, stood on what is gone.
        return (replace(other, reason=f"{other.reason}: plan {short(offer)} is not carried out"),)
    rung = slot.policy.ladder[offer.rung] if offer.rung < len(slot.policy.ladder) else None
    if rung is None or rung.target != offer.target:
        return (Held(incident.id, slot.at, "policy-changed", f"the ladder of policy {slot.policy.name} is no longer the one of plan {short(offer)}"),)
    allowed = proof.acting_mode(slot, incident)
    is_approved = len(incident.approvals) >= offer.needed
    blamed = suspects_of(incident, slot.changes)
    mode = ladder.group_mode(slot, offer.rung, blamed, allowed or Mode.APPROVE)
    if mode < Mode.APPROVE:
        return (Held(incident.id, slot.at, "mode", f"the mode is {mode.name.lower()} by now: plan {short(offer)} is not carried out"),)
    # Who approved a restore did so for a loss of data that grows: late is late, even if the last approval was in time.
    is_late = isinstance(rung, RestoreRung) and slot.at >= offer.expires_at
    if allowed is not None and (is_approved or mode is Mode.AUTO) and not is_late:
        return _begin_approved(slot, incident, offer, incident.approvals if is_approved else ())
    if slot.at >= offer.expires_at:
        return (Held(incident.id, slot.at, "approval", _expired(slot, incident, offer)),)
    return (Wait(_waiting(slot, incident, offer)),)


def short(offer: Offered) -> str:
    """The plan's digest as people type it."""
    return offer.plan_digest[:12]


def blocks(
    policy: Policy,
    incident: Incident | None,
    suspects: Sequence[Change],
    fleet: Fleet,
    at: datetime,
    passed: Collection[str],
    undo: Intended | None = None,
    begins: Collection[str] | None = None,
    *,
    is_of_people: bool = True,
) -> Guard | None:
    """The guard that holds what a person has decided, but for those in ``passed``, which the person named. None: nothing does.

    ``begins``: the targets that are about to be written to; None: that of ``undo``, or those of the rungs that are next.

    An incident that was acknowledged is in people's hands, and these people decide; whose fault it is they have decided too. Its budgets were
    spent if it acted before. Taking a write back does not wait for the cool-down that this very write began. With ``is_of_people`` False nobody has
    decided: what the machine may begin by itself is held by whatever holds the machine.
    """
    if begins is None and undo is not None:
        begins = (undo.target,)
    found = running_guards(suspects, fleet, policy, at, incident, begins)
    if incident is None or not incident.acted:
        found = guards(policy, suspects, fleet, at, incident, begins)
    if undo is not None:  # also where it takes an undo back: the third one goes to the revision that the first had left
        found = (*found, destination(undo.target, undo.from_revision, fleet))
    let = {*passed, *passed_by(undo)} if is_of_people else ()
    return first_block([guard for guard in found if guard.name in ALWAYS_ASKED or guard.name not in let])


def passed_by(undo: Intended | None) -> tuple[str, ...]:
    """The guards that are not asked of people's decisions at all."""
    return ("acknowledged", "suspects") if undo is None else ("acknowledged", "suspects", "cool-down")


def _begin_approved(slot: Slot, incident: Incident, offer: Offered, approvals: Sequence[Approved]) -> tuple[Decision, ...]:
    blamed = suspects_of(incident, slot.changes)
    overrides = tuple(dict.fromkeys(guard for approval in approvals for guard in approval.overrides))
    by = tuple(approval.who for approval in approvals)
    digest = offer.plan_digest if approvals else None
    why = offer.reason
    acts = ladder.acts_from(slot, incident, offer.rung, blamed, lambda _: why, plan_digest=digest, by=by, overrides=overrides)
    begins = [act.remedy.target for act in acts if isinstance(act, Act)]
    if block := blocks(slot.policy, incident, blamed, slot.fleet, slot.at, overrides, begins=begins, is_of_people=bool(approvals)):
        return (Held(incident.id, slot.at, block.name, block.blocks or block.value),)
    return acts


def _expired(slot: Slot, incident: Incident, offer: Offered) -> str:
    until = clock_text(offer.expires_at, slot.at)
    if len(incident.approvals) >= offer.needed:
        if is_handed_over(offer.target):
            return f"plan {short(offer)} was approved, but not begun by {until}: its time is up; nothing was made"
        why = f"not proven again by {until}: {proof.all_reasons(slot, incident)}"
        return f"plan {short(offer)} was approved, but the breach was {why}"
    got = f"{len(incident.approvals)} of {offer.needed}"
    return f"plan {short(offer)} had {got} approvals by {until}; nothing was written: {offer.summary}"


def _waiting(slot: Slot, incident: Incident, offer: Offered) -> str:
    names = ", ".join(approval.who for approval in incident.approvals)
    got = f"{len(incident.approvals)} of {offer.needed} approvals{f' ({names})' if names else ''}"
    tail = "; the breach is not proven at this slot" if len(incident.approvals) >= offer.needed else ""
    return f"plan {short(offer)} awaits people until {clock_text(offer.expires_at, slot.at)}: {got}{tail}: {proof.all_reasons(slot, incident)}"


def obey(slot: Slot, incident: Incident, order: Ordered) -> tuple[Decision, ...]:
    """What a person ordered, unless a guard holds it that the order does not name. No proof is asked for: a person has decided.

    Guards are asked as of the order, where the slot is older: what was over when the person was told so must not hold it.
    """
    slot = replace(slot, at=max(slot.at, order.at))
    blamed = suspects_of(incident, slot.changes)
    if block := blocks(slot.policy, incident, blamed, slot.fleet, slot.at, order.overrides, order.undo, (order.target,)):
        reason = f"ordered by {order.who}, but {block.blocks}"
        return (Held(incident.id, slot.at, block.name, reason),)
    rung = _remedy(slot, order)
    if rung is None:
        return (Held(incident.id, slot.at, "policy-changed", f"policy {slot.policy.name} has no rung for {order.target} any more"),)
    if isinstance(rung, RestoreRung):
        return (Held(incident.id, slot.at, "approval", f"ordered by {order.who}, but rung {order.rung + 1} restores data: {NEVER_ORDERED}"),)
    why = f"ordered by {order.who}: {order.reason}"
    act = ladder.act_on(slot, incident, order.rung, rung, blamed, why, plan_digest=order.plan_digest, by=(order.who,), overrides=order.overrides)
    return (replace(act, from_revision=order.from_revision, undo=order.undo),)


def _remedy(slot: Slot, order: Ordered) -> Rung | None:
    if order.undo is not None:
        return RevertRung(order.target) if order.undo.reverts or recurs(order.target) else FlagsRung(order.target, only_changed=False)
    rung = slot.policy.ladder[order.rung] if order.rung < len(slot.policy.ladder) else None
    return rung if rung is not None and rung.target == order.target else None
