"""How far a Deployment's rollout is, out of what its controller wrote into its status."""

from datetime import datetime, timedelta

from rollbackd.adapters.base.target import Progress
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.deadline import has_deadline, so_far
from rollbackd.adapters.kubernetes.objects import Raw


def progress(deployment: Raw, current: Raw | None, ready: datetime | None) -> Progress:
    """As of the Deployment's observed generation.

    ``current``: the ReplicaSet that is to run. ``ready``: when the first of its pods was seen ready for this change, whatever became of it since.
    """
    spec, status = deployment["spec"], deployment.get("status", {})
    wanted = int(spec.get("replicas", 1))
    updated, there, serving = (int(status.get(name, 0)) for name in ("updatedReplicas", "replicas", "readyReplicas"))
    return Progress(
        wanted=wanted,
        ready=serving,
        unfinished=None if spec.get("paused") else _unfinished(wanted, updated, there, serving),
        overdue=objects.stall(deployment, current),
        allowed=_allowed(spec, current, is_over=updated >= there and ready is not None),
    )


def _unfinished(wanted: int, updated: int, there: int, ready: int) -> str | None:
    old = there - updated
    if updated >= wanted and old <= 0 and ready >= wanted:
        return None
    return f"{updated} of {wanted} updated, {ready} ready, {max(old, 0)} old left"


def _allowed(spec: Raw, current: Raw | None, *, is_over: bool) -> timedelta | None:
    """None once it is over: a pod that is evicted or added later is missing, too, but is no rollout; nobody knows since when it is missing."""
    if has_deadline(spec) or is_over:
        return None
    return so_far(spec, int((current or {}).get("status", {}).get("readyReplicas", 0)))
