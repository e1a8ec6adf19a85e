"""A store that takes nothing for a while: judged on, nothing done, nothing forgotten. The database itself refuses, by a trigger."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.controller.blind import Blindness
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.observe import SourceHealth
from rollbackd.policies.judge import State
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World


@contextmanager
def refusing(world: World) -> Iterator[None]:
    """The database takes no row of the journal meanwhile."""
    with closing(sqlite3.connect(world.store.file)) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no space'); END")
        yield
        other.execute("DROP TRIGGER full")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, replace(SHOP_POLICY, timing=replace(SHOP_POLICY.timing, bake=3 * EVERY)))
    yield world
    world.close()


def state(world: World) -> State:
    return world.engine.standings["shop"].evaluation.verdicts[0].state


def test_a_change_that_cannot_be_recorded_is_judged_and_nothing_is_decided_before_it_is_on_record(world: World) -> None:
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    with refusing(world):
        for _ in range(3):
            world.slot(60)
        assert state(world) is State.BREACH
        assert world.engine.slots == 4
        assert "no space" in (world.engine.store_fault or "")
    assert world.kinds() == []
    for _ in range(2):
        world.slot(60)
    assert world.version.read_text() == "v1\n"
    assert world.engine.store_fault is None


def test_a_store_is_called_well_only_once_it_has_taken_a_row(world: World) -> None:
    world.slot(0)
    world.deploy("v2")
    with refusing(world):
        world.slot(0)
        world.deploy("v1")  # nothing is left to record
        world.slot(0)
        assert world.engine.store_fault is not None
    world.slot(0)
    assert world.engine.store_fault is None
    assert "store.recovered" in [entry.kind for entry in world.store.history(10)]


def test_a_revision_that_served_its_bake_time_while_nothing_could_be_recorded_is_known_good_afterwards(world: World) -> None:
    world.slot(0)
    with refusing(world):
        for _ in range(4):
            world.slot(0)
    world.slot(0)
    assert [(known.revision, known.standing) for known in world.store.ledger(SHOP)] == [("v1", Standing.GOOD)]


def test_a_blind_source_that_could_not_be_told_of_is_told_of_later(world: World) -> None:
    blindness, silent = Blindness(world.store), {"prometheus": SourceHealth(world.at, "no answer")}
    at = world.at + timedelta(minutes=6)
    with refusing(world), pytest.raises(StoreError):
        blindness.check_sources(silent, (SHOP_POLICY,), at)
    blindness.check_sources(silent, (SHOP_POLICY,), at)
    assert [entry.kind for entry in world.store.history(10)] == ["source.blind"]
