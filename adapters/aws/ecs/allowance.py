"""How long a service may take to replace its tasks, as its own document lets ECS do it. Pure."""

import math
from datetime import timedelta

from rollbackd.adapters.aws.ecs.objects import Raw

DEADLINE = timedelta(minutes=10)
"""For a batch of tasks."""
LONGEST = timedelta(hours=3)
"""For all batches: people have to hear the same day of a service whose batches never end."""


def deadline(service: Raw) -> timedelta:
    """How long its rollout may take: each batch has ten minutes and its grace; the bake times and steps of its own deployments are added.

    How long a target group waits for connections to end (its deregistration delay) is not read; the ten minutes cover the five of its default.
    """
    return _for_rounds(service, batches(service))


def so_far(service: Raw, current: Raw) -> timedelta:
    """How long it may have taken until the tasks of ``current``, its PRIMARY deployment, run: the batches that are done, and one that is under way.

    How many start at once the room in the cluster decides, too: where it has no more than one place to spare, each task is a batch of its own. So
    each that runs counts as one; one that failed takes it back, for what crashes over and over does not come on.
    """
    wanted, running, failed = (int(current.get(name) or 0) for name in ("desiredCount", "runningCount", "failedTasks"))
    done = running * batches(service) // max(wanted, 1)
    return _for_rounds(service, max(done, running - failed) + 1)


def _for_rounds(service: Raw, count: int) -> timedelta:
    each = DEADLINE + timedelta(seconds=float(service.get("healthCheckGracePeriodSeconds") or 0))
    return max(each, min(each * count, LONGEST)) + _bakes(service)


def _bakes(service: Raw) -> timedelta:
    parts: Raw = service.get("deploymentConfiguration") or {}
    minutes = float(parts.get("bakeTimeInMinutes") or 0)
    linear, canary = parts.get("linearConfiguration") or {}, parts.get("canaryConfiguration") or {}
    if linear:
        minutes += float(linear.get("stepBakeTimeInMinutes") or 0) * 100 / max(float(linear.get("stepPercent") or 100), 1)
    return timedelta(minutes=minutes + float(canary.get("canaryBakeTimeInMinutes") or 0))


def batches(service: Raw) -> int:
    """In how many rounds ECS replaces its tasks, with some above the desired count and some below it; not rolling, it starts all at once."""
    wanted, parts = int(service.get("desiredCount") or 0), service.get("deploymentConfiguration") or {}
    if strategy(service) != "ROLLING" or not wanted:
        return 1
    most = wanted * int(parts.get("maximumPercent", 200)) // 100
    least = -(-wanted * int(parts.get("minimumHealthyPercent", 100)) // 100)  # rounded up, and the most is rounded down, as ECS does
    return math.ceil(wanted / min(max(most - least, 1), wanted))


def strategy(service: Raw) -> str:
    """How it deploys."""
    return str((service.get("deploymentConfiguration") or {}).get("strategy") or "ROLLING")
