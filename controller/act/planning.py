"""From an order to the target's plan for it, or to why there is none. Writes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollbackd.adapters.base.errors import AdapterError, Refused
from rollbackd.adapters.base.revisions import is_resolved_by
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Target, TargetState
from rollbackd.controller.act.deaths import Deaths
from rollbackd.controller.act.order import Order
from rollbackd.controller.act.outcome import intent_of
from rollbackd.controller.notify.unreached import Unreached
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.events import RungEnd, Stopped


@dataclass(frozen=True, slots=True)
class Planned:
    """The order, and what its target would write for it."""

    order: Order
    target: Target
    plan: Plan


class Planning:
    """Asks targets for plans."""

    def __init__(self, targets: Mapping[str, Target], unreached: Unreached, now: Callable[[], datetime], deaths: Deaths) -> None:
        self._targets = targets
        self._unreached = unreached
        self._now = now
        self._deaths = deaths

    def target(self, key: str) -> Target:
        """The target that this key is of."""
        return self._targets[key.partition(":")[0]]

    def group(self, order: Order) -> list[Planned | Stopped]:
        """The order's plan and those of what begins at once with it, in the ladder's order; where there is none, why.

        Raises Postponed where another replica, or another moment, may have better luck, and Deadly where this one dies of it.
        """
        with self._deaths.counted(order.act.incident):
            return [each if isinstance(each, Stopped) else self._one(each) for each in (order, *order.others)]

    def _one(self, order: Order) -> Planned | Stopped:
        act = order.act
        target = self.target(act.remedy.target)
        try:
            planned = target.plan(_request(target, order))
        except Refused as refusal:
            how = RungEnd.SUPERSEDED if _has_moved_on(target, act) else RungEnd.REFUSED
            return self._stopped(act, how, str(refusal), refusal.advice)
        except AdapterError as fault:
            self._unreached.leave(act.incident, act.remedy.target, fault, self._now())
            return self._stopped(act, RungEnd.REFUSED, f"{fault}; nothing was written")
        self._unreached.reached(act.incident, act.remedy.target)
        if isinstance(planned, NothingToDo):
            # A person may have put it back since it was surveyed: then nothing of the evidence is about what runs now.
            how = RungEnd.SUPERSEDED if _has_moved_on(target, act) else RungEnd.NOTHING
            return self._stopped(act, how, planned.reason)
        return Planned(order, target, planned)

    def _stopped(self, act: Act, how: RungEnd, reason: str, advice: str = "") -> Stopped:
        return Stopped(act.incident, self._now(), act.rung, act.remedy.target, how, reason, advice)


def _request(target: Target, order: Order) -> PlanRequest:
    """What its target is asked. Raises Transient or Permanent where it has to be read for that."""
    act = order.act
    judged = act.from_revision if act.from_revision is not None else live_revision(target, act.remedy.target)
    before: Mapping[str, Any] = order.before
    undo, change = (intent_of(act.undo), None) if act.undo is not None else (None, act.suspect)  # what is taken back was no suspect
    return PlanRequest(act.remedy.target, act.incident, judged, order.candidates, act.only, before, undo, order.moment, change)


def _has_moved_on(target: Target, act: Act) -> bool:
    """True if what was judged is no longer what runs: the newer revision gets its own watch window."""
    state = target.survey([act.remedy.target])[act.remedy.target]
    return act.from_revision is not None and not isinstance(state, AdapterError) and not _is_judged(state, act, act.from_revision)


def _is_judged(state: TargetState, act: Act, judged: str) -> bool:
    """Whether it stands where it was judged; the very change that was judged may go by its full name now."""
    return state.revision == judged or (state.change_id == act.suspect and is_resolved_by(state.revision, judged))


def live_revision(target: Target, key: str) -> str:
    """The revision that stands there now. Raises Transient or Permanent."""
    state = target.survey([key])[key]
    if isinstance(state, AdapterError):
        raise state
    return state.revision
