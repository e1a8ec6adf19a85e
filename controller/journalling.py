"""From decisions to durable rows and queued messages; what has to be done outside comes back as orders."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog

from rollbackd.controller.act import Order, limits_for
from rollbackd.controller.changes import ChangeBook
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.journal.values import How, Note, SeenChange, Standing
from rollbackd.controller.messages import notice_of, outside_notice, plain_notice
from rollbackd.policies.decisions import Act, Bake, Decision, Outside, Wait, WouldAct
from rollbackd.policies.events import Closed, Held, Joined, Opened, Stopped
from rollbackd.policies.fleet import Fleet
from rollbackd.policies.guards import cooldown_of
from rollbackd.policies.incident import Incident, Phase
from rollbackd.policies.keys import namespace_of
from rollbackd.policies.model import FlagsRung, OutsideWatch, Policy

log = structlog.get_logger()


class Journalling:
    """Writes what was decided. Every method is one transaction and idempotent: rows have keys."""

    def __init__(self, store: Store, told: Callable[[], None]) -> None:
        """``told``: called after a transaction that may have queued a message."""
        self._store = store
        self._told = told

    def journal(self, policy: Policy, decisions: Sequence[Decision], fleet: Fleet, book: ChangeBook) -> list[Order]:
        """The decisions are durable, in order; returns the orders. After a row that another replica wrote first, the rest is not ours to write."""
        orders: list[Order] = []
        with self._store.transaction() as tx:
            for decision in decisions:
                if isinstance(decision, Act):
                    orders.append(self._order(tx, policy, decision, fleet, book))
                elif not self._write(tx, policy, decision):
                    break
        self._told()
        return orders

    def changes_seen(self, fresh: Iterable[SeenChange], policies: Iterable[Policy], at: datetime) -> None:
        """A revision that was rolled back and is live again is told to people, once; what it replaced served until now."""
        for seen in fresh:
            change = seen.change
            log.info("change.seen", target=change.target, change=change.id, revision=change.revision, ours=change.ours, parts=change.parts)
            if change.ours:
                continue
            with self._store.transaction() as tx:
                if (change.target, change.revision) in tx.quarantined():
                    self._page_quarantined(tx, seen, policies, at)

    def orphaned(self, incident: Incident, at: datetime) -> None:
        """An incident whose policy is gone is held: nobody's ladder runs for it any more."""
        if incident.phase in (Phase.HELD, Phase.PROPOSED):
            return
        reason = f"policy {incident.policy} is no longer loaded; look at {incident.target} by hand"
        with self._store.transaction() as tx:
            tx.record(Held(incident.id, at, "policy-removed", reason))

    def _write(self, tx: Transaction, policy: Policy, decision: Decision) -> bool:
        match decision:
            case Wait():
                return True
            case WouldAct():
                body = {"policy": decision.policy, "condition": decision.condition, "reason": decision.reason}
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
                return tx.open(decision, namespace_of(decision.target)) and self._tell(tx, decision, policy)
            case Joined() | Stopped() | Held() | Closed():
                return tx.record(decision) and self._tell(tx, decision, policy)
            case Act():
                raise ValueError("an order is no row")

    def _tell(self, tx: Transaction, event: Opened | Joined | Stopped | Held | Closed, policy: Policy) -> bool:
        incident = tx.incident(event.incident)
        log.info(f"incident.{type(event).__name__.lower()}", incident=event.incident, policy=policy.name, reason=event.reason)
        notice = notice_of(event, incident, policy) if incident is not None else None
        if notice is not None:
            tx.queue(notice, policy.notify)
        return True

    def _outside(self, tx: Transaction, policy: Policy, decision: Outside) -> None:
        body = {"policy": decision.policy, "condition": decision.condition, "reason": decision.reason}
        if tx.note(Note("breach.outside_watch", decision.at, body, decision.target), decision.key):
            log.info("breach.outside_watch", policy=decision.policy, target=decision.target, reason=decision.reason)
            if decision.how is not OutsideWatch.IGNORE:
                tx.queue(outside_notice(decision), policy.notify)

    def _order(self, tx: Transaction, policy: Policy, act: Act, fleet: Fleet, book: ChangeBook) -> Order:
        target = act.remedy.target
        since = tx.now() - fleet.limits.known_good_max_age
        good = tuple(known.revision for known in tx.good(target, since) if known.revision != act.from_revision)
        is_flags = isinstance(act.remedy, FlagsRung)
        before = book.parts_before(target, act.suspect) if is_flags and act.suspect else {}
        limits = limits_for(fleet.limits, cooldown_of(policy, fleet))
        return Order(act, policy, () if is_flags else good, before, limits, namespace_of(policy.target))

    def _page_quarantined(self, tx: Transaction, seen: SeenChange, policies: Iterable[Policy], at: datetime) -> None:
        change = seen.change
        key = f"quarantine:{change.target}:{change.id}"
        title = f"NO ACTION TAKEN {change.target}: revision {change.revision} was rolled back before and is live again"
        who = f"written by {seen.writer}" if seen.writer else "the writer is unknown"
        lines = (f"{who}; nothing is done about it automatically", f"to allow a second rollback: rollbackd rearm {change.target} {change.revision}")
        contacts = sorted({contact for policy in policies if change.target in policy.targets for contact in policy.notify})
        if tx.note(Note("quarantined.live_again", at, {"revision": change.revision, "writer": seen.writer}, change.target), key):
            tx.queue(plain_notice("quarantined", key, title, lines, at), contacts)
