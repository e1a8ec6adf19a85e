"""How services stand now: ten a call, and two calls more for all whose deployments are new."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from rollbackd.adapters.aws.ecs import objects
from rollbackd.adapters.aws.ecs.deployers import task_set
from rollbackd.adapters.aws.ecs.goals import is_way_back
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.progress import progress
from rollbackd.adapters.aws.ecs.reading import Reader, Seen, by_cluster
from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.revisions import is_unresolved
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.base.target import Interval, TargetState

GRACE = timedelta(minutes=2)
"""How long the images of a new deployment are waited for. ECS resolves them with the first task that starts; some it never resolves."""


class Surveyor:
    """Remembers when a revision was first seen to serve: ECS itself tells only when the whole rollout was done.

    ``steady``: seconds that no hand on the clock moves.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._first_ready: dict[Place, tuple[str, datetime]] = {}
        self._unresolved: dict[Place, tuple[str, float]] = {}

    def states(self, reader: Reader, places: Sequence[Place]) -> dict[str, TargetState | AdapterError]:
        """The services of one account and region, by key."""
        found: dict[str, TargetState | AdapterError] = {}
        for cluster, group in by_cluster(places).items():
            try:
                services = reader.services(cluster, group)
                _read_together(reader, services)
            except AdapterError as fault:
                found.update({place.key: fault for place in group})
            else:
                found.update({place.key: self._state(reader, place, service) for place, service in services.items()})
        return found

    def _state(self, reader: Reader, place: Place, service: Raw | AdapterError) -> TargetState | AdapterError:
        if isinstance(service, AdapterError):
            return service
        try:
            with shaped(f"ECS in {place.account}, {place.region}"):
                if objects.controller(service) != "ECS":
                    return _of_task_set(place, service)
                return self._of(reader, reader.standing(place, service))
        except AdapterError as fault:
            return fault

    def _of(self, reader: Reader, seen: Seen) -> TargetState | AdapterError:
        deployment = seen.deployment
        change_id = objects.change_id(deployment)
        if is_unresolved(seen.revision) and self._may_resolve(reader, seen, change_id):
            return Transient(f"{seen.place}: ECS has not resolved the images of its new deployment yet; what is known of it stays as it was.")
        began, breaker = objects.since(deployment), objects.breaker(deployment)
        return TargetState(
            key=seen.place.key,
            revision=seen.revision,
            change_id=change_id,
            started=Interval(began, began),
            ready=self._ready(seen, change_id),
            has_readiness=True,
            stuck=objects.stuck(seen.service, deployment),
            progress=progress(seen.service, deployment),
            parts=_parts(seen),
            writer=f"ECS ({breaker})" if breaker is not None else None,
        )

    def _may_resolve(self, reader: Reader, seen: Seen, change_id: str) -> bool:
        """Whether its images are waited for: not where a task has failed or none can be placed, and not for longer than ``GRACE``.

        A way back is waited for as long as it is under way: it may be ours, and by another name than the planned one it would be another writer's.
        """
        since = self._seen_since(seen.place, change_id)
        if seen.deployment["status"] not in objects.IN_FLIGHT or objects.primary(seen.service).get("failedTasks"):
            return False
        is_fresh = self._steady() - since < GRACE.total_seconds() and objects.stuck(seen.service, seen.deployment) is None
        return is_fresh or is_way_back(reader, seen)

    def _seen_since(self, place: Place, change_id: str) -> float:
        known, since = self._unresolved.get(place, (None, 0.0))
        if known == change_id:
            return since
        self._unresolved[place] = (change_id, self._steady())
        return self._unresolved[place][1]

    def _ready(self, seen: Seen, change_id: str) -> datetime | None:
        known, moment = self._first_ready.get(seen.place, (None, None))
        if known == change_id:
            return moment
        primary, ended = objects.primary(seen.service), seen.deployment.get("finishedAt")
        if seen.deployment["status"] in objects.ROLLING_BACK and primary.get("taskDefinition") != seen.definition:
            return None
        if not primary.get("runningCount"):
            return None
        ready: datetime = ended or primary.get("updatedAt") or primary["createdAt"]
        self._first_ready[seen.place] = (change_id, ready)
        return ready


def _read_together(reader: Reader, services: dict[Place, Raw | AdapterError]) -> None:
    """The new deployments and revisions of all of them are read in as few calls as can be; what fails is met again one by one."""
    ours = {place: each for place, each in services.items() if not isinstance(each, AdapterError) and objects.controller(each) == "ECS"}
    try:
        deployments = reader.deployments([reader.current(place, service) for place, service in ours.items()])
        reader.revisions([objects.effective(each) for each in deployments.values()])
    except Permanent:
        return


def _parts(seen: Seen) -> dict[str, str]:
    digests = objects.digests(seen.service_revision)
    images = {f"image {name}": _with_digest(image, digests.get(name)) for name, image in objects.images(seen.service_revision).items()}
    return {"task definition": objects.name_of(seen.definition), **images}


def _with_digest(image: str, digest: str | None) -> str:
    return image if digest is None or "@" in image else f"{image}@{digest}"


def _of_task_set(place: Place, service: Raw) -> TargetState | AdapterError:
    """A service that CodeDeploy or somebody else deploys: it can be judged, though we do not put it back."""
    current = task_set(service)
    if not current:
        return Permanent(f"{place} has the deployment controller {objects.controller(service)} and no PRIMARY task set; nothing can be told of it.")
    began: datetime = current["createdAt"]
    definition = objects.name_of(current["taskDefinition"])
    return TargetState(
        place.key, definition, current["id"], Interval(began, began), ready=began, has_readiness=True, parts={"task definition": definition}
    )
