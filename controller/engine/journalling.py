"""From decisions to durable rows and queued messages; what has to be done outside comes back as orders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from shlex import quote

import structlog

from rollbackd.controller.act.order import Order, limits_for
from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.claiming import writing
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.journal.values import How, Note, SeenChange, Standing
from rollbackd.controller.notify.messages import again_notice, fitted, notice_of, outside_notice, plain_notice
from rollbackd.controller.observe.changes import ChangeBook
from rollbackd.policies.blame.attribution import known_changes
from rollbackd.policies.blame.irreversible import crossed
from rollbackd.policies.decide.decisions import Act, Bake, Decision, Offer, Outside, Wait, WouldAct
from rollbackd.policies.decide.guards import cooldown_of
from rollbackd.policies.decide.hands import passed_by
from rollbackd.policies.decide.opening import neighbours
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Acked, Closed, CloseHow, Held, IncidentEvent, Joined, Opened, RungEnd, Stopped
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident, Phase, suspects_of
from rollbackd.policies.model.keys import namespace_of, recurs
from rollbackd.policies.model.policy import FlagsRung, OutsideWatch, Policy, RevertRung

log = structlog.get_logger()

Said = Opened | Joined | Stopped | Held | Closed


class Overtaken(Exception):
    """The incident has come further since the decision was made; nothing was written."""


class Journalling:
    """Writes what was decided. Every method is one transaction and idempotent: rows have keys."""

    def __init__(self, store: Store, told: Callable[[], None]) -> None:
        """``told``: called after a transaction that may have queued a message."""
        self._store = store
        self._told = told
        self._said: set[str] = set()

    def journal(
        self,
        policy: Policy,
        decisions: Sequence[Decision],
        fleet: Fleet,
        book: ChangeBook,
        policies: Mapping[str, Policy],
        decided_on: Incident | None,
    ) -> list[Order] | None:
        """The decisions are durable, in order; returns the orders, None where nothing was new. ``decided_on``: the incident as it was then.

        After a row that another replica wrote first, the rest is not ours to write. Raises Overtaken where another writer was between.
        """
        news = [decision for decision in decisions if getattr(decision, "key", None) not in self._said]
        orders: list[Order] = []
        if not news:
            return None
        with self._store.transaction() as tx:
            if decided_on is not None and tx.incident(decided_on.id) != decided_on:
                raise Overtaken
            for index, decision in enumerate(news):
                if isinstance(decision, Act | Offer):  # nothing follows an order but what begins at once with it
                    first, others = (decision.act, decision.others) if isinstance(decision, Offer) else (decision, _acts(news[index + 1 :]))
                    order = partial(self._order, tx, policy, fleet, book, policies, is_offer=isinstance(decision, Offer))
                    begun = order(first)
                    if isinstance(begun, Stopped):  # what would begin at once with it is for the next slot
                        self._write(tx, policy, begun, policies)
                    else:
                        orders.append(replace(begun, others=tuple(order(each) if isinstance(each, Act) else each for each in others)))
                    break
                if not self._write(tx, policy, decision, policies):
                    break
        self._said |= {decision.key for decision in news if isinstance(decision, WouldAct | Outside)}
        self._told()
        return orders

    def changes_seen(self, fresh: Iterable[SeenChange]) -> None:
        """The changes are in the log."""
        for seen in fresh:
            change = seen.change
            log.info("change.seen", target=change.target, change=change.id, revision=change.revision, ours=change.ours, parts=change.parts)

    def quarantined_again(self, book: ChangeBook, policies: Iterable[Policy], at: datetime) -> None:
        """A revision that was rolled back and that another writer brought back is told to people, once."""
        revisions = book.revisions()
        answered: frozenset[str] | None = None
        for target, revision in self._store.quarantined():
            seen = book.newest(target) if revisions.get(target) == revision else None
            if seen is None or seen.change.ours or seen.change.id in self._said:
                continue
            answered = frozenset().union(*self._store.answered().values()) if answered is None else answered
            if seen.change.id not in answered:  # the change that was rolled back is on its way out
                with self._store.transaction() as tx:
                    self._page_quarantined(tx, seen, policies, at)
                self._said.add(seen.change.id)
                self._told()

    def orphaned(self, incident: Incident, policies: Mapping[str, Policy], at: datetime) -> None:
        """An incident whose policy is gone is held, and people are told: nobody's ladder runs for it any more.

        What was only proposed ends once no policy watches its target: nobody would ever see that it is over.
        """
        is_watched = any(policy.target == incident.target for policy in policies.values())
        if incident.phase is Phase.HELD or (incident.phase is Phase.PROPOSED and is_watched):
            return
        event = _unwatched(incident, at) if incident.phase is Phase.PROPOSED else _unled(incident, at)
        with self._store.transaction() as tx:
            if tx.incident(incident.id) == incident and writing(tx, incident, tx.now()) is None and tx.record(event):
                self._tell(tx, event, None, policies)
        self._told()

    def _write(self, tx: Transaction, policy: Policy, decision: Decision, policies: Mapping[str, Policy]) -> bool:
        match decision:
            case Wait():
                return True
            case WouldAct():
                body = {"policy": decision.policy, "condition": decision.condition, "onset": decision.onset, "reason": decision.reason}
                if tx.note(Note("observed", decision.at, body, decision.target), decision.key):
                    log.info("rollback.would_have_begun", policy=decision.policy, target=decision.target, reason=decision.reason)
                return True
            case Outside():
                self._outside(tx, policy, decision)
                return True
            case Bake():
                for target, revision in decision.targets:
                    tx.mark(target, revision, Standing.GOOD, How.BAKED, decision.at, decision.reason)
                return True
            case Opened():
                if not tx.open(decision, namespace_of(decision.target)):
                    self._again(tx, policy, decision)
                    return False
                return self._tell(tx, decision, policy, policies)
            case Joined() | Stopped() | Held() | Closed():
                return tx.record(decision) and self._tell(tx, decision, policy, policies)
            case Act() | Offer():
                raise ValueError("an order is no row")

    def _again(self, tx: Transaction, policy: Policy, decision: Opened) -> None:
        """A change whose incident ended without an effect is in breach again: one incident is all it gets, so people are told, once a day."""
        former = tx.incident(decision.incident)
        if former is None or former.closed_at is None:  # another incident is open on the target
            return
        if decision.at <= former.closed_at:  # a look from before: this replica stood still while another one ended what it saw
            return
        body = {"policy": policy.name, "condition": decision.condition, "reason": decision.reason}
        key = f"{decision.incident}/breach.again/{decision.onset:%Y%m%d}"
        if tx.note(Note("breach.again", decision.at, body, decision.target, decision.incident), key):
            log.info("breach.again", incident=decision.incident, target=decision.target, reason=decision.reason)
            tx.queue(again_notice(key, decision), policy.notify)

    def _tell(self, tx: Transaction, event: Said, policy: Policy | None, policies: Mapping[str, Policy]) -> bool:
        incident = tx.incident(event.incident)
        log.info(f"incident.{type(event).__name__.lower()}", incident=event.incident, reason=event.reason)
        notice = notice_of(event, incident, policy) if incident is not None else None
        if notice is not None and incident is not None:
            tx.queue(notice, readers_of(tx, event, incident, policies))
        return True

    def _outside(self, tx: Transaction, policy: Policy, decision: Outside) -> None:
        body = {"policy": decision.policy, "condition": decision.condition, "reason": decision.reason}
        if any(tx.has_entry(key) for key in neighbours(policy, decision)):  # another replica told of it
            return
        if tx.note(Note("breach.outside_watch", decision.at, body, decision.target), decision.key):
            log.info("breach.outside_watch", policy=decision.policy, target=decision.target, reason=decision.reason)
            if decision.how is not OutsideWatch.IGNORE:
                tx.queue(outside_notice(decision), policy.notify)

    def _order(
        self, tx: Transaction, policy: Policy, fleet: Fleet, book: ChangeBook, policies: Mapping[str, Policy], act: Act, *, is_offer: bool
    ) -> Order | Stopped:
        limits = limits_for(fleet.limits, cooldown_of(policy, fleet), (*act.overrides, *passed_by(act.undo)))
        incident = tx.incident(act.incident)
        suspects = incident.suspects if incident is not None else (act.suspect or "",)
        before = book.parts_before(act.remedy.target, suspects, tx) if isinstance(act.remedy, FlagsRung) and act.suspect else {}
        contacts = contacts_of(incident, policies) if incident is not None else policy.notify
        known = known_changes(policy, book.of(policy.targets), fleet)
        # What takes an undo back does not say of itself that it is a revert, and yet it has a place to go to.
        is_return = isinstance(act.remedy, RevertRung) or act.undo is not None
        known_good = _candidates(tx, act, fleet, known, is_offer=is_offer) if is_return else ()
        blamed = suspects_of(incident, known) if incident is not None else ()
        goods = known_good if act.by or is_offer else _not_further_back(tx, act, known_good, blamed)
        if isinstance(goods, Stopped):
            return goods
        moment = min((change.started_early for change in blamed), default=None)
        return Order(act, policy, goods, before, limits, contacts, is_offer, moment=moment)

    def _page_quarantined(self, tx: Transaction, seen: SeenChange, policies: Iterable[Policy], at: datetime) -> None:
        change = seen.change
        key = f"quarantine:{change.target}:{change.id}"
        what, news = f"revision {change.revision}", "was rolled back before and is live again"
        title = fitted("NO ACTION TAKEN ", f"{change.target}: {what}", f" {news}")
        who = f"written by {seen.writer}" if seen.writer else "the writer is unknown"
        lines = (
            f"{what} {news}",
            f"{who}; nothing is done about it automatically",
            f"to allow a second rollback: rollbackd rearm {quote(change.target)} {quote(change.revision)}",
        )
        contacts = sorted({contact for policy in policies if change.target in policy.targets for contact in policy.notify})
        if tx.note(Note("quarantined.live_again", at, {"revision": change.revision, "writer": seen.writer}, change.target), key):
            tx.queue(plain_notice("quarantined", key, title, lines, at), contacts)


def _acts(decisions: Iterable[Decision]) -> tuple[Act | Stopped, ...]:
    return tuple(decision for decision in decisions if isinstance(decision, Act | Stopped))


def _candidates(tx: Transaction, act: Act, fleet: Fleet, changes: Sequence[Change], *, is_offer: bool) -> tuple[str, ...]:
    """Where a revert may go: to the known goods, newest first; what is undone by hand goes back to where it was, and nowhere else.

    What no person decided goes across no irreversible change, not even where the nearer revisions turn out to be gone.
    """
    if act.undo is not None:
        return (act.undo.from_revision,)
    since = tx.now() - fleet.limits.known_good_max_age
    goods = [known.revision for known in tx.good(act.remedy.target, since) if known.revision != act.from_revision]
    is_by_people = bool(act.by) or is_offer
    return tuple(revision for revision in goods if is_by_people or crossed(act.remedy.target, revision, changes) is None)


def _not_further_back(tx: Transaction, act: Act, goods: tuple[str, ...], blamed: Sequence[Change]) -> tuple[str, ...] | Stopped:
    """Of these known goods those that a revert may try unasked; its end where there is none of them.

    All, unless what runs was known good before the change that brought it back, as where a person has undone a release: what breaks now came with
    something else. Then only what has served since it last did: older and older revisions are for people to try.
    """
    target = act.remedy.target
    came = max((change.started_early for change in blamed if (change.target, change.revision) == (target, act.from_revision)), default=None)
    served = {line.revision: line for line in tx.ledger(target)}
    live = served.get(act.from_revision or "")
    if not goods or recurs(target) or came is None or live is None or live.standing is not Standing.GOOD or live.first_at >= came:
        return goods
    newer = tuple(revision for revision in goods if served[revision].last_at >= min(live.last_at, came))
    if newer:
        return newer
    reason = f"{live.revision} was known good before it came back at {came:%H:%M:%S}, and {', '.join(goods[:3])} is older: a person decides"
    return Stopped(act.incident, tx.now(), act.rung, target, RungEnd.REFUSED, reason, "look for what else changed")


def _new_contacts(event: Joined, incident: Incident, policies: Mapping[str, Policy]) -> tuple[str, ...]:
    """Those whom this row brings in: the others have been told already."""
    others = tuple(pair for pair in incident.joined if pair != (event.policy, event.condition))
    told = contacts_of(replace(incident, joined=others), policies)
    return tuple(contact for contact in contacts_of(incident, policies) if contact not in told)


def _unled(incident: Incident, at: datetime) -> Held:
    way = f"before anything is ordered there, end it: rollbackd ack {incident.id} --close"
    return Held(incident.id, at, "policy-removed", f"policy {incident.policy} is no longer loaded; look at {incident.target} by hand; {way}")


def _unwatched(incident: Incident, at: datetime) -> Closed:
    why = (
        f"policy {incident.policy} is no longer loaded, and no other one watches {incident.target}; nothing was done, whether it is well is not known"
    )
    return Closed(incident.id, at, CloseHow.SUPERSEDED, why)


def readers_of(tx: Transaction, event: IncidentEvent, incident: Incident, policies: Mapping[str, Policy]) -> tuple[str, ...]:
    """Those to whom the message about this row goes; that it is taken or over, also to those who were told and belong to none of its policies now.

    Else a page would stay open, and call people on, where a policy that joined has been removed since or has other contacts, and at the fallback.
    """
    if isinstance(event, Joined) and event.blame is None:
        return _new_contacts(event, incident, policies)
    told = sorted(parcels.contacts_of(tx, incident.id)) if isinstance(event, Acked | Closed) else ()
    return tuple(dict.fromkeys((*contacts_of(incident, policies), *told)))


def contacts_of(incident: Incident, policies: Mapping[str, Policy]) -> tuple[str, ...]:
    """Everyone whose policy opened the incident or joined it."""
    joined = (policies[name].notify for name, _ in incident.joined if name in policies)
    return tuple(dict.fromkeys((*incident.notify, *(contact for contacts in joined for contact in contacts))))
