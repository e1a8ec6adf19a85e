"""What people order: one rung of a policy's ladder, or an earlier write taken back. Each order is bound to the plan that the person saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from rollbackd.controller.act.dry_run import dry_undo
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.done import Decided
from rollbackd.controller.answers.past import DryRun, RungPlan
from rollbackd.controller.engine.orphans import is_orphan
from rollbackd.controller.explain.claim import claim_line, waits_for
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.observe.past_changes import is_first_sight
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.people.hands import Hands, every_block, held_back, may_pass
from rollbackd.controller.people.turn import (
    FOLLOW,
    as_begun,
    as_ordered,
    as_undo,
    ask_new,
    ask_rest,
    ask_turn,
    ask_unmoved,
    newest_order,
    order_under_way,
)
from rollbackd.policies.blame.attribution import known_changes
from rollbackd.policies.decide.hands import NEVER_ORDERED, blocks
from rollbackd.policies.known.changes import Change, just_seen
from rollbackd.policies.known.events import Applied, Closed, CloseHow, Intended, Opened, Ordered
from rollbackd.policies.known.incident import AT_WORK, UNDER_WAY, Incident, Phase, incident_id, suspects_of
from rollbackd.policies.model.keys import namespace_of
from rollbackd.policies.model.policy import Mode, Policy, RestoreRung


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants done. ``plan``: the digest that they were shown; ``rung`` counts from 1."""

    rung: int
    plan: str
    who: str
    reason: str
    overrides: tuple[str, ...] = ()


