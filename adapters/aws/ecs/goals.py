"""To which revision a service can go back: the best candidate that its own history, or a task definition, still knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollbackd.adapters.aws.ecs import objects
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.reading import ARNS_AT_ONCE, Reader, Seen
from rollbackd.adapters.aws.failures import Gone, Rejected
from rollbackd.adapters.base.revisions import is_unresolved


@dataclass(frozen=True, slots=True)
class Goal:
    """A revision and what it is made of. ``definition``: the ARN of its task definition; images and digests are by container."""

    revision: str
    definition: str
    images: Mapping[str, str]
    digests: Mapping[str, str | None]


def goal(reader: Reader, seen: Seen, candidates: Sequence[str]) -> Goal | None:
    """The first candidate that is live or can still be named exactly; None if there is none."""
    known = history(reader, seen) if any(candidate != seen.revision for candidate in candidates) else {}
    known[seen.revision] = _of_revision(seen.revision, seen.service_revision)
    for candidate in candidates:
        if found := known.get(candidate) or _of_definition(reader, seen, candidate):
            return found
    return None


def history(reader: Reader, seen: Seen) -> dict[str, Goal]:
    """The revisions of the newest successful deployments and of what the current one replaces, by name; the newest first.

    What ECS has forgotten is left out: another of them, or a task definition, may be what is wanted.
    """
    listed = reader.listed(seen.place, "SUCCESSFUL")
    newest = sorted(listed, key=lambda item: item["createdAt"], reverse=True)[: ARNS_AT_ONCE - 1]
    sources = [item["arn"] for item in seen.deployment.get("sourceServiceRevisions") or []]
    arns = list(dict.fromkeys([*sources, *(item["targetServiceRevisionArn"] for item in newest)]))
    found: dict[str, Goal] = {}
    for revision in reader.revisions_left(arns):
        name = reader.name(revision)
        if not is_unresolved(name):
            found.setdefault(name, _of_revision(name, revision))
    return found


def source(reader: Reader, seen: Seen) -> str | None:
    """The name of the one revision that the current deployment replaces; None where it is not one, or ECS has forgotten it."""
    left = _sources(reader, seen) if len(seen.deployment.get("sourceServiceRevisions") or []) == 1 else []
    return left[0] if left else None


def is_way_back(reader: Reader, seen: Seen) -> bool:
    """Whether the current deployment leads to an older definition than one that it replaces."""
    return any(objects.is_older(seen.revision, name) for name in _sources(reader, seen))


def _sources(reader: Reader, seen: Seen) -> list[str]:
    arns = [item["arn"] for item in seen.deployment.get("sourceServiceRevisions") or []]
    return [reader.name(revision) for revision in reader.revisions_left(arns)]


def _of_revision(name: str, revision: Raw) -> Goal:
    return Goal(name, revision["taskDefinition"], objects.images(revision), objects.digests(revision))


def _of_definition(reader: Reader, seen: Seen, candidate: str) -> Goal | None:
    """A candidate that ECS has forgotten: exact only if its definition names every image by digest."""
    if "@" in candidate or ":" not in candidate:
        return None
    arn = f"{seen.definition.rpartition('/')[0]}/{candidate}"
    try:
        definition = reader.definition(arn)["taskDefinition"]
    except (Gone, Rejected):
        return None
    images = {item["name"]: item.get("image", "") for item in definition.get("containerDefinitions") or []}
    if not objects.is_pinned(images):
        return None
    return Goal(candidate, arn, images, {name: objects.pinned_digest(image) for name, image in images.items()})
