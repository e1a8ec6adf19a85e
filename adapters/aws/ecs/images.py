"""Whether images can still be pulled, and what their tags stand for now, as far as they are in ECR."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.ecs import calls, objects
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.base.shape import shaped

_ECR = re.compile(
    r"(?P<registry>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|on\.aws)/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an image would not start as it was. ``subject``: container and image."""

    subject: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}. {self.advice}"


def troubles(caller: Caller, images: Mapping[str, str], digests: Mapping[str, str | None], *, resolves: bool) -> list[Trouble]:
    """What keeps these images, by container, from running again with these digests.

    ``resolves``: a new deployment resolves their tags again; a rollback that ECS does itself does not. Raises what keeps ECR from being asked.
    """
    found = [_trouble(caller, container, image, digests.get(container), resolves) for container, image in sorted(images.items())]
    return [trouble for trouble in found if trouble is not None]


def outside(images: Mapping[str, str]) -> list[str]:
    """Those that are not in ECR, where nothing can be asked about them."""
    return sorted(image for image in images.values() if _ECR.fullmatch(image) is None)


def _trouble(caller: Caller, container: str, image: str, digest: str | None, resolves: bool) -> Trouble | None:
    subject, named = f"container {container}, image {image}", _ECR.fullmatch(image)
    pinned = objects.pinned_digest(image)
    if digest is None:
        return Trouble(subject, "nobody knows which image its tag stood for", "Name images by digest.")
    if named is None:
        if pinned is None and resolves:
            return Trouble(subject, "its tag is outside ECR and cannot be compared with what it stood for", "Name images by digest.")
        return None
    if not _exists(caller, named, digest):
        return Trouble(subject, f"{digest} is gone from the repository", "Push it again, or keep more images in its lifecycle policy.")
    if pinned is None and resolves and (now := _stands_for(caller, named)) != digest:
        what = f"its tag stands for {now or 'nothing'} now, and stood for {digest}: a new deployment would start another image"
        return Trouble(subject, what, f"Put the tag back to {digest}, or name images by digest.")
    return None


def _exists(caller: Caller, named: re.Match[str], digest: str) -> bool:
    return _described(caller, named, {"imageDigest": digest}) is not None


def _stands_for(caller: Caller, named: re.Match[str]) -> str | None:
    return _described(caller, named, {"imageTag": named["tag"] or "latest"})


def _described(caller: Caller, named: re.Match[str], image: Mapping[str, str]) -> str | None:
    """The digest of the image, if the repository has it."""
    there = caller if named["region"] == caller.region else caller.elsewhere(named["region"])
    try:
        answer = there.read(calls.DESCRIBE_IMAGES, registryId=named["registry"], repositoryName=named["repository"], imageIds=[image])
    except Gone:
        return None
    with shaped("ECR"):
        return str(answer["imageDetails"][0]["imageDigest"])
