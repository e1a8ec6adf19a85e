"""Conditions put together: Kleene logic over what is confirmed, not confirmed and unknown."""

from collections.abc import Sequence
from typing import assert_never

from rollbackd.policies.model.policy import Group, Leaf, Trigger


def is_met(trigger: Trigger, standings: Sequence[bool | None]) -> bool | None:
    """True if the trigger is met, False if it is not, None if what is unknown decides. ``standings`` by condition index."""
    match trigger:
        case Leaf(condition):
            return standings[condition]
        case Group(children, needed):
            met = [is_met(child, standings) for child in children]
            if met.count(True) >= needed:
                return True
            return None if met.count(True) + met.count(None) >= needed else False
        case _:
            assert_never(trigger)


def contributors(trigger: Trigger, standings: Sequence[bool | None]) -> tuple[int, ...]:
    """The indexes of the confirmed conditions by which a met trigger is met, in written order."""
    match trigger:
        case Leaf(condition):
            return (condition,) if standings[condition] is True else ()
        case Group(children):
            found = (contributors(child, standings) for child in children if is_met(child, standings) is True)
            return tuple(dict.fromkeys(index for indexes in found for index in indexes))
        case _:
            assert_never(trigger)
