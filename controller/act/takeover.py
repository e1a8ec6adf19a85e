"""What becomes of an intent whose claimant died: the target is asked first; only a write that never arrived is sent, once."""

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import NothingToDo, Plan, Standing, Target
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

ATTEMPTS = 3
"""So many claimants may die on one intent before it is given to people; a write that did arrive is found, however many there were."""


class Takeover:
    """Brings the open intents of others, or of a former life, to their outcome."""

    def __init__(
        self,
        store: Store,
        targets: Mapping[str, Target],
        pause: Pause,
        now: Callable[[], datetime],
        outcomes: Outcomes,
        write: Callable[[Target, Plan, Claim], bool],
    ) -> None:
        """``write`` applies a plan under a claim, and says whether the target has it."""
        self._store = store
        self._targets = targets
        self._pause = pause
        self._now = now
        self._outcomes = outcomes
        self._write = write

    def of(self, target: Target, intended: Intended, policy: Policy) -> bool:
        """True if the target has the write by now. False where it came to another end, which is on record, or where nothing can be said yet.

        Raises Postponed while the target cannot be seen and may show the write yet, and StoreError.
        """
        unseen = self._unseen(target, intended)
        with self._store.transaction() as tx:
            claim = tx.take_over(intended.incident, intended.rung, intended.target, self._store.writer)
        if claim is None:  # its deadline has not passed, or it has an outcome by now
            if self._store.claim_on(intended.incident, intended.rung, intended.target) is None:
                self._outcomes.unclaimed(intended)
            return False
        log.info("claim.taken_over", incident=intended.incident, rung=intended.rung, attempts=claim.attempts)
        if unseen:
            return self._outcomes.ended(intended, RungEnd.FAILED, f"{unseen}; whether it was written is not known: look first", intended.command)
        return self._ask_the_target(target, claim, policy)

    def _unseen(self, target: Target, intended: Intended) -> str:
        """Why nobody can know any more what became of the write; empty where the target can be seen.

        Raises Postponed while it may show yet: a claim in the hands of one who cannot see the target helps nobody.
        """
        try:
            target.look(intent_of(intended))
        except AdapterError as fault:
            until = intended.complete_by or intended.deadline
            if self._now() < until:
                log.warning("step.unseen", incident=intended.incident, target=intended.target, until=until.isoformat(), error=str(fault))
                raise Postponed from fault
            return f"it cannot be seen, and was to be complete by {until:%H:%M:%S}: {fault}"
        return ""

    def _ask_the_target(self, target: Target, claim: Claim, policy: Policy) -> bool:
        """True if the target has the write."""
        intended = claim.intended
        try:
            sight = target.look(intent_of(intended))
        except AdapterError as fault:
            log.warning("look.failed", incident=intended.incident, target=intended.target, error=str(fault))
            return False  # asked again once this claim has run out
        if sight.standing is Standing.ELSEWHERE:
            return self._outcomes.ended(intended, RungEnd.OVERTAKEN, sight.reason)
        if sight.standing is Standing.BEFORE:
            return self._write_again(target, claim, policy)
        return self._outcomes.applied(intended, f"found carrying it after a restart: {sight.reason}")

    def _write_again(self, target: Target, claim: Claim, policy: Policy) -> bool:
        """The write has not arrived: the same end state is planned anew and sent once, unless too many died on it, or world or pause say no.

        Where there is no plan for it any more the target is asked once again: a claimant who stood still may have gone on meanwhile.
        """
        intended = claim.intended
        if claim.attempts > ATTEMPTS:
            died = f"it was begun {claim.attempts - 1} times, and each time whoever did came to no end"
            return self._outcomes.ended(intended, RungEnd.FAILED, died)
        if reason := why_paused(self._pause, self._targets, (policy.target, intended.target)):
            return self._outcomes.ended(intended, RungEnd.REFUSED, f"paused: {reason}")
        if is_handed_over(intended.target):  # it was approved for then and not for now, and it may show yet
            reason = f"a restart came between, and it is not seen: it is not asked for again; look first. By hand: {intended.command}"
            return self._outcomes.ended(intended, RungEnd.FAILED, reason)
        try:
            plan = target.plan(request_again(intended))
        except AdapterError as fault:
            return self._outcomes.explain(target, intended, str(fault), RungEnd.REFUSED)
        if isinstance(plan, NothingToDo) or plan.intent.to_revision != intended.to_revision:
            return self._outcomes.explain(target, intended, "the same end state can no longer be planned after a restart", RungEnd.REFUSED)
        return self._write(target, plan, claim)
