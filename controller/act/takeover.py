"""What becomes of an intent whose claimant died: the target is asked first; only a write that never arrived is sent, once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import NothingToDo, Plan, Sight, Standing, Target
from rollbackd.controller.act.deaths import ATTEMPTS, Deaths
from rollbackd.controller.act.order import request_again
from rollbackd.controller.act.outcome import Outcomes, intent_of
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Claim
from rollbackd.controller.notify.unreached import Postponed
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.pause.places import why_paused
from rollbackd.policies.known.events import Intended, RungEnd
from rollbackd.policies.model.keys import is_handed_over
from rollbackd.policies.model.policy import Policy

log = structlog.get_logger()


class Takeover:
    """Brings the open intents of others, or of a former life, to their outcome."""

    def __init__(
        self,
        store: Store,
        targets: Mapping[str, Target],
        pause: Pause,
        outcomes: Outcomes,
        write: Callable[[Target, Plan, Claim], bool],
        deaths: Deaths,
    ) -> None:
        """``write`` applies a plan under a claim, and says whether the target has it."""
        self._store = store
        self._targets = targets
        self._pause = pause
        self._outcomes = outcomes
        self._write = write
        self._deaths = deaths

    def of(self, target: Target, intended: Intended, policy: Policy) -> bool:
        """True if the target has the write by now. False where it came to another end, which is on record, or where nothing can be said yet.

        Asked and planned before the claim is taken, as that leaves little time to begin; and after the last one's end, so that it stays true.
        Raises Postponed while the target cannot be seen and may show the write yet, Deadly where this daemon dies of asking, and StoreError.
        """
        due = self._due(intended)
        if due is None:
            return False
        with self._deaths.counted(intended.incident):
            seen = self._see(target, intended)
        with self._store.transaction() as tx:
            claim = tx.take_over(intended.incident, intended.rung, intended.target, self._store.writer)
        if claim is None or claim.attempts != due.attempts + 1:
            return False  # another one had it meanwhile: what was seen says nothing; asked again when its claim, or this one, has run out
        log.info("claim.taken_over", incident=intended.incident, rung=intended.rung, attempts=claim.attempts)
        if seen.sight is None:
            return self._outcomes.ended(intended, RungEnd.FAILED, f"{seen.fault}; whether it was written is not known: look first", intended.command)
        if seen.sight.standing is Standing.ELSEWHERE:
            return self._outcomes.ended(intended, RungEnd.OVERTAKEN, seen.sight.reason)
        if seen.sight.standing is Standing.BEFORE:
            return self._write_again(target, claim, seen, policy)
        return self._outcomes.found(intended, seen.sight, f"found carrying it after a restart: {seen.sight.reason}")

    def _due(self, intended: Intended) -> Claim | None:
        """The claim, if its time is over and its outcome is not known."""
        claim = self._store.claim_on(intended.incident, intended.rung, intended.target)
        if claim is None:
            self._outcomes.unclaimed(intended)
        return claim if claim is not None and claim.ended_at is None and self._store.now() >= claim.deadline else None

    def _see(self, target: Target, intended: Intended) -> "Seen":
        """What the target shows, and where the write is not there a plan for it.

        Raises Postponed while it cannot be seen and may show yet: a claim in the hands of one who cannot see the target helps nobody.
        """
        try:
            sight = target.look(intent_of(intended))
        except AdapterError as fault:
            until = intended.complete_by or intended.deadline
            if self._store.now() < until:  # the deadline is of the store's clock
                log.warning("step.unseen", incident=intended.incident, target=intended.target, until=until.isoformat(), error=str(fault))
                raise Postponed from fault
            return Seen(None, f"it cannot be seen, and was to be complete by {until:%H:%M:%S}: {fault}")
        if sight.standing is not Standing.BEFORE or is_handed_over(intended.target):
            return Seen(sight)
        try:
            plan = target.plan(request_again(intended))
        except AdapterError as fault:
            return Seen(sight, str(fault))
        if isinstance(plan, NothingToDo) or plan.intent.to_revision != intended.to_revision:
            return Seen(sight, "the same end state can no longer be planned after a restart")
        return Seen(sight, plan=plan)

    def _write_again(self, target: Target, claim: Claim, seen: "Seen", policy: Policy) -> bool:
        """The write has not arrived: the same end state is sent once, as it was planned anew, unless too many died on it, or world or pause say no.

        Where there is no plan for it any more the target is asked once again: a claimant who stood still may have gone on meanwhile.
        """
        intended = claim.intended
        if claim.attempts > ATTEMPTS:  # a write that did arrive is found, however many there were
            return self._outcomes.ended(intended, RungEnd.FAILED, f"{claim.attempts - 1} had the claim on it, and none of them brought it to an end")
        if reason := why_paused(self._pause, self._targets, (policy.target, intended.target)):
            return self._outcomes.ended(intended, RungEnd.REFUSED, f"paused: {reason}")
        if is_handed_over(intended.target):  # it was approved for then and not for now, and it may show yet
            reason = f"a restart came between, and it is not seen: it is not asked for again; look first. By hand: {intended.command}"
            return self._outcomes.ended(intended, RungEnd.FAILED, reason)
        if seen.plan is None:
            return self._outcomes.explain(target, intended, seen.fault, RungEnd.REFUSED)
        return self._write(target, seen.plan, claim)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a target showed; None where it could not be seen. ``plan``: for the write, where it is not there. ``fault``: why there is none."""

    sight: Sight | None
    fault: str = ""
    plan: Plan | None = None
