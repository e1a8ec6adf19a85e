"""The target kind ``alb``: rules of application load balancers in the accounts of the daemon's config."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from rollbackd.adapters.aws.access import Aws
from rollbackd.adapters.aws.alb import applying, planning, readiness
from rollbackd.adapters.aws.alb.actions import Rule, name_of, sticky_of, weights_of
from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.alb.counts import Counts
from rollbackd.adapters.aws.alb.place import Place, place_of
from rollbackd.adapters.aws.alb.reading import Memory, Reader
from rollbackd.adapters.aws.together import checked, surveyed
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, Json, NothingToDo, Plan, PlanRequest, Sight, TargetState

HURRY = timedelta(seconds=2)
"""How long a survey asks again, as the next slot asks anyway; and an apply, which has a budget."""
PATIENCE = timedelta(seconds=10)
"""How long a plan, a look or a check asks again: nobody else would."""


class Alb:
    """See base.target.Target. A load balancer keeps no history: a change is a revision and when it was first seen."""

    kind = "alb"
    wanes = True
    """Its way back can be lost by itself: the former group is scaled in."""

    def __init__(self, aws: Aws, *, now: Callable[[], datetime]) -> None:
        self._aws = aws
        self._memory = Memory()
        self._counts = Counts(now)

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """See Target.survey. One call for all rules of a listener."""
        return surveyed(keys, self._place, lambda place: place.listener, self._seen)

    def _seen(self, places: list[Place]) -> Mapping[str, TargetState | AdapterError]:
        reader = self._reader(places[0], HURRY)
        found: dict[str, TargetState | AdapterError] = {}
        try:
            listener, rules = reader.rules(places[0])
        except AdapterError as fault:
            return {place.key: fault for place in places}
        for place in places:
            try:
                found[place.key] = _state(place, reader.chosen(place, listener, rules))
            except AdapterError as fault:
                found[place.key] = fault
        return found

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """See Target.plan."""
        place = self._place(request.target)
        return planning.plan(self._reader(place), place, request)

    def apply(self, plan: Plan) -> None:
        """See Target.apply."""
        place = self._place(plan.intent.target)
        applying.apply(self._reader(place, HURRY), self._counts, place, plan.intent, plan.begun)

    def look(self, intent: Intent) -> Sight:
        """See Target.look."""
        place = self._place(intent.target)
        return applying.look(self._reader(place), self._counts, place, intent)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """See Target.check."""
        return checked(keys, self._place, lambda place: (place.account, place.region), self._findings)

    def _findings(self, places: Sequence[Place]) -> list[str]:
        return readiness.findings(self._reader(places[0]), places)

    def _reader(self, place: Place, patience: timedelta = PATIENCE) -> Reader:
        return Reader(self._aws.caller(place.account, place.region, ALB, asker=place.key, patience=patience), self._memory)

    def _place(self, key: str) -> Place:
        place = place_of(key)
        self._aws.caller(place.account, place.region, ALB, asker=key)
        return place


def _state(place: Place, rule: Rule) -> TargetState:
    parts: dict[str, Json] = {f"weight {name_of(arn)}": weight for arn, weight in weights_of(rule.actions).items()}
    parts["group stickiness"] = sticky_of(rule.actions)
    return TargetState(key=place.key, revision=rule.revision, parts=parts)
