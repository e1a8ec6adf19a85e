"""Many keys at once: grouped by what one conversation serves, the groups asked at the same moment."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rollbackd.adapters.base.errors import AdapterError, Permanent

P = TypeVar("P")
S = TypeVar("S")
AT_ONCE = 8
"""So many groups are asked at the same moment."""


def placed(keys: Sequence[str], place: Callable[[str], P], group: Callable[[P], Hashable]) -> tuple[list[list[P]], dict[str, Permanent]]:
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


def asked(groups: Sequence[list[P]], ask: Callable[[list[P]], Mapping[str, S | AdapterError]]) -> dict[str, S | AdapterError]:
    """What every group answers, by key."""
    found: dict[str, S | AdapterError] = {}
    if len(groups) <= 1:
        answers = [ask(group) for group in groups]
    else:
        with ThreadPoolExecutor(min(AT_ONCE, len(groups)), thread_name_prefix="accounts") as pool:
            answers = list(pool.map(ask, groups))
    for answer in answers:
        found.update(answer)
    return found
