"""How far a service's rollout is, out of what ECS says of it. Pure."""

from rollbackd.adapters.aws.ecs import objects
from rollbackd.adapters.aws.ecs.allowance import so_far
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.base.target import Progress


def progress(service: Raw, deployment: Raw) -> Progress:
    """What serves is counted of the whole service, what is missing of its PRIMARY deployment.

    Overdue is what ECS itself has ended. Where it cannot place or start a task it says so, and tries on: that counts by the time it takes.
    """
    return Progress(
        wanted=int(service.get("desiredCount") or 0),
        ready=int(service.get("runningCount") or 0),
        unfinished=_unfinished(service, deployment),
        overdue=objects.ended(deployment),
        allowed=so_far(service, objects.primary(service)),
    )


def _unfinished(service: Raw, deployment: Raw) -> str | None:
    """A deployment that waits for somebody's word at a hook waits for nobody else."""
    current = objects.primary(service)
    wanted, running, failed = (int(current.get(name) or 0) for name in ("desiredCount", "runningCount", "failedTasks"))
    if deployment["status"] not in objects.IN_FLIGHT or running >= wanted or objects.paused_hook(deployment) is not None:
        return None
    counts, trouble = f"{running} of {wanted} tasks run, {failed} failed", objects.stuck(service, deployment)
    return f"{counts}: {trouble}" if trouble else counts
