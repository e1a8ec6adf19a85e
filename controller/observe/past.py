"""What was read about past slots, until the watches of new policies are rebuilt from it. At the start of a large fleet nothing takes more memory."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from rollbackd.policies.model.readings import Reading

NOBODY: Mapping[str, int] = MappingProxyType({})


class Past:
    """The readings of some policies at past slots. Belongs to one thread at a time."""

    def __init__(self, widths: Mapping[str, int] = NOBODY) -> None:
        """``widths``: how many readings each policy has in a slot, in the order in which ``add`` is given them."""
        self._slots: list[tuple[datetime, list[Reading | None]]] = []
        self._places: dict[str, tuple[list[tuple[datetime, list[Reading | None]]], slice]] = {}
        end = 0
        for policy, width in widths.items():
            self._places[policy] = self._slots, slice(end, end + width)
            end += width

    def __contains__(self, policy: str) -> bool:
        """Whether there is anything to take out for the policy."""
        return policy in self._places

    def join(self, other: "Past") -> None:
        """What the other one has of its policies is here from now on."""
        self._places |= other._places

    def add(self, at: datetime, readings: Sequence[Reading]) -> None:
        """One more slot, later than those before it: all readings of the first policy, then all of the second, and so on."""
        self._slots.append((at, list(readings)))

    def look(self, policy: str) -> tuple[tuple[datetime, tuple[Reading, ...]], ...]:
        """The policy's slots, oldest first; they stay here."""
        slots, place = self._places.get(policy, ([], slice(0)))
        return tuple((at, tuple([reading for reading in readings[place] if reading is not None])) for at, readings in slots)

    def take_out(self, policy: str) -> Iterator[tuple[datetime, tuple[Reading, ...]]]:
        """The policy's slots, oldest first. What is taken out is here no more, so that what no watch keeps is freed while the watches grow."""
        slots, place = self._places.pop(policy, ([], slice(0)))
        for at, readings in slots:
            found = tuple([reading for reading in readings[place] if reading is not None])
            readings[place] = [None] * len(found)
            yield at, found
