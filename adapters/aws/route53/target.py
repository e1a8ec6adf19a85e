"""The target kind ``route53``: names in the hosted zones of the accounts of the daemon's config."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from rollbackd.adapters.aws.access import Aws
from rollbackd.adapters.aws.account import account_of
from rollbackd.adapters.aws.route53 import applying, planning
from rollbackd.adapters.aws.route53.calls import ROUTE53
from rollbackd.adapters.aws.route53.owners import owner
from rollbackd.adapters.aws.route53.place import Place, place_of
from rollbackd.adapters.aws.route53.reading import Memory, Reader, Seen
from rollbackd.adapters.aws.route53.records import label, spelled
from rollbackd.adapters.aws.together import checked, surveyed
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, TargetState

HURRY = timedelta(seconds=2)
"""How long a survey asks again, as the next slot asks anyway; and an apply, which has a budget."""
PATIENCE = timedelta(seconds=10)
"""How long a plan, a look or a check asks again: nobody else would."""


class Route53:
    """See base.target.Target. A zone keeps no history: a change is a revision and when it was first seen."""

    kind = "route53"

    def __init__(self, aws: Aws, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds that only grow."""
        self._aws = aws
        self._memory = Memory(clock=clock)

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """See Target.survey. One call for each name: Route 53 answers five a second for a whole account."""
        return surveyed(keys, self._place, lambda place: place.account, self._seen)

    def _seen(self, places: list[Place]) -> Mapping[str, TargetState | AdapterError]:
        reader = self._reader(places[0], HURRY)
        found: dict[str, TargetState | AdapterError] = {}
        for place in places:
            try:
                found[place.key] = _state(place, reader.seen(place))
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
        applying.apply(self._reader(place, HURRY), place, plan.intent, plan.begun)

    def look(self, intent: Intent) -> Sight:
        """See Target.look."""
        place = self._place(intent.target)
        return applying.look(self._reader(place), place, intent)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """See Target.check."""
        return checked(keys, self._place, lambda place: place.account, self._findings)

    def _findings(self, places: Sequence[Place]) -> list[str]:
        reader = self._reader(places[0])
        try:
            reader.caller.identify()
        except AdapterError as fault:
            return [f"{place.key}: {fault}" for place in places]
        return [f"{place.key}: {line}" for place in places if (line := _obstacle(reader, place))]

    def _reader(self, place: Place, patience: timedelta = PATIENCE) -> Reader:
        # Route 53 is the same from everywhere; our own identity is asked for in the account's first region.
        region = self._aws.accounts[place.account].regions[0]
        return Reader(self._aws.caller(place.account, region, ROUTE53, asker=place.key, patience=patience), self._memory)

    def _place(self, key: str) -> Place:
        place = place_of(key)
        account = self._aws.accounts.get(place.account)
        account_of(self._aws.accounts, place.account, account.regions[0] if account else "", key)
        return place


def _state(place: Place, seen: Seen) -> TargetState:
    return TargetState(key=place.key, revision=seen.revision, parts={label(each): spelled(each) for each in seen.addresses})


def _obstacle(reader: Reader, place: Place) -> str:
    try:
        refusal = owner(reader, place, reader.seen(place))
    except AdapterError as fault:
        return str(fault)
    return f"{refusal} {refusal.advice}" if refusal is not None else ""
