"""What people decide about an incident: a plan approved or rejected, an incident taken, a verdict of ours called right or wrong.

Writes the journal and nothing else: the engine is woken and carries out what stands there.
"""

from collections.abc import Callable, Sequence
from shlex import quote

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.done import Decided
from rollbackd.controller.engine.journalling import readers_of
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import notice_of
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.people.turn import ask_rest
from rollbackd.policies.blame.attribution import known_changes
from rollbackd.policies.decide.guards import ALWAYS_ASKED, PASSABLE, Guard
from rollbackd.policies.decide.hands import blocks, short
from rollbackd.policies.known.events import Acked, Approved, Closed, CloseHow, Held, Offered
from rollbackd.policies.known.incident import UNDER_WAY, Incident, suspects_of
from rollbackd.policies.known.reasons import clock_text

SHORTEST_PLAN = 8
"""So many digits of a plan's digest name it, at least."""


class Hands:
    """Safe to call from several threads. Methods raise Denied and StoreError; what was denied for a wrong plan is on record too."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    def approve(self, incident_id: str, plan: str, who: str, reason: str, overrides: Sequence[str] = ()) -> Decided:
        """The person approves the plan that is put to people, if it is the one they name; once enough do, it is carried out."""
        may_pass(overrides, reason)
        incident = self.open_incident(incident_id)
        if self._is_carried_out(incident, plan):
            return _approved_already(incident)
        offer = self._offered(incident, plan, who)
        held = every_block(lambda passed: self._block(incident, passed), overrides)
        event = Approved(incident.id, self._desk.now(), offer.plan_digest, who, reason, tuple(overrides))
        with self._store.transaction() as tx:
            found = tx.incident(incident.id) or incident
            is_new = not held and _waits_with(found, offer) and tx.record(event)
            after = tx.incident(incident.id) or found
        if self._is_carried_out(found, offer.plan_digest):
            return _approved_already(found)
        if not _waits_with(found, offer):
            raise _moved_on(found, offer)
        if held:  # said last: a plan that somebody else got going may be what the guard has seen
            raise held_back(held, f"rollbackd approve {incident.id} --plan {short(offer)} --reason {quote(reason or 'why')}", overrides)
        self._desk.engine.wake(incident.target)
        got = f"{len(after.approvals)} of {offer.needed} approvals"
        said = f"plan {short(offer)} has {got}" if is_new else f"you had approved plan {short(offer)} before: {got}"
        return Decided(incident.id, incident.target, is_new, said if len(after.approvals) < offer.needed else f"{said}: it is carried out now")

    def reject(self, incident_id: str, plan: str, who: str, reason: str) -> Decided:
        """The plan is not carried out, and the incident is held."""
        incident = self.open_incident(incident_id)
        offer = self._offered(incident, plan, who)
        event = Held(incident.id, self._desk.now(), "rejected", f"{who} rejected plan {short(offer)} ({offer.summary}): {reason}")
        with self._store.transaction() as tx:
            # Who approved it meanwhile was first: an incident that writes must not come to stand as held.
            if not _waits_with(found := tx.incident(incident.id) or incident, offer):
                raise _moved_on(found, offer)
            self.tell(tx, event)
        self._desk.engine.wake(incident.target)
        return Decided(incident.id, incident.target, True, f"plan {short(offer)} is rejected; nothing was written, the incident is held")

    def ack(self, incident_id: str, who: str, note: str, *, close: bool) -> Decided:
        """The person has the incident: nothing more is begun in it by itself. ``close``: and it is over."""
        incident = self.open_incident(incident_id)
        at = self._desk.now()
        with self._store.transaction() as tx:
            # Asked here: whoever waited for this may find that a step was claimed in the meantime.
            found = tx.incident(incident.id) or incident
            if close:
                ask_rest(tx, found, "ack it without --close")
            self.tell(tx, Acked(incident.id, at, who, note))
            if close:
                self.tell(tx, Closed(incident.id, at, CloseHow.ACKED, f"closed by {who}{f': {note}' if note else ''}"))
        self._desk.engine.wake(incident.target)
        return Decided(incident.id, incident.target, True, "it is closed" if close else "it is yours: nothing more is begun by itself")

    def label(self, incident_id: str, label: str, who: str, note: str) -> Decided:
        """The journal has whether the incident was right, for whoever counts how often it is; the newest label is the one that holds."""
        incident = self._desk.incident(incident_id)
        with self._store.transaction() as tx:
            tx.note(Note("incident.labelled", self._desk.now(), {"label": label, "who": who, "note": note}, incident.target, incident.id))
        return Decided(incident.id, incident.target, True, f"labelled {label}")

    def tell(self, tx: Transaction, event: Acked | Closed | Held) -> None:
        """The event is on record, and whoever has to know is told."""
        if not tx.record(event):
            return
        incident, policies = tx.incident(event.incident), dict(self._desk.engine.policies)
        if incident is not None and (notice := notice_of(event, incident, policies.get(incident.policy))) is not None:
            tx.queue(notice, readers_of(tx, event, incident, policies))

    # --- parts --------------------------------------------------------------------------------------------------------------------------

    def open_incident(self, incident_id: str) -> Incident:
        """The incident, which is open. Raises Denied."""
        found = self._desk.incident(incident_id)
        if not found.is_open:
            closed = f"{found.closed_at:%Y-%m-%d %H:%M:%S} UTC" if found.closed_at else "before"
            raise Denied("blocked", f"{found.id} was closed at {closed} ({found.how.value if found.how else 'closed'})")
        return found

    def _offered(self, incident: Incident, plan: str, who: str) -> Offered:
        """The plan that people are asked about, if it is this one and its time is not up."""
        offer, now = incident.offer, self._desk.now()
        if offer is None:
            why = f"{incident.id} is {incident.phase.value}: no plan of it waits for people"
            raise Denied("blocked", why, f"rollbackd explain {quote(incident.target)}")
        if len(plan) < SHORTEST_PLAN or not offer.plan_digest.startswith(plan):
            self._refuse(incident, offer, plan, who)
        if now >= offer.expires_at:
            raise Denied("blocked", f"plan {short(offer)} waited until {clock_text(offer.expires_at, now)} UTC: its time is up")
        return offer

    def _is_carried_out(self, incident: Incident, plan: str) -> bool:
        """Whether what is under way in the incident is this plan, because people approved it."""
        if incident.offer is not None or incident.phase not in UNDER_WAY or len(plan) < SHORTEST_PLAN:
            return False
        return any(isinstance(event, Approved) and event.plan_digest.startswith(plan) for event in self._store.events(incident.id))

    def _refuse(self, incident: Incident, offer: Offered, plan: str, who: str) -> None:
        body = {"named": plan[:64], "offered": offer.plan_digest, "who": who}
        with self._store.transaction() as tx:
            tx.note(Note("approval.refused", self._desk.now(), body, incident.target, incident.id))
        message = f"{plan[:16]!r} is not the plan that {incident.id} waits with: that is {short(offer)} ({offer.summary}); nothing was decided"
        raise Denied("blocked", message, f"read it first: rollbackd explain {quote(incident.target)}")

    def _block(self, incident: Incident, overrides: Sequence[str]) -> Guard | None:
        """The guard that holds the plan that waits. Raises Denied."""
        policy = dict(self._desk.engine.policies).get(incident.policy)
        if policy is None:
            why = f"policy {incident.policy} is no longer loaded: its ladder cannot run"
            raise Denied("blocked", why, f"load it again, or end it: rollbackd ack {incident.id} --close")
        changes = known_changes(policy, self._desk.engine.book.of(policy.targets), self._desk.engine.fleet)
        blamed = suspects_of(incident, changes)
        return blocks(policy, incident, blamed, self._desk.fleet(), self._desk.now(), overrides)


def may_pass(overrides: Sequence[str], reason: str) -> None:
    """Raises Denied unless every guard may be passed by a person, and the person says why."""
    for guard in overrides:
        if guard in ALWAYS_ASKED:
            raise Denied("blocked", f"the guard {guard!r} is never passed", "lift it first: rollbackd resume")
        if "," in guard:
            raise Denied("invalid", f"{guard!r} is no name of one guard", "give --override once for each")
        if guard not in PASSABLE:
            raise Denied("invalid", f"there is no guard {guard!r} that may be passed", f"these may: {', '.join(PASSABLE)}")
    if overrides and not reason:
        raise Denied("invalid", "a guard is passed only with a reason", "--reason 'why'")


def _waits_with(incident: Incident, offer: Offered) -> bool:
    """Whether it is still this plan that people are asked about."""
    return incident.is_open and incident.offer is not None and incident.offer.plan_digest == offer.plan_digest


def _approved_already(incident: Incident) -> Decided:
    said = f"it was approved already and is being carried out ({incident.phase.value}): rollbackd explain {quote(incident.target)}"
    return Decided(incident.id, incident.target, False, said)


def _moved_on(incident: Incident, offer: Offered) -> Denied:
    """What a person hears whose plan stopped waiting while they decided."""
    why = f"plan {short(offer)} does not wait for people any more: {incident.id} is {incident.phase.value}; nothing was decided"
    return Denied("blocked", why, f"rollbackd explain {quote(incident.target)}")


def every_block(ask: Callable[[Sequence[str]], Guard | None], passed: Sequence[str]) -> tuple[Guard, ...]:
    """Every guard that holds but for those in ``passed``, in the order in which they are asked. ``ask``: the first that does, but for those named.

    Behind one that nobody passes no other is seen.
    """
    found: list[Guard] = []
    while (block := ask((*passed, *(guard.name for guard in found)))) is not None:
        found.append(block)
        if block.name not in PASSABLE:
            break
    return tuple(found)


def held_back(found: Sequence[Guard], command: str, passed: Sequence[str]) -> Denied:
    """What a person hears whom guards hold back: each of them, and the whole ``command`` that passes all at once, where they may be passed."""
    why = "; ".join(f"held by {guard.name}: {guard.blocks}" for guard in found)
    if any(guard.name not in PASSABLE for guard in found):
        return Denied("blocked", why)
    # Named one by one, the first would be forgotten by the time that the second is heard of.
    names = dict.fromkeys((*passed, *(guard.name for guard in found)))
    return Denied("blocked", why, f"to do it all the same: {command}{''.join(f' --override {name}' for name in names)}")
