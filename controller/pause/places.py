"""The pause switch where the target itself lies: asked just before a write, and unreadable means paused there too."""

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Target
from rollbackd.controller.pause.file import Pause


@runtime_checkable
class Pausable(Protocol):
    """A kind of target that its own people can pause without us."""

    def paused(self, key: str) -> str | None:
        """Why nothing may be written there; None only where nobody says so. Raises Transient or Permanent."""
        ...


def why_paused(pause: Pause, targets: Mapping[str, Target], keys: Iterable[str]) -> str | None:
    """Why nothing may be written to these targets: the switch of the whole daemon, or one where a target lies. Raises StoreError."""
    return pause.read() or next(filter(None, (_at(targets, key) for key in dict.fromkeys(keys))), None)


def _at(targets: Mapping[str, Target], key: str) -> str | None:
    target = targets.get(key.partition(":")[0])
    if not isinstance(target, Pausable):
        return None
    try:
        return target.paused(key)
    except AdapterError as fault:
        return f"whether {key} is paused cannot be read ({fault}); unreadable means paused"
