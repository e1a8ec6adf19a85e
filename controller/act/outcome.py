"""What became of a write: look until it is explained, until its end state is complete, and put the outcome on record. Writes no target."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, Sight, Standing, Target
from rollbackd.controller.act.deaths import Deaths
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How
from rollbackd.controller.journal.values import Standing as Known
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.events import Applied, Intended, RungEnd, Settled, Stopped
from rollbackd.policies.model.policy import Policy

log = structlog.get_logger()

SHOWS = timedelta(seconds=30)
"""How long an accepted write may take to show before its absence means that somebody took it back."""
EXPLAIN = timedelta(seconds=10)
"""How long a write without an answer is looked for before it is called lost."""


class Outcomes:
    """Looks at targets and records what it saw. Interrupted by ``stop`` it records nothing: the next start looks again.

    ``steady``: seconds that no hand on the clock moves. What is left of a deadline when the looking begins is waited for, wherever the clock goes.
    ``is_ordered``: whether a person has ordered what comes next in an incident; then nobody waits for what was written before.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        stop: threading.Event,
        look_every: timedelta,
        steady: Callable[[], float] | None = None,
        is_ordered: Callable[[str], bool] = lambda _: False,
        deaths: Deaths | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self._steady = steady or (lambda: now().timestamp())
        self._stop = stop
        self._look_every = look_every
        self._is_ordered = is_ordered
        self._deaths = deaths or Deaths()

    def explain(self, target: Target, intended: Intended, why: str, how: RungEnd, advice: str = "") -> bool:
        """What became of a write without an accepting answer is on record: found done, found undone (it ended as ``how``), or overtaken.

        True if it was found done.
        """
        sight = self._look_until(target, intended, lambda seen: seen.standing is not Standing.BEFORE, self._now() + EXPLAIN)
        if sight is None or self._stop.is_set() or self._is_ordered(intended.incident):
            return False  # nobody knows: the claim runs out, and whoever takes it over asks again
        if sight.standing is Standing.BEFORE:
            return self.ended(intended, how, why, advice)
        if sight.standing is Standing.ELSEWHERE:
            return self.ended(intended, RungEnd.SUPERSEDED if how is RungEnd.REFUSED else RungEnd.OVERTAKEN, sight.reason)
        reason = f"{why}; found carrying it: {sight.reason}"
        if how is not RungEnd.REFUSED or not self._nobody_else_sent(intended):
            return self.applied(intended, reason)
        if sight.standing is Standing.UNDERWAY and sight.ours is None:
            # Such as ECS that rolls back by itself, where no next rung may begin. Part of an end state is none: one flag of many that somebody
            # changed puts nothing back.
            if sight.revision == intended.to_revision:
                return self.ended(intended, RungEnd.SUPERSEDED, f"another writer puts {sight.revision} there: {sight.reason}")
            return self.ended(intended, how, why, advice)
        return self.found(intended, sight, reason)

    def found(self, intended: Intended, sight: Sight, reason: str) -> bool:
        """What a target shows that has the end state is on record: as our write, or as another writer's where it does not carry our mark. As ours it
        would count as our act, and an undo would take it back. True if its end state has to be waited for.
        """
        if sight.ours is False:
            return self.ended(intended, RungEnd.SUPERSEDED, f"another writer has put {sight.revision} there: {sight.reason}")
        return self.applied(intended, reason)

    def _nobody_else_sent(self, intended: Intended) -> bool:
        """True if the claim was never taken over, so that the one who was refused is the only one who could have written."""
        claim = self._store.claim_on(intended.incident, intended.rung, intended.target)
        return claim is not None and claim.attempts == 1

    def applied(self, intended: Intended, reason: str) -> bool:
        """The write is on record as accepted, and the revision it left is quarantined. True: its end state has to be waited for."""
        event = Applied(intended.incident, self._now(), intended.rung, intended.target, reason)
        with self._store.transaction() as tx:
            tx.record(event)
            if intended.reverts:
                tx.mark(intended.target, intended.from_revision, Known.QUARANTINED, How.ROLLED_BACK, event.at, intended.incident)
        log.info("rung.applied", incident=event.incident, rung=event.rung, target=event.target, reason=reason)
        return True

    def complete(self, target: Target, intended: Intended, policy: Policy) -> None:
        """Looks until the end state is complete, cannot be reached, is overdue, or somebody else was there."""
        until = self._due(intended)
        begun, begun_steady = self._now(), self._steady()
        shown_by = begun_steady + SHOWS.total_seconds()
        sight = self._look_until(target, intended, lambda seen: self._is_end(seen, shown_by), until)
        if self._stop.is_set() or self._is_ordered(intended.incident):
            return
        at = self._now()
        if sight is not None and sight.standing is Standing.THERE:
            # A clock that was set back must not make the evidence of before the end state count as evidence of after it.
            counted = begun + timedelta(seconds=self._steady() - begun_steady)
            start = max(at, counted, intended.at) + timedelta(seconds=intended.settle_seconds) + policy.timing.settle
            self.record(Settled(intended.incident, at, intended.rung, intended.target, start, sight.reason))
            return
        how = RungEnd.OVERTAKEN if sight is not None and sight.standing in (Standing.ELSEWHERE, Standing.BEFORE) else RungEnd.FAILED
        reason = sight.reason if sight is not None else "it could not be read"
        if sight is None or sight.standing is Standing.UNDERWAY:
            reason = f"not complete by {until:%H:%M:%S}: {reason}"
        self.record(Stopped(intended.incident, at, intended.rung, intended.target, how, reason))

    def _due(self, intended: Intended) -> datetime:
        """When the end state has to be complete: so long after the target took the write, or was found carrying it, as the plan gave it.

        A write that was sent again after a restart has all of that time, however long nobody was there.
        """
        rows = (event for event in self._store.events(intended.incident) if isinstance(event, Applied))
        taken = next((row.at for row in rows if (row.rung, row.target) == (intended.rung, intended.target)), intended.at)
        return taken + ((intended.complete_by or intended.deadline) - intended.at)

    def _is_end(self, seen: Sight, shown_by: float) -> bool:
        """True if looking again will not help. An accepted write may take a moment to show, so what was there before is no end yet."""
        if seen.standing is Standing.BEFORE:
            return self._steady() >= shown_by
        return seen.standing is not Standing.UNDERWAY

    def _look_until(self, target: Target, intended: Intended, is_enough: Callable[[Sight], bool], until: datetime) -> Sight | None:
        """The last sight of the target: one that is enough, or what stood at ``until``; None if it could never be read. Raises Deadly."""
        intent, sight = intent_of(intended), None
        ends = self._steady() + (until - self._now()).total_seconds()
        while True:
            try:
                with self._deaths.counted(intended.incident):
                    sight = target.look(intent)
            except AdapterError as fault:
                log.info("look.failed", incident=intended.incident, target=intended.target, error=str(fault))
            else:
                if is_enough(sight):
                    return sight
            if self._steady() >= ends or self._is_ordered(intended.incident) or self._stop.wait(self._look_every.total_seconds()):
                return sight

    def unclaimed(self, intended: Intended) -> bool:
        """Somebody took the claim out of the journal by hand: the step ends, unwritten as far as we are concerned, and people are told. False."""
        reason = "its claim is no longer in the journal: somebody edited it; nothing was written; see: rollbackd audit verify"
        return self.ended(intended, RungEnd.OVERTAKEN, reason)

    def ended(self, intended: Intended, how: RungEnd, reason: str, advice: str = "") -> bool:
        """The claimed step is on record as ended without its end state. False: there is none to wait for.

        Nothing is recorded by one who has lost the claim: the successor may be writing, and tells what became of it.
        """
        event = Stopped(intended.incident, self._now(), intended.rung, intended.target, how, reason, advice)
        with self._store.transaction() as tx:
            claim = tx.claim_on(event.incident, event.rung, event.target)
            if claim is not None and (claim.claimant != tx.writer or claim.ended_at is not None):
                return False
            tx.record(event)
        self._say(event)
        return False

    def unbegun(self, event: Stopped, act: Act) -> None:
        """The step, which belongs to ``act``, is on record as ended before anybody had begun it. Once it is begun, its end is the claimant's
        to tell, whatever was planned here meanwhile: a plan that comes after another replica's write finds the target moved on.
        """
        with self._store.transaction() as tx:
            if is_past(tx, act, event.rung) or not tx.record(event):
                return
        self._say(event)

    def record(self, event: Settled | Stopped) -> None:
        """The outcome of an accepted write is durable. Recording it again changes nothing: of two replicas that saw it end, the first is believed.

        A write that was found accepted after its step had been called ended is waited for again, and completes.
        """
        with self._store.transaction() as tx:
            found = tx.incident(event.incident)
            if isinstance(event, Settled) and found is not None and found.has_stopped(event.rung, event.target):
                return
            if isinstance(event, Stopped) and tx.has_settled(event.incident, event.rung, event.target):
                return
            tx.record(event)
        self._say(event)

    def _say(self, event: Settled | Stopped) -> None:
        log.info(f"rung.{type(event).__name__.lower()}", incident=event.incident, rung=event.rung, target=event.target, reason=event.reason)


def is_past(read: Reading, act: Act, rung: int) -> bool:
    """Has somebody begun or ended this rung, or a later one, by now, or does a person's order wait that is not this act? Then what was planned for
    it says nothing any more.
    """
    found = read.incident(act.incident)
    return found is not None and (found.rung >= rung or found.orders_else(act.by, rung, act.plan_digest))


def intent_of(intended: Intended) -> Intent:
    """The write as its adapter recognises it."""
    return Intent(intended.target, intended.incident, intended.from_revision, intended.to_revision, intended.record)
