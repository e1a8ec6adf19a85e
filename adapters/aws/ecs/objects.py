"""What raw services, service deployments and service revisions say. Pure; never changes what it is given.

A revision is a task definition and the images that it stood for: ``api:7`` where every image is pinned by digest, ``api:7@<digest of the image
digests>`` where a tag was resolved, ``api:7@unresolved`` where nobody knows what the tag stood for, or does not yet.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rollbackd.adapters.base.revisions import UNRESOLVED, is_unresolved

Raw = dict[str, Any]

ROLLING_BACK = frozenset({"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
ROLLED_BACK = frozenset({"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
IN_FLIGHT = frozenset({"PENDING", "IN_PROGRESS"})
FINAL = frozenset({"SUCCESSFUL", "STOPPED", *ROLLED_BACK})
_HOPELESS = re.compile(r"unable to consistently start tasks|unable to place a task", re.IGNORECASE)


def name_of(arn: str) -> str:
    """``api:7`` of a task definition's ARN."""
    return arn.rpartition("/")[2]


def revision_name(definition: str, digests: Mapping[str, str | None], *, pinned: bool) -> str:
    """The revision of a task definition (``api:7``) whose containers run these image digests."""
    if pinned:
        return definition
    if not digests or not all(digests.values()):
        return f"{definition}@{UNRESOLVED}"
    text = "\n".join(f"{name}={digest}" for name, digest in sorted(digests.items()))
    return f"{definition}@{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def may_be(one: str, other: str) -> bool:
    """Whether these may name the same revision, one of them from when its images were not resolved yet."""
    return one == other or ((is_unresolved(one) or is_unresolved(other)) and one.partition("@")[0] == other.partition("@")[0])


def is_older(one: str, other: str) -> bool:
    """Whether the definition of the one revision was registered before that of the other, in the same family."""
    (family, _, number), (others, _, newer) = (name.partition("@")[0].rpartition(":") for name in (one, other))
    return family == others and number.isdigit() and newer.isdigit() and int(number) < int(newer)


def pinned_digest(image: str) -> str | None:
    """The digest that an image is named by, if it is."""
    _, at, digest = image.partition("@")
    return digest if at else None


def images(revision: Raw) -> dict[str, str]:
    """Image by container of a service revision, as its definition names it."""
    return {item["containerName"]: item.get("image", "") for item in revision.get("containerImages") or []}


def digests(revision: Raw) -> dict[str, str | None]:
    """Image digest by container of a service revision; None where ECS has not resolved it."""
    found = revision.get("containerImages") or []
    return {item["containerName"]: item.get("imageDigest") or pinned_digest(item.get("image", "")) for item in found}


def is_resolved(revision: Raw) -> bool:
    """Whether it is known which images it stands for."""
    known = digests(revision)
    return bool(known) and all(known.values())


def is_pinned(named: Mapping[str, str]) -> bool:
    """Whether every image is named by its digest."""
    return bool(named) and all(pinned_digest(image) for image in named.values())


def effective(deployment: Raw) -> str:
    """The service revision at which the service stands or to which it moves: after a rollback, that of before."""
    if deployment["status"] in ROLLING_BACK | ROLLED_BACK:
        back = (deployment.get("rollback") or {}).get("serviceRevisionArn")
        sources = [item["arn"] for item in deployment.get("sourceServiceRevisions") or []]
        return str(back or (sources[0] if sources else deployment["targetServiceRevision"]["arn"]))
    return str(deployment["targetServiceRevision"]["arn"])


def change_id(deployment: Raw) -> str:
    """The deployment's ARN; its rollback is a change of its own."""
    is_back = deployment["status"] in ROLLING_BACK | ROLLED_BACK
    return f"{deployment['serviceDeploymentArn']}{'#rollback' if is_back else ''}"


def since(deployment: Raw) -> datetime:
    """When the change began."""
    back = deployment.get("rollback") or {}
    if deployment["status"] in ROLLING_BACK | ROLLED_BACK:
        began: datetime = back.get("startedAt") or deployment.get("updatedAt") or deployment["createdAt"]
        return began
    created: datetime = deployment["createdAt"]
    return created


def controller(service: Raw) -> str:
    """Who deploys it: ECS, CODE_DEPLOY or EXTERNAL."""
    return str((service.get("deploymentController") or {}).get("type") or "ECS")


def primary(service: Raw) -> Raw:
    """Its PRIMARY deployment; empty where it has none."""
    deployments: list[Raw] = service.get("deployments") or []
    return next((item for item in deployments if item.get("status") == "PRIMARY"), {})


def breaker(deployment: Raw) -> str | None:
    """What in ECS itself rolled it back, if something did."""
    if deployment["status"] not in ROLLING_BACK | ROLLED_BACK:
        return None
    for part, words in (("deploymentCircuitBreaker", "its deployment circuit breaker"), ("alarms", "its deployment alarms")):
        if (deployment.get(part) or {}).get("status") == "TRIGGERED":
            return words
    return None


def paused_hook(deployment: Raw) -> str | None:
    """The id of the hook at which it waits for somebody's word."""
    hooks: Sequence[Raw] = deployment.get("lifecycleHookDetails") or []
    return next((str(item["hookId"]) for item in hooks if item.get("status") == "AWAITING_ACTION"), None)


def trouble(service: Raw, deployment: Raw) -> str | None:
    """Why the deployment cannot go on, by ECS's own word: the newest event of its time that says so."""
    began = since(deployment)
    events: list[Raw] = service.get("events") or []
    said = [item for item in events if item["createdAt"] >= began and _HOPELESS.search(item.get("message", ""))]
    return str(max(said, key=lambda item: item["createdAt"])["message"]) if said else None


def ended(deployment: Raw) -> str | None:
    """Why ECS goes on with it no more, though it did not come where it was to."""
    status = deployment["status"]
    if status in ("STOPPED", "ROLLBACK_FAILED"):
        return f"the service deployment ended as {status}: {deployment.get('statusReason') or 'no reason given'}"
    return None


def stuck(service: Raw, deployment: Raw) -> str | None:
    """Why its rollout cannot complete, or not for now, if ECS says so."""
    if deployment["status"] in IN_FLIGHT and not primary(service).get("runningCount"):
        return trouble(service, deployment)
    return ended(deployment)
