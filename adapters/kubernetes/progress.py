"""How far a Deployment's rollout is, out of what its controller wrote into its status."""

from rollbackd.adapters.base.target import Progress
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.deadline import NO_DEADLINE
from rollbackd.adapters.kubernetes.objects import Raw


def progress(deployment: Raw, current: Raw | None) -> Progress:
    """As of the Deployment's observed generation; ``current``: the ReplicaSet that is to run."""
    spec, status = deployment["spec"], deployment.get("status", {})
    wanted = int(spec.get("replicas", 1))
    updated, there, ready = (int(status.get(name, 0)) for name in ("updatedReplicas", "replicas", "readyReplicas"))
    return Progress(
        wanted=wanted,
        ready=ready,
        unfinished=None if spec.get("paused") else _unfinished(wanted, updated, there, ready),
        overdue=objects.stall(deployment, current),
        # Without a deadline the controller keeps no record of progress at all.
        has_deadline=spec.get("progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE,
    )


def _unfinished(wanted: int, updated: int, there: int, ready: int) -> str | None:
    old = there - updated
    if updated >= wanted and old <= 0 and ready >= wanted:
        return None
    return f"{updated} of {wanted} updated, {ready} ready, {max(old, 0)} old left"
