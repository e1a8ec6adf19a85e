"""What cannot be finished now is tried again at the next slot, never in a loop: the core on literal time, as after a crash."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest
from rollbackd.adapters.command import Command
from rollbackd.policies.known.events import Intended, Opened
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Mode
from tests.controller.world import SHOP, World
from tests.policies.literals import SECOND


class Crashing(Command):
    """A command whose ``plan`` has a bug. It counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked = 0

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        self.asked += 1
        raise RuntimeError("a bug")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


def claimed(world: World, seconds: int) -> None:
    """A former life opened an incident and died with a claim on its second rung, which runs for so long."""
    opened = Opened("inc-1", world.at, SHOP, "shop", "d", "v2@1", "v2", ("v2@1",), "errors", Mode.AUTO, world.at, "r", "e")
    intent = Intended("inc-1", world.at, 1, SHOP, "v2", "v1", "p", "e", world.at + seconds * SECOND, "put it back")
    with world.store.transaction() as tx:
        assert tx.open(opened, SHOP)
        tx.claim(intent, "test-0", Limits())


def test_a_claim_that_still_runs_is_waited_for_from_slot_to_slot(world: World) -> None:
    world.deploy("v2")
    claimed(world, 25)
    world.slot(60)  # fails here if the core does not come to rest
    world.slot(60)
    assert [incident.phase for incident in world.incidents()] == [Phase.ACTING]
    world.slot(60)
    assert world.kinds().count("claim.taken_over") == 1
    assert world.version.read_text() == "v1\n"


def test_a_bug_in_an_adapter_meets_each_slot_once(world: World) -> None:
    broken = Crashing()
    assert isinstance(world.targets, dict)
    world.deploy("v2")
    world.slot(60)
    world.targets["command"] = broken
    world.slot(60)
    asked = broken.asked
    world.slot(60)
    assert broken.asked - asked <= 1
