"""The one place that acts. It contains no policy: plan, claim with a durable intent, write once; ``outcome`` finds out what became of it."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile

import structlog

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Plan, Target
from rollbackd.controller.act.deaths import Deadly, Deaths
from rollbackd.controller.act.order import Order, digest_of, intent_to, offer_of
from rollbackd.controller.act.outcome import Outcomes, is_past
from rollbackd.controller.act.planning import Planned, Planning
from rollbackd.controller.act.takeover import Takeover
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Claim
from rollbackd.controller.notify.messages import notice_of
from rollbackd.controller.notify.unreached import Postponed, Unreached
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.pause.places import why_paused
from rollbackd.controller.pools import begun
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.events import Held, Intended, Offered, RungEnd, Stopped
from rollbackd.policies.known.incident import Incident, Phase, has_ended
from rollbackd.policies.model.policy import Policy

log = structlog.get_logger()

WORKERS = 4
"""So many threads wait for work; where more is to be done at once, more begin."""
_SLOW = "metrics are read too slowly, or too much is under way; nothing was written"
SETTLES_ITSELF = ("claimed", "closed", "held", "acknowledged", "ordered", "deadline")
"""Why a claim is not given that is somebody else's doing, or is decided again at the next slot: nobody need be told."""


class Actor:
    """Carries orders out, each incident's one after the other, several incidents at once."""

    def __init__(
        self,
        store: Store,
        targets: Mapping[str, Target],
        pause: Pause,
        now: Callable[[], datetime],
        done: Callable[[str], None],
        told: Callable[[], None],
        *,
        failed: Callable[[str], None] = lambda _: None,
        most: int = WORKERS,
        look_every: timedelta = timedelta(seconds=1),
        pool: Executor | None = None,
        stop: threading.Event | None = None,
        steady: Callable[[], float] | None = None,
        deaths: Deaths | None = None,
    ) -> None:
        """``done`` is told the watched target after every outcome, ``told`` that a message was queued, ``failed`` why the store took nothing.

        ``most``: so many incidents are acted on at once. ``look_every`` paces looking at what is under way. ``pool`` instead of threads of its
        own, and ``stop``: where time is not the wall's. ``steady``: see Outcomes, and Plan.begun.
        """
        self._store = store
        self._targets, self._pause, self._now = targets, pause, now
        self._done, self._told, self._failed = done, told, failed
        self._stop = stop or threading.Event()
        self._steady = steady or time.monotonic
        self._deaths = deaths or Deaths()
        self._outcomes = Outcomes(store, now, self._stop, look_every, steady, self._is_ordered, self._deaths)
        self._busy: set[str] = set()
        self._asked: set[str] = set()  # busy ones in which something was to begin meanwhile
        self._unreached = Unreached(has_others=store.database.is_shared)
        self._planning = Planning(targets, self._unreached, now, self._deaths)
        self._takeover = Takeover(store, targets, pause, self._outcomes, self._write, self._deaths)
        self._lock = threading.RLock()
        self._pool = pool or begun(min(WORKERS, most), "act", most)

    def close(self) -> None:
        """No further step begins; one that is under way ends at its next checkpoint. Open intents are resumed after the next start."""
        with self._lock:
            self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def is_busy(self, incident: str) -> bool:
        """True while something is being done for the incident here."""
        return incident in self._busy

    def begin(self, order: Order) -> None:
        """The order is being carried out; where its incident is busy, it is decided again once that is over."""
        with self._lock:
            if order.act.incident in self._busy:
                self._asked.add(order.act.incident)
            begun = self._now()
            self._submit(order.act.incident, order.policy, order.contacts, lambda: self._carry_out(order, begun))

    def resume(self, incident: Incident, policy: Policy) -> None:
        """The incident's open intent is being brought to its outcome, by asking the target first; nothing happens if it is busy."""
        intended = incident.intent
        if intended is not None and incident.phase in (Phase.ACTING, Phase.SETTLING):
            contacts = tuple(dict.fromkeys((*incident.notify, *policy.notify)))
            self._submit(incident.id, policy, contacts, lambda: self._pick_up(incident, intended, policy))

    def _submit(self, incident: str, policy: Policy, contacts: tuple[str, ...], work: Callable[[], None]) -> None:
        with self._lock:
            if incident in self._busy or self._stop.is_set():
                return
            self._busy.add(incident)
            self._pool.submit(self._run, incident, policy, contacts, work)  # under the lock: a pool that was shut down takes nothing

    def _run(self, incident: str, policy: Policy, contacts: tuple[str, ...], work: Callable[[], None]) -> None:
        is_news = is_asked = False
        try:
            before = self._store.incident(incident)
            self._sheltered(incident, policy, contacts, work)
            is_news = self._store.incident(incident) != before
        except StoreError as fault:  # without an intent nothing was written; without an outcome the target is asked for it
            self._failed(str(fault))
        except Postponed:
            pass
        finally:
            with self._lock:
                self._busy.discard(incident)
                is_asked = incident in self._asked
                self._asked.discard(incident)
        if is_news or is_asked:  # else deciding at once again would come to the same at once again
            self._done(policy.target)

    def _is_ordered(self, incident: str) -> bool:
        """Whether something else is to begin in this busy incident, because a person has ordered it."""
        found = self._store.incident(incident) if incident in self._asked else None
        return found is not None and found.order is not None

    def _sheltered(self, incident: str, policy: Policy, contacts: tuple[str, ...], work: Callable[[], None]) -> None:
        """The work was done, or a bug in it has put the incident into people's hands: it must neither kill the daemon nor be tried for ever."""
        try:
            work()
        except (StoreError, Postponed):
            raise
        except Deadly as deaths:
            self._told_of(Held(incident, self._now(), "crash-loop", str(deaths)), policy, contacts)
            self._deaths.forget(incident)  # what a person orders begins anew
        except Exception as bug:  # the seam
            log.exception("act.crashed", incident=incident)
            reason = f"rollbackd failed in itself ({type(bug).__name__}: {bug}); what was written is in the journal; look at target and log"
            self._told_of(Held(incident, self._now(), "bug", reason), policy, contacts)

    # --- a new rung --------------------------------------------------------------------------------------------------------------------

    def _carry_out(self, order: Order, begun: datetime) -> None:
        act = order.act
        if self._is_late(order, begun):
            return
        group = self._planning.group(order)
        plans = [each for each in group if isinstance(each, Planned)]
        if plans and order.is_offer:
            self._put_to_people(plans, group)
        elif plans and act.plan_digest not in (None, digest_of([each.plan for each in plans])):
            self._plan_has_changed(plans, group)
        else:
            self._begin_all(group, order)

    def _is_late(self, order: Order, begun: datetime) -> bool:
        """Whether the evidence is too old by now: the next slot decides anew. Where all come too late, the incident is held. An order needs none."""
        incident, now = self._store.incident(order.act.incident), self._now()
        if not order.is_late(begun, now) or incident is None or incident.order is not None:
            return False
        age = now - order.act.at
        log.warning("act.late", incident=incident.id, rung=order.act.rung, seconds=age.total_seconds())
        if now - incident.rested_at >= order.policy.timing.give_up:
            self._hold(order, "late", f"what is decided comes too late to be carried out, this time by {age.total_seconds():.0f} s: {_SLOW}")
        return True

    def _begin_all(self, group: Sequence[Planned | Stopped], order: Order) -> None:
        """Each of the group was begun, in the ladder's order; then what the targets accepted is complete, or why not is on record.

        None waits for the end state of another, nor for its luck: only where an end is final, where nobody knows what became of a write, or where
        nothing more may begin, the rest is left.
        """
        accepted: list[Intended] = []
        for each in group:
            if each is not group[0] and not self._may_go_on(order.act.incident):
                break
            if isinstance(each, Stopped):
                self._outcomes.unbegun(each, order.act)
            elif (claim := self._claim(each.plan, each.order)) is not None and self._write(each.target, each.plan, claim):
                accepted.append(claim.intended)
        self._complete(accepted, order.policy)

    def _may_go_on(self, incident_id: str) -> bool:
        incident = self._store.incident(incident_id)
        return not self._stop.is_set() and incident is not None and incident.phase not in (Phase.ACTING, Phase.HELD) and not has_ended(incident)

    def _complete(self, accepted: Iterable[Intended], policy: Policy) -> None:
        for intended in accepted:
            self._outcomes.complete(self._planning.target(intended.target), intended, policy)

    def _put_to_people(self, plans: Sequence[Planned], group: Sequence[Planned | Stopped]) -> None:
        """People are asked about the plans, as one; what ended before the first of them is on record."""
        order = plans[0].order
        for ended in takewhile(lambda each: each is not plans[0], group):
            if isinstance(ended, Stopped):
                self._outcomes.unbegun(ended, order.act)
        offered = offer_of(order, [each.plan for each in plans], self._now())
        log.info("plan.offered", incident=offered.incident, rung=offered.rung, plan=offered.plan_digest, needed=offered.needed)
        self._told_before(order, offered)

    def _plan_has_changed(self, plans: Sequence[Planned], group: Sequence[Planned | Stopped]) -> None:
        """People decided on another plan than the one that would be carried out now: they are asked about this one; an order of theirs is held."""
        order = plans[0].order
        incident = self._store.incident(order.act.incident)
        if incident is not None and incident.order is None:
            self._put_to_people(plans, group)
            return
        seen, now = (order.act.plan_digest or "")[:12], digest_of([each.plan for each in plans])[:12]
        reason = f"the plan is no longer the one that {', '.join(order.act.by)} saw ({seen} -> {now}); nothing was written; look again"
        self._hold(order, "plan", reason)

    def _claim(self, plan: Plan, order: Order) -> Claim | None:
        """The intent is durable and ours, its message queued with it; None where something stood against it."""
        act = order.act
        if reason := why_paused(self._pause, self._targets, (order.policy.target, act.remedy.target)):
            self._hold(order, "pause", f"paused: {reason}")
            return None
        with self._store.transaction() as tx:
            intended = intent_to(plan, act, tx.now())
            claim = tx.claim(intended, self._store.writer, order.limits)
            incident = tx.incident(act.incident)
            if isinstance(claim, Claim) and incident is not None:
                notice = notice_of(intended, incident, order.policy)
                tx.queue(notice, order.contacts) if notice else None
        self._told()
        if isinstance(claim, Claim):
            log.info("rung.intended", incident=act.incident, rung=act.rung, target=plan.intent.target, to=plan.intent.to_revision)
            return claim
        log.info("claim.refused", incident=act.incident, guard=claim.guard, reason=claim.reason)
        if claim.guard not in SETTLES_ITSELF:
            self._hold(order, claim.guard, claim.reason)
        return None

    def _write(self, target: Target, plan: Plan, claim: Claim) -> bool:
        """The plan is applied at most once; True if the target has it. Its precondition is the fence; the claim only saves it the work.

        The daemon's switch is read once more: the intent may have waited for the journal since. Not those where targets lie: who is cut off from
        there leaves the claim to others, and must not end it as paused.
        """
        intended = claim.intended
        kept = self._store.claim_on(intended.incident, intended.rung, intended.target)
        if kept is None:
            return self._outcomes.unclaimed(intended)
        begun = self._steady()
        if self._stop.is_set() or not kept.lets_begin(self._store.writer, self._store.now()):
            return False
        if reason := self._pause.read():
            return self._outcomes.ended(intended, RungEnd.REFUSED, f"paused: {reason}")
        try:
            target.apply(replace(plan, begun=begun))
        except Refused as refusal:
            return self._outcomes.explain(target, intended, str(refusal), RungEnd.REFUSED, refusal.advice)
        except Permanent as fault:
            return self._outcomes.ended(intended, RungEnd.REFUSED, str(fault))
        except Transient as doubt:
            # The answer was lost: the write may have happened, or may happen yet. Only looking tells.
            return self._outcomes.explain(target, intended, str(doubt), RungEnd.FAILED)
        return self._outcomes.applied(intended, "accepted by the target")

    # --- after a restart ------------------------------------------------------------------------------------------------------------------

    def _pick_up(self, incident: Incident, intended: Intended, policy: Policy) -> None:
        settling = [write for write in incident.writes if write.rung in incident.unsettled]
        if incident.phase is Phase.SETTLING:
            self._complete(settling, policy)
        elif self._takeover.of(self._planning.target(intended.target), intended, policy):
            self._complete([*settling, intended], policy)

    # --- what people hear --------------------------------------------------------------------------------------------------------------

    def _hold(self, order: Order, guard: str, reason: str) -> None:
        self._told_before(order, Held(order.act.incident, self._now(), guard, reason))

    def _told_before(self, order: Order, event: Held | Offered) -> None:
        """As ``_told_of``, unless somebody has begun or ended the step by now: what becomes of it is no longer decided here."""
        self._told_of(event, order.policy, order.contacts, order.act)

    def _told_of(self, event: Held | Offered, policy: Policy, contacts: tuple[str, ...], unbegun: Act | None = None) -> None:
        """The event is durable, and people hear of it, unless it was on record before. ``unbegun``: not where this step is past."""
        with self._store.transaction() as tx:
            if unbegun is not None and is_past(tx, unbegun, unbegun.rung):
                return
            if not tx.record(event):
                return
            incident = tx.incident(event.incident)
            notice = notice_of(event, incident, policy) if incident is not None else None
            if notice is not None:
                tx.queue(notice, contacts)
        self._told()
