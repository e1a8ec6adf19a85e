"""What is kept of a target's changes: of all but the newest as little as is asked for, for there may be thousands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from sys import intern
from types import MappingProxyType
from typing import Any

from rollbackd.controller.journal.values import SeenChange
from rollbackd.policies.known.changes import Change

NO_PARTS: Mapping[str, Any] = MappingProxyType({})


def newest_of(every: Sequence[SeenChange]) -> SeenChange | None:
    """The one that brought the target where it stands; None where there are only posted ones."""
    return next((seen for seen in reversed(every) if not seen.change.posted), None)


def slim(every: Sequence[SeenChange]) -> tuple[SeenChange, ...]:
    """The same, of which all but the newest take little room."""
    newest = newest_of(every)
    return tuple([seen if seen is newest or seen.parts is NO_PARTS else _packed(seen) for seen in every])


def _packed(seen: SeenChange) -> SeenChange:
    """Without what only the newest is asked for, and with no word of its own that another has too."""
    change = seen.change
    predecessor = intern(change.predecessor) if change.predecessor is not None else None
    same = replace(change, target=intern(change.target), id=intern(change.id), revision=intern(change.revision), predecessor=predecessor)
    return replace(seen, change=same, parts=NO_PARTS)


def is_first_sight(seen: SeenChange) -> bool:
    """True for the row that says where a target stood when it was first looked at, where nobody can say since when."""
    return seen.dated and seen.change.predecessor is None


def as_decided_on(every: Iterable[SeenChange], doubt: str | None) -> tuple[Change, ...]:
    """What decisions see of them.

    ``doubt``: why it is unknown whether the newest change can be crossed. Until that is known it cannot; it is not stored, as it may pass.
    """
    found = [seen.change for seen in every if not is_first_sight(seen)]
    newest = next((change for change in reversed(found) if not change.posted), None)
    if doubt is None or newest is None or newest.irreversible:
        return tuple(found)
    return tuple([replace(change, irreversible=doubt) if change is newest else change for change in found])
