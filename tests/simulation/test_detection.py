"""What becomes of one replica costs no time: the others find the breach at the slot at which they all would have."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import pytest

from rollbackd.controller.engine.fleet import Settings
from rollbackd.policies.known.events import Intended, Opened
from tests.policies.literals import T0
from tests.simulation.shop import EVERY
from tests.simulation.story import WIDE, Event, Story
from tests.simulation.telling import Teller, teller

BAD = Event(62.0, "deploy-bad", 4, 0.6)
STORY = Story(5, 1, Settings(limits=WIDE), (BAD,), services=6)
HOLDERS = ("kill-before-write", "write-frozen")
"""What becomes of the one that has claimed."""
LONG = 200.0
"""Seconds, until long after the rollback."""


@pytest.fixture(scope="module")
def at() -> Iterator[Teller]:
    with teller() as at:
        yield at


class Times(NamedTuple):
    """The slot that opened the incident, when its write was accepted, and when the first claim on it was to end."""

    found: datetime
    written: datetime
    deadline: datetime


def told(at: Teller, replicas: int, *faults: Event) -> Times:
    """How the story went."""
    world = at.world(replace(STORY, replicas=replicas, events=tuple(sorted((BAD, *faults), key=lambda event: event.at))))
    world.tell()
    (write,) = world.oracles.accepted
    events = world.replicas[0].store.events(write.intent.incident)
    opened = next(event for event in events if isinstance(event, Opened))
    intended = next(event for event in events if isinstance(event, Intended))
    return Times(opened.at, write.at, intended.deadline)


@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("fault", ["kill", "freeze", "cut", "disk-cut", *HOLDERS])
def test_no_time_is_lost_to_find_a_breach_whatever_becomes_of_one_replica_and_whenever(at: Teller, fault: str, replicas: int) -> None:
    found, written, _ = told(at, 1)
    last = (found - T0).total_seconds()
    begins = (last - 9.9, last - 0.1, last + 0.3)  # a slot before, just before, and between the turns of two replicas
    every = [told(at, replicas, Event(moment, fault, who, LONG)) for moment in begins for who in range(replicas)]
    assert {now.found for now in every} == {found}
    assert all(now.written <= max(written, now.deadline) + EVERY for now in every)
    assert any(now.written >= now.deadline for now in every) is (fault in HOLDERS)
