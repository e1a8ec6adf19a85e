"""What a target itself keeps of its past: for those that keep any."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from rollbackd.adapters.base.errors import Refused


@dataclass(frozen=True, slots=True)
class Kept:
    """A revision that the target still holds and could be put back to. ``began``: when it first came, not when it came again."""

    revision: str
    number: int
    began: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """Everything that is kept, in the order of the numbers, what runs now last. ``refusal``: why nothing may be written there at all."""

    kept: Sequence[Kept]
    live: str
    refusal: Refused | None = None


@runtime_checkable
class KeepsPast(Protocol):
    """A kind of target that keeps a past."""

    def past(self, key: str) -> Past:
        """What is kept of this target. Reads only. Raises AdapterError."""
        ...
