"""Many keys at once: grouped by what one conversation serves, the groups asked at the same moment."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.target import TargetState

P = TypeVar("P")
AT_ONCE = 8
"""So many groups are asked at the same moment."""


def surveyed(
    keys: Sequence[str],
    place: Callable[[str], P],
    group: Callable[[P], Hashable],
    ask: Callable[[list[P]], Mapping[str, TargetState | AdapterError]],
) -> Mapping[str, TargetState | AdapterError]:
    """What every group of places answers, by key, and the fault of each key that names none."""
    groups, faults = _placed(keys, place, group)
    found: dict[str, TargetState | AdapterError] = {**faults}
    if len(groups) <= 1:
        answers = [ask(places) for places in groups]
    else:
        with ThreadPoolExecutor(min(AT_ONCE, len(groups)), thread_name_prefix="accounts") as pool:
            answers = list(pool.map(ask, groups))
    for answer in answers:
        found.update(answer)
    return found


def checked(
    keys: Sequence[str], place: Callable[[str], P], group: Callable[[P], Hashable], find: Callable[[list[P]], Iterable[str]]
) -> tuple[str, ...]:
    """A line for each key that names no place, and what is found of every group."""
    groups, faults = _placed(keys, place, group)
    return (*(f"{key}: {fault}" for key, fault in faults.items()), *(line for places in groups for line in find(places)))


def _placed(keys: Sequence[str], place: Callable[[str], P], group: Callable[[P], Hashable]) -> tuple[list[list[P]], dict[str, Permanent]]:
    """The places of the keys in their groups, and the keys that name none."""
    groups: dict[Hashable, list[P]] = {}
    faults: dict[str, Permanent] = {}
    for key in dict.fromkeys(keys):
        try:
            found = place(key)
        except Permanent as fault:
            faults[key] = fault
        else:
            groups.setdefault(group(found), []).append(found)
    return list(groups.values()), faults
