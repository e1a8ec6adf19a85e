"""The one place that acts. It contains no policy: plan, claim with a durable intent, write once; ``outcome`` finds out what became of it."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import structlog

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Standing, Target
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Blocked, Claim
from rollbackd.controller.messages import notice_of
from rollbackd.controller.order import Order, intent_to, offer_of, request_again
from rollbackd.controller.outcome import Outcomes, intent_of
from rollbackd.controller.pause import Pause
from rollbackd.controller.pause_places import why_paused
from rollbackd.controller.unreached import LeftToOthers, Unreached
from rollbackd.policies.decisions import Act
from rollbackd.policies.events import Held, Intended, Offered, RungEnd, Stopped
from rollbackd.policies.incident import Incident, Phase
from rollbackd.policies.model import Policy

log = structlog.get_logger()

PATIENCE = timedelta(seconds=30)
"""How old a decision may be when its work begins, at least; two looks where those take longer."""
ATTEMPTS = 3
"""So many claimants may die on one intent before it is given to people."""


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
        workers: int = 4,
        look_every: timedelta = timedelta(seconds=1),
        pool: Executor | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """``done`` is told the watched target after every outcome, ``told`` that a message was queued, ``failed`` why the store took nothing.

        ``look_every`` paces looking at what is under way. ``pool`` instead of ``workers`` threads, and ``stop``: where time is not the wall's.
        """
        self._store = store
        self._targets = targets
        self._pause = pause
        self._now = now
        self._done = done
        self._told = told
        self._failed = failed
        self._stop = stop or threading.Event()
        self._outcomes = Outcomes(store, now, self._stop, look_every)
        self._busy: set[str] = set()
        self._unreached = Unreached(has_others=store.database.is_shared)
        self._lock = threading.Lock()
        self._pool = pool or ThreadPoolExecutor(workers, thread_name_prefix="act")

    def close(self) -> None:
        """No further step begins; one that is under way ends at its next checkpoint. Open intents are resumed after the next start."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def is_busy(self, incident: str) -> bool:
        """True while something is being done for the incident here."""
        return incident in self._busy

    def begin(self, order: Order) -> None:
        """The order is being carried out; nothing happens if its incident is busy."""
        self._submit(order.act.incident, order.policy, order.contacts, lambda: self._carry_out(order))

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
        self._pool.submit(self._run, incident, policy, contacts, work)

    def _run(self, incident: str, policy: Policy, contacts: tuple[str, ...], work: Callable[[], None]) -> None:
        is_done = False
        try:
            self._sheltered(incident, policy, contacts, work)
            is_done = True
        except StoreError as fault:  # without an intent nothing was written; without an outcome the target is asked for it
            self._failed(str(fault))
        except LeftToOthers:
            pass
        finally:
            with self._lock:
                self._busy.discard(incident)
        if is_done:  # else deciding at once again would fail at once again
            self._done(policy.target)

    def _sheltered(self, incident: str, policy: Policy, contacts: tuple[str, ...], work: Callable[[], None]) -> None:
        """The work was done, or a bug in it has put the incident into people's hands: it must neither kill the daemon nor be tried for ever."""
        try:
            work()
        except (StoreError, LeftToOthers):
            raise
        except Exception as bug:  # the seam
            log.exception("act.crashed", incident=incident)
            reason = f"rollbackd failed in itself ({type(bug).__name__}: {bug}); what was written is in the journal; look at target and log"
            self._hold(incident, policy, contacts, "bug", reason)

    # --- a new rung --------------------------------------------------------------------------------------------------------------------

    def _carry_out(self, order: Order) -> None:
        act = order.act
        if self._now() - act.at > max(2 * order.policy.every, PATIENCE):
            return  # it waited for a free worker: the evidence is old, and the next slot decides anew
        target = self._targets[_kind(act.remedy.target)]
        planned = self._plan(target, order)
        if not isinstance(planned, Plan):
            self._outcomes.record(planned)
            return
        if order.is_offer:
            self._put_to_people(planned, order)
        elif act.plan_digest not in (None, planned.digest):
            self._plan_has_changed(planned, order)
        elif (claim := self._claim(planned, order)) is not None:
            self._write(target, planned, claim, order.policy)

    def _plan(self, target: Target, order: Order) -> Plan | Stopped:
        """The plan, or why there is none. Raises LeftToOthers where another replica may have better luck."""
        act = order.act
        try:
            judged = act.from_revision if act.from_revision is not None else _live(target, act.remedy.target)
            before: Mapping[str, Any] = order.before
            undo = intent_of(act.undo) if act.undo is not None else None
            planned = target.plan(PlanRequest(act.remedy.target, act.incident, judged, order.candidates, act.only, before, undo))
        except Refused as refusal:
            how = RungEnd.SUPERSEDED if self._has_moved_on(target, act) else RungEnd.REFUSED
            return self._stopped(act, how, str(refusal), refusal.advice)
        except AdapterError as fault:
            self._unreached.leave(act.incident, fault, self._now())
            return self._stopped(act, RungEnd.REFUSED, f"{fault}; nothing was written")
        if isinstance(planned, NothingToDo):
            return self._stopped(act, RungEnd.NOTHING, planned.reason)
        return planned

    def _has_moved_on(self, target: Target, act: Act) -> bool:
        """True if what was judged is no longer what runs: the newer revision gets its own watch window."""
        state = target.survey([act.remedy.target])[act.remedy.target]
        return act.from_revision is not None and not isinstance(state, AdapterError) and state.revision != act.from_revision

    def _stopped(self, act: Act, how: RungEnd, reason: str, advice: str = "") -> Stopped:
        return Stopped(act.incident, self._now(), act.rung, act.remedy.target, how, reason, advice)

    def _put_to_people(self, plan: Plan, order: Order) -> None:
        offered = offer_of(plan, order, self._now())
        log.info("plan.offered", incident=offered.incident, rung=offered.rung, plan=offered.plan_digest, needed=offered.needed)
        self._told_of(offered, order.policy, order.contacts)

    def _plan_has_changed(self, plan: Plan, order: Order) -> None:
        """People decided on another plan than the one that would be carried out now: they are asked about this one; an order of theirs is held."""
        incident = self._store.incident(order.act.incident)
        if incident is not None and incident.order is None:
            self._put_to_people(plan, order)
            return
        seen = (order.act.plan_digest or "")[:12]
        reason = f"the plan is no longer the one that {', '.join(order.act.by)} saw ({seen} -> {plan.digest[:12]}); nothing was written; look again"
        self._hold(order.act.incident, order.policy, order.contacts, "plan", reason)

    def _claim(self, plan: Plan, order: Order) -> Claim | None:
        """The intent is durable and ours, its message queued with it; None where something stood against it."""
        act = order.act
        if reason := why_paused(self._pause, self._targets, (order.policy.target, act.remedy.target)):
            self._hold(act.incident, order.policy, order.contacts, "pause", f"paused: {reason}")
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
        self._lost(claim, order)
        return None

    def _lost(self, blocked: Blocked, order: Order) -> None:
        log.info("claim.refused", incident=order.act.incident, guard=blocked.guard, reason=blocked.reason)
        if blocked.guard not in ("claimed", "closed", "held", "deadline"):  # somebody else's doing, or decided again at the next slot
            self._hold(order.act.incident, order.policy, order.contacts, blocked.guard, blocked.reason)

    def _write(self, target: Target, plan: Plan, claim: Claim, policy: Policy) -> None:
        """The plan is applied at most once. The precondition of the target is the fence; the claim only saves it the work."""
        intended = claim.intended
        if self._stop.is_set() or not claim.is_held_by(self._store.writer, self._store.now()):
            return
        try:
            target.apply(plan)
        except Refused as refusal:
            self._outcomes.explain(target, intended, policy, str(refusal), RungEnd.REFUSED, refusal.advice)
        except Permanent as fault:
            self._outcomes.record(Stopped(intended.incident, self._now(), intended.rung, intended.target, RungEnd.REFUSED, str(fault)))
        except Transient as doubt:
            # The answer was lost: the write may have happened, or may happen yet. Only looking tells.
            self._outcomes.explain(target, intended, policy, str(doubt), RungEnd.FAILED)
        else:
            self._outcomes.applied(target, intended, policy, "accepted by the target")

    # --- after a restart --------------------------------------------------------------------------------------------------------------------

    def _pick_up(self, incident: Incident, intended: Intended, policy: Policy) -> None:
        target = self._targets[_kind(intended.target)]
        if incident.phase is Phase.SETTLING:
            self._outcomes.complete(target, intended, policy)
            return
        try:
            target.look(intent_of(intended))  # a claim in the hands of one who cannot see the target helps nobody
        except AdapterError as fault:
            self._unreached.leave(incident.id, fault, self._now())
        with self._store.transaction() as tx:
            claim = tx.take_over(intended.incident, intended.rung, intended.target, self._store.writer)
        if claim is None:
            return  # its deadline has not passed, or it has an outcome by now
        log.info("claim.taken_over", incident=incident.id, rung=intended.rung, attempts=claim.attempts)
        if claim.attempts > ATTEMPTS:
            reason = f"{claim.attempts - 1} claimants died on this step"
            self._outcomes.record(Stopped(incident.id, self._now(), intended.rung, intended.target, RungEnd.FAILED, reason))
            return
        self._ask_the_target(target, claim, policy)

    def _ask_the_target(self, target: Target, claim: Claim, policy: Policy) -> None:
        intended = claim.intended
        try:
            sight = target.look(intent_of(intended))
        except AdapterError as fault:
            log.warning("look.failed", incident=intended.incident, target=intended.target, error=str(fault))
            return  # asked again once this claim has run out
        if sight.standing is Standing.ELSEWHERE:
            self._outcomes.record(Stopped(intended.incident, self._now(), intended.rung, intended.target, RungEnd.OVERTAKEN, sight.reason))
        elif sight.standing is Standing.BEFORE:
            self._write_again(target, claim, policy)
        else:
            self._outcomes.applied(target, intended, policy, f"found carrying it after a restart: {sight.reason}")

    def _write_again(self, target: Target, claim: Claim, policy: Policy) -> None:
        """The write never arrived: the same end state is planned anew and sent once, unless the world or the pause switch says no."""
        intended = claim.intended
        if reason := why_paused(self._pause, self._targets, (policy.target, intended.target)):
            self._outcomes.record(Stopped(intended.incident, self._now(), intended.rung, intended.target, RungEnd.REFUSED, f"paused: {reason}"))
            return
        try:
            plan = target.plan(request_again(intended))
        except AdapterError as fault:
            self._outcomes.record(Stopped(intended.incident, self._now(), intended.rung, intended.target, RungEnd.REFUSED, str(fault)))
            return
        if isinstance(plan, NothingToDo) or plan.intent.to_revision != intended.to_revision:
            reason = "the same end state can no longer be planned after a restart"
            self._outcomes.record(Stopped(intended.incident, self._now(), intended.rung, intended.target, RungEnd.REFUSED, reason))
            return
        self._write(target, plan, claim, policy)

    def _hold(self, incident_id: str, policy: Policy, contacts: tuple[str, ...], guard: str, reason: str) -> None:
        self._told_of(Held(incident_id, self._now(), guard, reason), policy, contacts)

    def _told_of(self, event: Held | Offered, policy: Policy, contacts: tuple[str, ...]) -> None:
        """The event is durable, and people hear of it, unless it was on record before."""
        with self._store.transaction() as tx:
            if not tx.record(event):
                return
            incident = tx.incident(event.incident)
            notice = notice_of(event, incident, policy) if incident is not None else None
            if notice is not None:
                tx.queue(notice, contacts)
        self._told()


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _live(target: Target, key: str) -> str:
    """The revision that stands there now. Raises Transient or Permanent."""
    state = target.survey([key])[key]
    if isinstance(state, AdapterError):
        raise state
    return state.revision
