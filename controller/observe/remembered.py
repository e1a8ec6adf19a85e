"""What was read of the time before a change: asked for once, and kept until the next change."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from rollbackd.controller.observe.asking import Asking
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import Condition, Policy

MOST = 10_000
"""Conditions; with more than these, all is asked for again."""
T = TypeVar("T")


class Told(NamedTuple, Generic[T]):
    """``answer``: what was told of the time before ``began``, of the policy with this ``digest``."""

    digest: str
    began: datetime
    answer: T


class Remembered(Generic[T]):
    """Of each condition, what one question told of its newest change. Safe to call from several threads: at worst a question is asked twice."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Told[T]] = {}

    def of(self, policy: Policy, condition: Condition, began: datetime, ask: Callable[[], Asking[T | None]]) -> Asking[T | None]:
        """What was told of the time before ``began``, by ``ask`` if need be. None is not remembered: the next slot asks again."""
        key = policy.name, condition.name
        told = self._known.get(key)
        if told is not None and (told.digest, told.began) == (policy.digest, began):
            return told.answer
        answer = yield from ask()
        if answer is not None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = Told(policy.digest, began, answer)
        return answer


def newest_start(policy: Policy, changes: Sequence[Change], at: datetime) -> datetime | None:
    """When the newest change of the policy's own target began at the earliest; None where there was none.

    Our own writes are none: before them is the breach that they answer.
    """
    return max((c.started_early for c in changes if c.target == policy.target and not c.ours and c.started_early <= at), default=None)
