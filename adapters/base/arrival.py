"""What became of a thing that was ordered, takes hours to come, and is people's from then on."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rollbackd.adapters.base.target import Intent


@dataclass(frozen=True, slots=True)
class Arrival:
    """It has come, or it never will.

    ``end``: one word for how it ended, the target's own. ``title``: what has come, without a name in front. ``lines``: what people need to know
    of it, each a fact. ``address``: host and port where it is to be reached, None where it is not.
    """

    end: str
    is_usable: bool
    title: str
    lines: tuple[str, ...]
    address: tuple[str, int] | None = None


@runtime_checkable
class Awaited(Protocol):
    """A kind of target whose orders take long to come. Safe to call from several threads."""

    def arrival(self, intent: Intent) -> Arrival | None:
        """What became of what was ordered; None while it is on its way, or where nothing of ours is there. Raises Transient or Permanent."""
        ...

    def reach(self, address: tuple[str, int]) -> str:
        """One line: whether the address takes a connection from this machine. Takes 3 s at most, never raises."""
        ...
