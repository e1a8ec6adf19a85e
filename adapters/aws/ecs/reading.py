"""A service as it stands: itself, the service deployment that brought it there, and the service revision at which it stands.

What cannot change any more is asked for once: a deployment that has ended, a revision whose images are resolved, a task definition.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.ecs import calls, objects
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.failures import Gone, Rejected
from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.shape import shaped

T = TypeVar("T")
COPY_OF = "rollbackd:copy-of"
"""The tag of a task definition that was registered again: the name of the one that it is a copy of."""
SERVICES_AT_ONCE = 10
ARNS_AT_ONCE = 20
_MOST_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A service as it stands. ``revision``: its name for it; ``service_revision``: what the name was made of."""

    place: Place
    service: Raw
    deployment: Raw
    service_revision: Raw
    revision: str

    @property
    def definition(self) -> str:
        """The ARN of the task definition at which it stands or to which it moves."""
        return str(self.service_revision["taskDefinition"])


class Reader:
    """Reads services in one account and region. Safe to use from several threads."""

    def __init__(self, caller: Caller, memory: "Memory") -> None:
        self.caller = caller
        self._memory = memory

    def service(self, place: Place) -> Raw:
        """The service, active. Raises Gone if it is not there or on its way out."""
        found = self.services(place.cluster, [place])[place]
        if isinstance(found, AdapterError):
            raise found
        return found

    def services(self, cluster: str, places: Sequence[Place]) -> dict[Place, Raw | AdapterError]:
        """Each service of this cluster, ten a call."""
        found: dict[Place, Raw | AdapterError] = {}
        for group in _batches(places, SERVICES_AT_ONCE):
            answer = self.caller.read(calls.DESCRIBE_SERVICES, cluster=cluster, services=[place.service for place in group])
            by_name = {item["serviceName"]: item for item in answer.get("services") or []}
            found.update({place: _active(place, by_name.get(place.service)) for place in group})
        return found

    def seen(self, place: Place) -> Seen:
        """The service as it stands. Raises Permanent for one that ECS itself does not deploy."""
        return self.standing(place, self.service(place))

    def standing(self, place: Place, service: Raw) -> Seen:
        """A service that was read, with what brought it where it is."""
        arn = self.current(place, service)
        with shaped(f"ECS in {place.account}, {place.region}"):
            deployment = self.deployments([arn])[arn]
            revision = self.revisions([objects.effective(deployment)])[0]
            return Seen(place, service, deployment, revision, self.name(revision))

    def current(self, place: Place, service: Raw) -> str:
        """The ARN of the service's newest service deployment."""
        if arn := service.get("currentServiceDeployment"):
            return str(arn)
        key = (place, objects.primary(service).get("id"), objects.primary(service).get("rolloutState"))
        return self._memory.kept(("current", key), lambda: self._newest(place), keeps=lambda arn: key[2] == "COMPLETED")

    def _newest(self, place: Place) -> str:
        listed = self.listed(place)
        if not listed:
            what = f"{place}: ECS keeps no service deployment of it (there are none from before October 2024)"
            raise Permanent(f"{what}; nothing can be told of its changes. Deploy it once.")
        return str(max(listed, key=lambda item: item["createdAt"])["serviceDeploymentArn"])

    def listed(self, place: Place, *status: str) -> list[Raw]:
        """Service deployments of these states, in no order: the newest ``ARNS_AT_ONCE`` and older ones."""
        only: dict[str, Any] = {"status": list(status)} if status else {}
        found: list[Raw] = []
        for page in self.caller.pages(calls.LIST_DEPLOYMENTS, cluster=place.cluster, service=place.service, maxResults=100, **only):
            found += page.get("serviceDeployments") or []
            # Amazon promises no order. Where they come newest first, a further page can tell nothing newer.
            if len(found) >= ARNS_AT_ONCE and found == sorted(found, key=lambda item: item["createdAt"], reverse=True):
                break
        return found

    def deployments(self, arns: Sequence[str]) -> dict[str, Raw]:
        """These service deployments. Raises Gone if one of them is no longer known."""
        asked = ("deployment", calls.DESCRIBE_DEPLOYMENTS, "serviceDeploymentArns", "serviceDeployments", "serviceDeploymentArn")
        found = self._described(arns, *asked, keeps=lambda item: item["status"] in objects.FINAL)
        return {arn: _known(calls.DESCRIBE_DEPLOYMENTS, found, arn) for arn in arns}

    def revisions(self, arns: Sequence[str]) -> list[Raw]:
        """These service revisions, in this order. Raises Gone if one of them is no longer known."""
        found = self._revisions(arns)
        return [_known(calls.DESCRIBE_REVISIONS, found, arn) for arn in arns]

    def revisions_left(self, arns: Sequence[str]) -> list[Raw]:
        """Those of these service revisions that ECS still knows, in this order."""
        found = self._revisions(arns)
        return [found[arn] for arn in arns if arn in found]

    def _revisions(self, arns: Sequence[str]) -> dict[str, Raw]:
        asked = ("revision", calls.DESCRIBE_REVISIONS, "serviceRevisionArns", "serviceRevisions", "serviceRevisionArn")
        return self._described(arns, *asked, keeps=objects.is_resolved)

    def _described(
        self, arns: Sequence[str], kind: str, call: Call, ask: str, answered: str, key: str, *, keeps: Callable[[Raw], bool]
    ) -> dict[str, Raw]:
        found = {arn: kept for arn in arns if (kept := self._memory.get((kind, arn))) is not None}
        for group in _batches([arn for arn in dict.fromkeys(arns) if arn not in found], ARNS_AT_ONCE):
            for item in self.caller.read(call, **{ask: list(group)}).get(answered) or []:
                found[item[key]] = item
                if keeps(item):
                    self._memory.put((kind, item[key]), item)
        return found

    def definition(self, arn: str) -> Raw:
        """A task definition, as ``taskDefinition``, and its ``tags``. Its state may change, so it is asked for each time."""
        return self.caller.read(calls.DESCRIBE_DEFINITION, taskDefinition=arn, include=["TAGS"])

    def name(self, revision: Raw) -> str:
        """The revision's name; a copy that we registered goes by the name of what it is a copy of."""
        arn = str(revision["taskDefinition"])
        named = objects.name_of(arn)
        if self.caller.account.registers:
            named = self._memory.kept(("original", arn), lambda: self._original(arn) or named, keeps=lambda _: True)
        return objects.revision_name(named, objects.digests(revision), pinned=objects.is_pinned(objects.images(revision)))

    def _original(self, arn: str) -> str | None:
        try:
            return original(self.definition(arn))
        except (Gone, Rejected):
            return None  # it was deleted, and nobody can say any more what it was


