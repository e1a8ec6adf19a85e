"""A store that takes nothing for a while: judged on, nothing done, nothing forgotten. The database itself refuses, by a trigger."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.controller.engine.slots import PolicySet
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.notify.blind import Blindness
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.policies.judge.verdict import State
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World, served


@contextmanager
def refusing(world: World) -> Iterator[None]:
    """The database takes no row of the journal meanwhile."""
    with closing(sqlite3.connect(world.store.database.file)) as other:
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
        assert "no space" in (world.engine.trouble.fault or "")
    assert world.kinds() == []
    for _ in range(2):
        world.slot(60)
    assert world.version.read_text() == "v1\n"
    assert world.engine.trouble.fault is None


def test_a_store_is_called_well_only_once_it_has_taken_a_row(world: World) -> None:
    world.slot(0)
    world.deploy("v2")
    with refusing(world):
        world.slot(0)
        world.deploy("v1")  # nothing is left to record
        world.slot(0)
        assert world.engine.trouble.fault is not None
    world.slot(0)
    assert world.engine.trouble.fault is None
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


@contextmanager
def cut_off(world: World) -> Iterator[None]:
    """No question reaches the database meanwhile."""
    with closing(sqlite3.connect(world.store.database.file)) as other:
        other.execute("ALTER TABLE incidents RENAME TO elsewhere")
        yield
        other.execute("ALTER TABLE elsewhere RENAME TO incidents")


def unheard(world: World, bad: float) -> None:
    """A slot whose journal answers nothing, not even what is under way."""
    world.look(lambda at: served(at, bad, 600.0))


def test_a_store_that_cannot_even_be_read_is_judged_past_and_acted_on_at_the_first_slot_after(world: World) -> None:
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(0)
    with cut_off(world):
        for _ in range(3):
            unheard(world, 60)
        assert (state(world), world.version.read_text()) == (State.BREACH, "v2\n")
    world.slot(60)
    assert world.version.read_text() == "v1\n"


def test_policies_that_came_while_the_store_could_not_be_read_hold_afterwards(world: World) -> None:
    with cut_off(world), pytest.raises(StoreError):
        world.engine._work(PolicySet((replace(SHOP_POLICY, name="newer"),)))
    world.slot(0, policies=("newer",))
    assert list(world.engine.policies) == ["newer"]


def test_a_store_that_fails_for_two_minutes_is_one_page_past_it_and_one_message_when_it_is_over(world: World) -> None:
    world.slot(0)
    with cut_off(world):
        for _ in range(30):
            unheard(world, 0)
    world.slot(0)
    assert [(notice.urgency, notice.resolved) for notice in world.told_aside] == [("page", False), ("notice", True)]
    assert len({notice.key for notice in world.told_aside}) == 1
    assert "no such table" in world.told_aside[0].lines[0]


def test_a_store_that_fails_for_a_moment_is_no_page(world: World) -> None:
    world.slot(0)
    with cut_off(world):
        unheard(world, 0)
    for _ in range(30):
        world.slot(0)
    assert world.told_aside == []
