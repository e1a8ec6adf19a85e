"""The target kind ``rds``: a second instance with the data as it was is made beside a database, and handed to people.

Nothing that serves is changed, renamed, stopped or deleted here: which data is the right one, and when to cut over, is never ours to decide.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from rollbackd.adapters.aws.access import Aws
from rollbackd.adapters.aws.rds import applying, planning
from rollbackd.adapters.aws.rds.calls import RDS
from rollbackd.adapters.aws.rds.place import Place, place_of
from rollbackd.adapters.aws.rds.reaching import reach
from rollbackd.adapters.aws.rds.reading import Raw, Reader, identity, refuse_unfit, source_of
from rollbackd.adapters.aws.together import checked, surveyed
from rollbackd.adapters.base.arrival import Arrival
from rollbackd.adapters.base.errors import AdapterError, Refused
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, TargetState

HURRY = timedelta(seconds=2)
"""How long a survey asks again, as the next slot asks anyway; and an apply, which has a budget."""
PATIENCE = timedelta(seconds=10)
"""How long a plan, a look or a check asks again: nobody else would."""


class Rds:
    """See base.target.Target. A revision is RDS's own id of the instance: what is in it is no revision, and making a copy changes none."""

    kind = "rds"
    wanes = True
    """Its way back can be lost by itself: backups are turned off, snapshots expire."""

    def __init__(self, aws: Aws, *, now: Callable[[], datetime]) -> None:
        self._aws = aws
        self._now = now

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """See Target.survey. One call for all instances of an account and region."""
        return surveyed(keys, self._place, lambda place: (place.account, place.region), self._seen)

    def _seen(self, places: list[Place]) -> Mapping[str, TargetState | AdapterError]:
        try:
            instances = self._reader(places[0], HURRY).instances()
        except AdapterError as fault:
            return {place.key: fault for place in places}
        return {place.key: _state(place, instances) for place in places}

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """See Target.plan. The data is that of ``request.moment``, or of the newest moment before it there is."""
        place = self._place(request.target)
        return planning.plan(self._reader(place), place, request, self._now())

    def apply(self, plan: Plan) -> None:
        """See Target.apply."""
        place = self._place(plan.intent.target)
        applying.apply(self._reader(place, HURRY), place, plan.intent, plan.begun)

    def look(self, intent: Intent) -> Sight:
        """See Target.look."""
        place = self._place(intent.target)
        return applying.look(self._reader(place), place, intent)

    def arrival(self, intent: Intent) -> Arrival | None:
        """See Awaited.arrival."""
        place = self._place(intent.target)
        return applying.arrival(self._reader(place), place, intent)

    def reach(self, address: tuple[str, int]) -> str:
        """See Awaited.reach."""
        return reach(address)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """See Target.check."""
        return checked(keys, self._place, lambda place: (place.account, place.region), self._findings)

    def _findings(self, places: Sequence[Place]) -> list[str]:
        reader = self._reader(places[0])
        try:
            reader.caller.identify()
            instances = reader.instances()
        except AdapterError as fault:
            return [f"{place.key}: {fault}" for place in places]
        return [f"{place.key}: {line}" for place in places if (line := self._obstacle(reader, place, instances))]

    def _obstacle(self, reader: Reader, place: Place, instances: Mapping[str, Raw]) -> str:
        try:
            source = source_of(place, instances)
            refuse_unfit(place, source)
            reader.origin(place, source, self._now())
        except Refused as refusal:
            return f"{refusal}; {refusal.advice}"
        except AdapterError as fault:
            return str(fault)
        return ""

    def _reader(self, place: Place, patience: timedelta = PATIENCE) -> Reader:
        return Reader(self._aws.caller(place.account, place.region, RDS, asker=place.key, patience=patience))

    def _place(self, key: str) -> Place:
        place = place_of(key)
        self._aws.caller(place.account, place.region, RDS, asker=key)
        return place


def _state(place: Place, instances: Mapping[str, Raw]) -> TargetState | AdapterError:
    try:
        source = source_of(place, instances)
        return TargetState(key=place.key, revision=identity(source))
    except AdapterError as fault:
        return fault
