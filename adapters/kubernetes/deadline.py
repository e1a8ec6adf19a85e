"""How long a rollout may take before it is called failed or stuck: so long as its Deployment may replace its pods."""

import math
from collections.abc import Callable
from datetime import timedelta

from rollbackd.adapters.kubernetes.objects import Raw

NO_DEADLINE = 2147483647
"""So Kubernetes spells that there is none; its controller then keeps no record of progress at all."""
DEADLINE = timedelta(seconds=600)
"""For a batch of pods where the Deployment says nothing: what Kubernetes takes by default."""
LONGEST = timedelta(hours=3)
"""For all batches, as with ECS: people have to hear the same day of a Deployment that moves on and never ends.

It need not be tight: of a rollout that stands still its controller says so after one deadline, and pods that cannot start say so themselves.
"""
VERDICT_TAKES = timedelta(seconds=30)
"""Kubernetes counts ``progressDeadlineSeconds`` from the last progress, after the write: its own verdict, which says why, is to come before ours."""
_USUAL = "25%"
"""Kubernetes' own ``maxSurge`` and ``maxUnavailable``."""


def deadline(deployment: Raw) -> timedelta:
    """Each batch has the Deployment's own deadline: that one is the longest time without progress, not the time for the whole rollout."""
    spec = deployment["spec"]
    if not has_deadline(spec):
        return _for_all(DEADLINE, batches(spec))
    return _for_all(timedelta(seconds=spec["progressDeadlineSeconds"]), batches(spec)) + VERDICT_TAKES


def has_deadline(spec: Raw) -> bool:
    """Whether its controller keeps one."""
    return spec.get("progressDeadlineSeconds") not in (None, 0, NO_DEADLINE)


def so_far(spec: Raw, ready: int) -> timedelta:
    """How long it may have taken until so many of its new pods are ready, without a deadline: the batches that are done, and one under way."""
    return _for_all(DEADLINE, ready * batches(spec) // max(int(spec.get("replicas", 1)), 1) + 1)


def _for_all(each: timedelta, count: int) -> timedelta:
    return each if each >= LONGEST else min(each * count, LONGEST)


def batches(spec: Raw) -> int:
    """In how many rounds its pods are replaced, with some above the wanted number and some below it; Recreate starts them all at once."""
    wanted, strategy = int(spec.get("replicas", 1)), spec.get("strategy") or {}
    if strategy.get("type") == "Recreate" or not wanted:
        return 1
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", _USUAL), wanted, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", _USUAL), wanted, math.floor)
    # Where both come to nothing Kubernetes takes one pod away at a time: else it could not move.
    return math.ceil(wanted / max(surge + unavailable, 1))


def _share(value: int | str, wanted: int, rounded: Callable[[float], int]) -> int:
    """A number of pods, or a percentage of those wanted."""
    text = str(value)
    return rounded(wanted * int(text[:-1]) / 100) if text.endswith("%") else int(text)