class ByHand:
    """Safe to call from several threads. Methods raise Denied and StoreError."""

    def __init__(self, desk: Desk, hands: Hands) -> None:
        self._desk = desk
        self._hands = hands
        self._store = desk.store

    def rollback(self, asked: str, wish: Wish) -> Decided:
        """The rung is ordered, as its plan was shown; nobody has to prove a breach. An open incident is taken on, else one is opened by hand."""
        may_pass(wish.overrides, wish.reason)
        policy = self._desk.policy(asked)
        incident = self._free_incident(policy, wish.rung)
        if incident is not None and incident.policy != policy.name:
            raise self._of_another(incident, policy)
        shown = _as_seen(self._desk.plan_in(incident, policy), wish)
        order = self._order(policy, policy.ladder[wish.rung - 1].target, shown, wish)
        if incident is not None:
            # A release that came meanwhile is not among them, unless the order is about it: then its plan says so.
            told = [target for target in policy.targets if target != policy.target or target == order.target]
            order = replace(order, incident=incident.id, known=just_seen(self._desk.engine.book.of(told), incident.opened_at))
        suspects = self._newest(policy)
        self._ask_guards(policy, incident, suspects, order, f"rollbackd rollback {quote(policy.name)}")
        with self._store.transaction() as tx:
            self._write(tx, policy, incident, order, suspects)
        return self._said(policy, order, incident)

    def plan(self, asked: str) -> DryRun:
        """What each rung of the policy's ladder would write now, but for one that is being carried out."""
        shown = self._desk.plan(asked)
        found = next((incident for incident in self._store.open_incidents() if incident.target == shown.target), None)
        if found is None or found.policy != shown.policy or found.phase not in UNDER_WAY:
            return shown
        order, begun, waits = order_under_way(self._store, found), found.rung + 1, waits_for(self._store, found)

        def under_way(rung: RungPlan) -> RungPlan:
            return as_begun(rung, found, waits) if order is None else as_ordered(rung, order, waits)

        return replace(shown, rungs=tuple(under_way(rung) if rung.number == begun else rung for rung in shown.rungs))

    def undo_plan(self, asked: str) -> DryRun:
        """What taking back the writes of an incident would do now; each of its writes is a rung, the newest last."""
        incident = self._desk.incident(asked)
        policy = self._policy_for(incident)
        return self._undo_plan(policy, incident, self._writes(incident))

    def undo(self, asked: str, wish: Wish) -> Decided:
        """This rung's write is ordered to be taken back, exactly; the incident, if it is still open, is closed as acknowledged."""
        may_pass(wish.overrides, wish.reason)
        incident = self._desk.incident(asked)
        ask_rest(self._store, incident)
        policy = self._policy_for(incident)
        write = next((write for write in self._writes(incident) if write.rung == wish.rung - 1), None)
        if write is None:
            raise Denied("unknown", f"rung {wish.rung} of {incident.id} wrote nothing", f"rollbackd history {incident.id}")
        shown = _as_seen(self._undo_plan(policy, incident, (write,)), wish)
        order = replace(self._order(policy, write.target, shown, wish), rung=0, undo=write)
        other = next((each for each in self._store.open_incidents() if each.target == policy.target and each.id != incident.id), None)
        if other is not None:
            raise Denied("blocked", f"{other.id} is open on {policy.target}", f"end it first: rollbackd ack {other.id} --close")
        # Asked as they will be of the new incident, which has spent no budget and suspects nobody: what it was let for here would hold it there.
        fresh = replace(incident, acted=False, suspects=()) if incident.is_open else None
        self._ask_guards(policy, fresh, (), order, f"rollbackd undo {incident.id}", wish.rung)
        with self._store.transaction() as tx:
            if incident.is_open:
                ask_unmoved(tx, incident)
                reason = f"{wish.who} ordered its write to be undone: {wish.reason}"
                self._hands.tell(tx, Closed(incident.id, order.at, CloseHow.ACKED, reason))
            self._write(tx, policy, None, order, ())
        return self._said(policy, order, None)

    # --- parts --------------------------------------------------------------------------------------------------------------------------

    def _free_incident(self, policy: Policy, rung: int) -> Incident | None:
        """The open incident on the policy's target, if a person may order this rung in it."""
        found = next((incident for incident in self._store.open_incidents() if incident.target == policy.target), None)
        if not 1 <= rung <= len(policy.ladder):
            raise Denied("invalid", f"policy {policy.name} has {len(policy.ladder)} rungs, there is no rung {rung}")
        if isinstance(policy.ladder[rung - 1], RestoreRung):
            advice = f"what it would do, and the command: rollbackd plan {quote(policy.name)}"
            raise Denied("blocked", f"rung {rung} of policy {policy.name} restores data: {NEVER_ORDERED}", advice)
        if found is not None:
            ask_new(self._store, found, rung - 1)
            ask_turn(self._store, found, rung - 1)
        return found

    def _undo_plan(self, policy: Policy, incident: Incident, writes: Sequence[Intended]) -> DryRun:
        """What taking these writes back would do now, each said to be an undo; one that is being taken back already is not planned."""
        shown = dry_undo(policy.name, incident.target, writes, self._desk.targets)
        open_here = [each for each in self._store.open_incidents() if each.target == incident.target and each.phase in (Phase.OPEN, *UNDER_WAY)]
        orders = [order for each in open_here if (order := newest_order(self._store, each)) is not None]
        return replace(shown, rungs=tuple(as_undo(rung, write, orders) for rung, write in zip(shown.rungs, writes, strict=True)))

    def _of_another(self, incident: Incident, policy: Policy) -> Denied:
        """What a person hears who names a policy while an incident of another one is open on its target."""
        why = f"{incident.id} is open on {policy.target} by policy {incident.policy}"
        if is_orphan(incident, dict(self._desk.engine.policies)):
            return Denied("blocked", f"{why}, which is no longer loaded", f"end it first: rollbackd ack {incident.id} --close")
        return Denied("invalid", why, f"name that policy: {incident.policy}")

    def _policy_for(self, incident: Incident) -> Policy:
        """A loaded policy that can watch over what is done on the incident's target."""
        policies = dict(self._desk.engine.policies)
        own = policies.get(incident.policy)
        if own is not None and own.target == incident.target:
            return own
        found = next((policy for _, policy in sorted(policies.items()) if policy.target == incident.target), None)
        if found is None:
            raise Denied("blocked", f"no loaded policy watches {incident.target}: nobody would verify what is done", "load one, or do it by hand")
        return found

    def _writes(self, incident: Incident) -> tuple[Intended, ...]:
        events = self._store.events(incident.id)
        accepted = {(event.rung, event.target) for event in events if isinstance(event, Applied)}
        found = tuple(event for event in events if isinstance(event, Intended) and (event.rung, event.target) in accepted)
        if not found and incident.phase in AT_WORK:
            why = f"{incident.id} is {incident.phase.value}: its write is still under way, and can be taken back once it has ended"
            raise Denied("blocked", f"{why}{waits_for(self._store, incident)}", FOLLOW)
        if not found:
            raise Denied("unknown", f"{incident.id} wrote nothing that could be taken back", f"rollbackd history {incident.id}")
        return found

    def _newest(self, policy: Policy) -> tuple[Change, ...]:
        """The newest change of each target of the ladder: what a person who orders a rollback wants undone."""
        book = self._desk.engine.book
        seen = (book.newest(target) for target in dict.fromkeys(rung.target for rung in policy.ladder))
        return tuple(each.change for each in seen if each is not None and not each.change.ours and not is_first_sight(each))

    def _ask_guards(
        self, policy: Policy, incident: Incident | None, suspects: Sequence[Change], order: Ordered, command: str, rung: int | None = None
    ) -> None:
        """Raises Denied while a guard holds that the order does not name. ``command``: what was typed, up to its options; ``rung``: as typed."""
        fleet, now = self._desk.fleet(), self._desk.now()
        known = known_changes(policy, self._desk.engine.book.of(policy.targets), fleet)
        blamed = suspects_of(incident, known) if incident is not None else suspects
        begins = (order.target,)
        if held := every_block(lambda passed: blocks(policy, incident, blamed, fleet, now, passed, order.undo, begins), order.overrides):
            raise held_back(held, f"{command} --rung {rung or order.rung + 1} --reason {quote(order.reason)}", order.overrides)

    def _order(self, policy: Policy, target: str, shown: RungPlan, wish: Wish) -> Ordered:
        at = self._desk.now()
        return Ordered(
            incident=incident_id(policy.target, _change_id(at)),
            at=at,
            rung=wish.rung - 1,
            target=target,
            from_revision=shown.from_revision or "",
            plan_digest=shown.digest,
            who=wish.who,
            reason=wish.reason,
            overrides=wish.overrides,
        )

    def _write(self, tx: Transaction, policy: Policy, incident: Incident | None, order: Ordered, suspects: Sequence[Change]) -> None:
        """The order is on record, in the open incident or in a new one that the person opens; in the open one only if it is still its turn."""
        # Asking the targets took seconds, in which another replica may have begun a rung: two writes would be under way at once.
        if incident is not None and (found := tx.incident(incident.id)) is not None and found.is_open:
            if found.policy != policy.name:
                raise self._of_another(found, policy)
            ask_turn(tx, found, order.rung)
        if incident is None and not tx.open(self._opening(policy, order, suspects), namespace_of(policy.target)):
            raise Denied("blocked", f"another incident was opened on {policy.target} just now; nothing was ordered", "look at it: rollbackd status")
        if not tx.record(order):
            raise Denied("blocked", f"{order.incident} was closed meanwhile; nothing was ordered", "look at it: rollbackd status")

    def _opening(self, policy: Policy, order: Ordered, suspects: Sequence[Change]) -> Opened:
        return Opened(
            incident=order.incident,
            at=order.at,
            target=policy.target,
            policy=policy.name,
            policy_digest=policy.digest,
            change_id=_change_id(order.at),
            revision=self._desk.engine.fleet.revisions.get(policy.target, ""),
            suspects=tuple(change.id for change in suspects),
            condition="",
            mode=Mode.AUTO,
            onset=order.at,
            reason=f"ordered by {order.who}: {order.reason}",
            evidence_digest="",
            notify=policy.notify,
            who=order.who,
            known=just_seen(self._desk.engine.book.of(policy.targets), order.at),
        )

    def _said(self, policy: Policy, order: Ordered, incident: Incident | None) -> Decided:
        """``incident``: as it stood before the order, which may have to wait for a write that was begun in it."""
        self._desk.engine.wake(policy.target)
        claim = claim_line(self._store, incident) if incident is not None else None
        waits = f", and waits: {claim.said}" if claim is not None else ""
        return Decided(order.incident, policy.target, True, f"ordered{waits}; follow it: rollbackd explain {quote(policy.target)}")


def _as_seen(now: DryRun, wish: Wish) -> RungPlan:
    """The rung's plan, if it is the one that the person was shown."""
    shown = next((rung for rung in now.rungs if rung.number == wish.rung), None)
    if shown is None or shown.outcome != "planned":
        why = f"{shown.outcome}: {shown.reason}" if shown is not None else "it does not exist"
        raise Denied("blocked", f"rung {wish.rung} cannot be carried out: {why}", shown.advice if shown is not None else "")
    if shown.digest != wish.plan:
        raise Denied("blocked", f"the plan is another one by now ({wish.plan[:12]} -> {shown.digest[:12]}); nothing was ordered", "look at it again")
    return shown


def _change_id(at: datetime) -> str:
    """Stands where a change's id would: no change is blamed, a person has decided."""
    return f"by-hand@{at:%Y%m%dT%H%M%S.%f}"
