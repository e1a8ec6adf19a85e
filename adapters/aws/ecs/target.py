"""The target kind ``ecs``: services in the accounts of the daemon's config."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from rollbackd.adapters.aws.access import Aws
from rollbackd.adapters.aws.ecs import applying, planning, readiness, standing
from rollbackd.adapters.aws.ecs.calls import ECS
from rollbackd.adapters.aws.ecs.place import Place, place_of
from rollbackd.adapters.aws.ecs.reading import Memory, Reader
from rollbackd.adapters.aws.ecs.survey import Surveyor
from rollbackd.adapters.aws.together import checked, surveyed
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, TargetState

HURRY = timedelta(seconds=2)
"""How long a survey asks again, as the next slot asks anyway; and an apply, which has a budget."""
PATIENCE = timedelta(seconds=10)
"""How long a plan, a look or a check asks again: nobody else would."""


class Ecs:
    """See base.target.Target. What cannot change any more is remembered while the process lives; so is when a revision was first seen to serve."""

    kind = "ecs"
    wanes = True
    """Its way back can be lost by itself: images expire, tags move, definitions are taken out of use."""

    def __init__(self, aws: Aws, steady: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._memory = Memory()
        self._surveyor = Surveyor(steady)

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """See Target.survey."""
        return surveyed(keys, self._place, lambda place: (place.account, place.region), self._seen)

    def _seen(self, places: Sequence[Place]) -> Mapping[str, TargetState | AdapterError]:
        return self._surveyor.states(self._reader(places[0], HURRY), places)

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """See Target.plan."""
        place = self._place(request.target)
        return planning.plan(self._reader(place), place, request)

    def apply(self, plan: Plan) -> None:
        """See Target.apply."""
        place = self._place(plan.intent.target)
        applying.apply(self._reader(place, HURRY), place, plan.intent, plan.begun)

    def look(self, intent: Intent) -> Sight:
        """See Target.look."""
        place = self._place(intent.target)
        return standing.look(self._reader(place), place, intent)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """See Target.check."""
        return checked(keys, self._place, lambda place: (place.account, place.region), self._findings)

    def _findings(self, places: Sequence[Place]) -> list[str]:
        return readiness.findings(self._reader(places[0]), places)

    def _reader(self, place: Place, patience: timedelta = PATIENCE) -> Reader:
        return Reader(self._aws.caller(place.account, place.region, ECS, asker=place.key, patience=patience), self._memory)

    def _place(self, key: str) -> Place:
        place = place_of(key)
        self._aws.caller(place.account, place.region, ECS, asker=key)
        return place
