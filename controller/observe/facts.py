"""What the survey heard of the targets themselves, as readings. Decides nothing; what is not known stays unknown."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Progress, TargetState
from rollbackd.policies.known.reasons import duration_text
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Lack, Reading, Told, Unknown
from rollbackd.policies.model.signals import OfTarget


def with_facts(
    policies: Sequence[Policy], readings: Mapping[str, tuple[Reading, ...]], states: Mapping[str, TargetState | AdapterError], at: datetime
) -> dict[str, tuple[Reading, ...]]:
    """The readings of these policies, with what their targets said in the slot ``at`` in its place."""
    return {policy.name: told(policy, readings[policy.name], states.get(policy.target), at) for policy in policies}


def told(policy: Policy, readings: tuple[Reading, ...], state: TargetState | AdapterError | None, at: datetime) -> tuple[Reading, ...]:
    """One policy's readings, with what its target said in its place."""
    if not any(isinstance(condition.signal, OfTarget) for condition in policy.conditions):
        return readings
    said = rollout(state, at)
    pairs = zip(policy.conditions, readings, strict=True)
    return tuple([said if isinstance(condition.signal, OfTarget) else reading for condition, reading in pairs])


def rollout(state: TargetState | AdapterError | None, at: datetime) -> Told | Unknown:
    """Whether the rollout can complete: bad once it is past its deadline, well once it is complete."""
    if isinstance(state, AdapterError):
        return Unknown(at, Lack.ERROR, str(state))
    if state is None or state.progress is None:
        return Unknown(at, Lack.NODATA, "a target of this kind says nothing of rollouts")
    progress = state.progress
    if (overdue := progress.overdue or _overdue(progress, state, at)) is not None:
        return Told(at, is_bad=True, said=overdue)
    if progress.unfinished is not None:
        return Told(at, is_bad=None, said=f"under way: {progress.unfinished}")
    return Told(at, is_bad=False, said=f"complete, {progress.ready} of {progress.wanted} ready")


def _overdue(progress: Progress, state: TargetState, at: datetime) -> str | None:
    if progress.allowed is None or progress.unfinished is None or state.started is None or at - state.started.late < progress.allowed:
        return None
    took = duration_text(at - state.started.late)
    return f"{progress.unfinished} {took} after it began > {duration_text(progress.allowed)} that it may take to come so far"
