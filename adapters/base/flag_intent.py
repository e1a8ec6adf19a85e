"""What an intent keeps of the flags it writes."""

from collections.abc import Mapping
from typing import TypeGuard

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.flags import State
from rollbackd.adapters.base.target import Intent, Json


def states_of(intent: Intent) -> tuple[Mapping[str, State], Mapping[str, State]]:
    """The flags that the intent writes: as they were planned for, and as they will be. Raises Permanent where it holds none."""
    before, after = intent.record.get("before"), intent.record.get("after")
    if not _is_states(before) or not _is_states(after) or set(before) != set(after):
        raise Permanent(f"the intent of {intent.incident} for {intent.target} holds no flag states; nothing was changed; compare the flags by hand")
    return before, after


def _is_states(value: Json) -> TypeGuard[Mapping[str, State]]:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(state, Mapping) for state in value.values())
