"""Why pods do not start, as their kubelets say it: what waiting does not mend, and what passes. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from rollbackd.adapters.kubernetes.objects import Raw

_FINAL = frozenset({"ErrImageNeverPull", "InvalidImageName"})
"""Reasons of a waiting container that waiting does not mend, whatever the message says."""
_TELLS_BY_MESSAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"})
"""Reasons that one node may have for a moment, and all nodes for good. Older kubelets give "ImagePullBackOff" no cause; "ErrImagePull", which
comes before each of them, has one.
"""
# As adapters/aws/ecs/standing.py tells them apart, with the kubelet's own words. A copy: adapters know nothing of one another.
_FOR_GOOD = re.compile(
    r"not ?found|does not exist|no such image|can't find|couldn't find key|manifest unknown|no match(ing manifest)? for"
    r"|access ?denied|denied:|no basic auth|unauthorized|not authorized|forbidden|invalid reference format"
    r"|will run as root|non-root policy|non-numeric user",
    re.IGNORECASE,
)
_PASSES = re.compile(r"too ?many ?requests|rate exceeded|rate limit|throttl|timed? ?out|deadline exceeded|expired|request canceled", re.IGNORECASE)
"""What does pass, whatever else the same line says: an expired token is "denied" too, and an image may be named after any word."""
_CRASHING = "CrashLoopBackOff"
ENOUGH_RESTARTS = 3
"""From so many restarts on a container that crashes counts as one that will go on: then it has ended four times, over half a minute or more.

Before that it may be one that started while what it needs was restarting: the kubelet starts it again at once, then after 10 s, then after 20 s.
"""
ENOUGH_BACK_OFF = timedelta(seconds=40)
"""And from this back-off on, the third after 10 s and 20 s. Restarts count for the life of a pod, but its back-off begins anew once the container ran
for ten minutes: a pod with old restarts, in its first back-off, is as little proven as a young one.
"""
_BACK_OFF = re.compile(r"back-off (?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?P<seconds>\d+(?:\.\d+)?)s restarting", re.IGNORECASE)


def final_fault(pods: Sequence[Raw]) -> str | None:
    """Why one of them will never start."""
    return next((_told(pod, container) for pod, container in _containers(pods) if _is_final(container)), None)


def trouble(pods: Sequence[Raw]) -> str | None:
    """Why one of them does not start yet, where its kubelet tries again."""
    waiting = [_told(pod, container) for pod, container in _containers(pods) if _waiting(container).get("reason") in _TELLS_BY_MESSAGE]
    more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    return f"{waiting[0]}{more}" if waiting else None


def _containers(pods: Sequence[Raw]) -> Iterator[tuple[Raw, Raw]]:
    """Each container's status with its pod."""
    for pod in pods:
        status = pod.get("status", {})
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            yield pod, container


def _waiting(container: Raw) -> Raw:
    return container.get("state", {}).get("waiting") or {}


def _is_final(container: Raw) -> bool:
    reason, message = _waiting(container).get("reason"), str(_waiting(container).get("message") or "")
    if reason == _CRASHING:
        return int(container.get("restartCount", 0)) >= ENOUGH_RESTARTS and _backs_off_long(message)
    if reason in _TELLS_BY_MESSAGE:
        return _FOR_GOOD.search(message) is not None and _PASSES.search(message) is None
    return reason in _FINAL


def _backs_off_long(message: str) -> bool:
    """Whether it waits for as long as one that crashes over and over; where its kubelet names no time, the restarts alone decide."""
    found = _BACK_OFF.search(message)
    return found is None or timedelta(**{unit: float(count or 0) for unit, count in found.groupdict().items()}) >= ENOUGH_BACK_OFF


def _told(pod: Raw, container: Raw) -> str:
    waiting = _waiting(container)
    detail = f": {waiting['message']}" if waiting.get("message") else ""
    return f"pod {pod['metadata']['name']}, container {container['name']}: {waiting['reason']}{detail}"
