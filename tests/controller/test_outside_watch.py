"""A breach that no change explains, seen by several replicas: one message, whenever each of them looked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.controller.journal.store import Store
from tests.controller.world import World
from tests.policies.literals import MINUTE, SECOND, T0

BREACH = "NO ACTION TAKEN command:shop: error-rate in breach, no change explains it"


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """Two on one journal; each has seen the target once."""
    one = World(tmp_path)
    two = World(tmp_path, store=Store.open(f"sqlite:///{tmp_path}/rollbackd.db", "test-1", lambda: one.at))
    yield one, two
    two.close()
    one.close()


def breaks(world: World) -> list[str]:
    """Two bad slots confirm it."""
    world.slot(60)
    world.slot(60)
    return world.titles()


@pytest.mark.parametrize("first", [0 * SECOND, 30 * SECOND, 50 * SECOND], ids=["in-one-minute", "across-its-end", "at-its-end"])
@pytest.mark.parametrize("later", [-30 * SECOND, 30 * SECOND, MINUTE], ids=["the-second-sees-it-first", "later", "a-whole-look-later"])
def test_replicas_that_look_at_other_moments_tell_of_a_breach_once(replicas, first, later):
    one, two = replicas
    one.at, two.at = T0 + MINUTE + first, T0 + MINUTE + first + later
    assert breaks(one) == [BREACH]
    assert breaks(two) == [BREACH]


def test_the_next_breach_is_told_of_anew(replicas):
    one, two = replicas
    breaks(one)
    one.at = two.at = T0 + 3 * 60 * MINUTE
    assert breaks(one) == [BREACH] * 2
    assert breaks(two) == [BREACH] * 2
