"""The target kind ``ecs``: services in the accounts of the daemon's config."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from rollbackd.adapters.aws.access import Aws
from rollbackd.adapters.aws.ecs import applying, planning, readiness, standing
from rollbackd.adapters.aws.ecs.calls import ECS
from rollbackd.adapters.aws.ecs.place import Place, place_of
from rollbackd.adapters.aws.ecs.reading import Memory, Reader
from rollbackd.adapters.aws.ecs.survey import Surveyor
from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, TargetState

AT_ONCE = 8
"""So many accounts and regions are asked at the same moment."""
HURRY = timedelta(seconds=2)
"""How long a survey asks again: the next slot asks anyway."""
PATIENCE = timedelta(seconds=10)
"""How long a plan, a look or a check asks again: nobody else would."""


class Ecs:
    """See base.target.Target. What cannot change any more is remembered while the process lives; so is when a revision was first seen to serve."""

    kind = "ecs"

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._memory = Memory()
        self._surveyor = Surveyor()

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """See Target.survey."""
        groups: dict[tuple[str, str], list[Place]] = {}
        found: dict[str, TargetState | AdapterError] = {}
        for key in dict.fromkeys(keys):
            try:
                place = self._place(key)
                groups.setdefault((place.account, place.region), []).append(place)
            except Permanent as fault:
                found[key] = fault
        if len(groups) <= 1:
            answers = [self._seen(group) for group in groups.values()]
        else:
            with ThreadPoolExecutor(min(AT_ONCE, len(groups)), thread_name_prefix="accounts") as pool:
                answers = list(pool.map(self._seen, groups.values()))
        for answer in answers:
            found.update(answer)
        return found

    def _seen(self, places: Sequence[Place]) -> Mapping[str, TargetState | AdapterError]:
        return self._surveyor.states(self._reader(places[0], HURRY), places)

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """See Target.plan."""
        place = self._place(request.target)
        return planning.plan(self._reader(place), place, request)

    def apply(self, plan: Plan) -> None:
        """See Target.apply."""
        place = self._place(plan.intent.target)
        applying.apply(self._reader(place), place, plan.intent)

    def look(self, intent: Intent) -> Sight:
        """See Target.look."""
        place = self._place(intent.target)
        return standing.look(self._reader(place), place, intent)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """See Target.check."""
        lines: list[str] = []
        for key in dict.fromkeys(keys):
            try:
                place = self._place(key)
            except Permanent as fault:
                lines.append(f"{key}: {fault}")
            else:
                lines += readiness.findings(self._reader(place), place)
        return tuple(lines)

    def _reader(self, place: Place, patience: timedelta = PATIENCE) -> Reader:
        return Reader(self._aws.caller(place.account, place.region, ECS, asker=place.key, patience=patience), self._memory)

    def _place(self, key: str) -> Place:
        place = place_of(key)
        self._aws.caller(place.account, place.region, ECS, asker=key)
        return place