class Memory:
    """What will not change any more, by kind and key; the oldest is forgotten. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[object, object] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple[str, object]) -> Raw | None:
        """What is kept there."""
        found = self._kept.get(key)
        return found if isinstance(found, dict) else None

    def put(self, key: tuple[str, object], value: object) -> None:
        """It is kept."""
        with self._lock:
            while len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = value

    def kept(self, key: tuple[str, object], ask: Callable[[], str], *, keeps: Callable[[str], bool]) -> str:
        """What is kept there, else what ``ask`` says, kept from now on if it ``keeps``."""
        if isinstance(found := self._kept.get(key), str):
            return found
        answer = ask()
        if keeps(answer):
            self.put(key, answer)
        return answer


def original(described: Raw) -> str | None:
    """The name of what this task definition is a copy of, if we registered it."""
    tags: list[Raw] = described.get("tags") or []
    return next((str(tag["value"]) for tag in tags if tag.get("key") == COPY_OF), None)


def _known(call: Call, found: Mapping[str, Raw], arn: str) -> Raw:
    if arn not in found:
        raise Gone(f"{call} knows nothing of {arn}: it is older than 90 days, or its service is gone.")
    return found[arn]


def _active(place: Place, service: Raw | None) -> Raw | AdapterError:
    if service is None:
        return Gone(f"{place} does not exist.")
    if service.get("status") != "ACTIVE":
        return Gone(f"{place} is {service.get('status')}: it is on its way out, or out. Nothing can be put back there.")
    return service


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def by_cluster(places: Iterable[Place]) -> dict[str, list[Place]]:
    """The places by cluster."""
    found: dict[str, list[Place]] = {}
    for place in places:
        found.setdefault(place.cluster, []).append(place)
    return found
