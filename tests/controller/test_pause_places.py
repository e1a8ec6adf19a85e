"""The pause switch where the target lies: asked before a write, and unreadable means paused."""

import pytest

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.command import Command, CommandSpec
from tests.controller.world import SHOP, World


class Pausable(Command):
    """A command whose place can be paused."""

    said: str | AdapterError | None = None

    def paused(self, key: str) -> str | None:
        assert key == SHOP
        if isinstance(self.said, AdapterError):
            raise self.said
        return self.said


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    spec: CommandSpec = world.targets["command"]._commands["shop"]
    world.targets["command"] = Pausable({"shop": spec})
    world.deploy("v1")
    world.good("v1")
    world.slot(0)
    world.deploy("v2")
    yield world
    world.close()


def test_what_is_not_paused_is_put_back(world):
    world.slot(0)
    world.slot(60)
    assert (world.version.read_text(), world.guards()) == ("v1\n", [])


@pytest.mark.parametrize("said", ["game day", Transient("shop: no answer")], ids=["paused", "unreadable"])
def test_a_paused_place_is_not_written_to_and_people_are_told(world, said):
    world.targets["command"].said = said
    world.slot(0)
    world.slot(60)
    assert (world.version.read_text(), world.guards()) == ("v2\n", ["pause"])
    assert "game day" in world.titles()[-1] or "unreadable means paused" in world.lines()[1]
