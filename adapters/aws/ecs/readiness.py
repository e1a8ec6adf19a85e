"""What would stop us from acting, or from coming back to what runs now, found before the incident."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rollbackd.adapters.aws.ecs import goals, images, objects
from rollbackd.adapters.aws.ecs.deployers import other_deployer
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.reading import Reader, Seen
from rollbackd.adapters.aws.failures import Gone, Rejected
from rollbackd.adapters.base.errors import AdapterError

AT_ONCE = 8
"""So many services are looked at at the same moment."""


def findings(reader: Reader, places: Sequence[Place]) -> list[str]:
    """One line for each obstacle at these services of one account and region. Never raises an AdapterError."""
    try:
        reader.caller.identify()
    except AdapterError as fault:
        return [f"{place.key}: {fault}" for place in places]
    # A few calls for each service, one after the other, would take minutes for a fleet.
    with ThreadPoolExecutor(min(AT_ONCE, len(places)), thread_name_prefix="readiness") as pool:
        return [line for lines in pool.map(lambda place: _of(reader, place), places) for line in lines]


def _of(reader: Reader, place: Place) -> list[str]:
    try:
        service = reader.service(place)
        if (refusal := other_deployer(reader.caller.region, place, service)) is not None:
            return [f"{place.key}: {refusal} {refusal.advice}"]
        return [f"{place.key}: {line}" for line in _obstacles(reader, reader.standing(place, service))]
    except AdapterError as fault:
        return [f"{place.key}: {fault}"]


def _obstacles(reader: Reader, seen: Seen) -> Iterator[str]:
    if not seen.service.get("desiredCount") and seen.service.get("schedulingStrategy") != "DAEMON":
        yield "it is scaled to 0 tasks: a revert could not be verified. Scale it up."
    live = goals.Goal(seen.revision, seen.definition, objects.images(seen.service_revision), objects.digests(seen.service_revision))
    yield from _way_back(reader, live, "what runs now could not be come back to")
    former = next((each for name, each in goals.history(reader, seen).items() if name != seen.revision), None)
    if former is not None:
        yield from _way_back(reader, former, f"the way back to {former.revision} is not sound")


def _way_back(reader: Reader, goal: goals.Goal, what: str) -> Iterator[str]:
    if not goal.digests:
        return
    for trouble in images.troubles(reader.caller, goal.images, goal.digests, resolves=True):
        yield f"{what}: {trouble}"
    try:
        status = reader.definition(goal.definition)["taskDefinition"].get("status")
    except (Gone, Rejected):
        status = "gone"
    if status != "ACTIVE" and not (status == "INACTIVE" and reader.caller.account.registers):
        name, account = objects.name_of(goal.definition), reader.caller.account.name
        yield f"{what}: task definition {name} is {status}. Keep old definitions registered, or set accounts.{account}.reregister: true."
