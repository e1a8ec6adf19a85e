"""Who is told, and how often, when the way back of a target is lost while nobody looks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.command import Command
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.readiness import EVERY, Readiness
from rollbackd.policies.model.policy import Mode, Policy
from tests.controller.world import SECOND, SHOP, SHOP_POLICY, World

GONE = "the way back to v1 is not sound: its image is gone"
PAGE = f"NOT READY: {SHOP} could not be put back if it had to be: {GONE}"
AGAIN = f"{SHOP} could be put back again"


class Waning(Command):
    """A way back that is as sound as the test says."""

    wanes = True

    def __init__(self) -> None:
        super().__init__({})
        self.trouble: tuple[str, ...] = ()

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{key}: {line}" for key in keys for line in self.trouble)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, patience=0.2 * SECOND)
    yield made
    made.close()


@pytest.fixture
def target() -> Waning:
    return Waning()


@pytest.fixture
def readiness(world: World, target: Waning) -> Readiness:
    return made(world, target)


def made(world: World, target: Waning) -> Readiness:
    """As a start makes it."""
    readiness = Readiness(world.store, {"command": target}, lambda: world.at, lambda: None)
    readiness.keep((replace(SHOP_POLICY, mode=Mode.AUTO),))
    return readiness


def look(world: World, readiness: Readiness, times: int = 1) -> list[str]:
    for _ in range(times):
        world.at += EVERY
        readiness.look()
    return world.titles()


def test_trouble_that_was_found_twice_is_paged_once_and_resolved_once(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    assert look(world, readiness) == []
    assert look(world, readiness, 5) == [PAGE]
    target.trouble = ()
    assert look(world, readiness, 3) == [PAGE, AGAIN]
    assert world.contacts() == set(SHOP_POLICY.notify)


def test_a_bad_minute_is_nobody_s_business(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    look(world, readiness)
    target.trouble = ()
    assert look(world, readiness, 2) == []


def test_a_policy_that_only_observes_need_not_be_ready(world: World, target: Waning, readiness: Readiness) -> None:
    readiness.keep((replace(SHOP_POLICY, mode=Mode.OBSERVE),))
    target.trouble = (GONE,)
    assert look(world, readiness, 3) == []


@pytest.mark.parametrize("kept", [(), (replace(SHOP_POLICY, mode=Mode.OBSERVE),)], ids=["policy-removed", "observes"])
def test_what_no_policy_may_act_on_any_more_is_off_the_pager(world: World, target: Waning, readiness: Readiness, kept: Sequence[Policy]) -> None:
    target.trouble = (GONE,)
    look(world, readiness, 2)
    readiness.keep(kept)
    assert look(world, readiness, 3) == [PAGE, f"the way back of {SHOP} is watched no more"]
    assert world.contacts() == set(SHOP_POLICY.notify)


def test_what_is_acted_on_again_on_the_same_day_is_paged_anew(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    look(world, readiness, 2)
    readiness.keep(())
    look(world, readiness)
    readiness.keep((replace(SHOP_POLICY, mode=Mode.AUTO),))
    assert [title == PAGE for title in look(world, readiness, 4)] == [True, False, True]


def test_nothing_is_dropped_before_the_policies_are_known(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    look(world, readiness, 2)
    restarted = Readiness(world.store, {"command": target}, lambda: world.at, lambda: None)
    assert look(world, restarted, 2) == [PAGE]
    restarted.keep((), frozenset({"web"}))  # a fleet of which nobody knows yet who belongs to it
    assert look(world, restarted, 2) == [PAGE]


def test_a_page_of_an_earlier_version_ends_too(world: World, target: Waning) -> None:
    key = f"readiness:{SHOP}:0123456789ab:20261121"
    with world.store.transaction() as tx:
        tx.note(Note("target.not_ready", world.at, {}, target=SHOP), f"{key}:not-ready")
    assert look(world, made(world, target)) == [AGAIN]
    assert [notice.key for notice in world.notices()] == [key]


def test_two_replicas_tell_once(world: World, target: Waning, readiness: Readiness) -> None:
    other = made(world, target)
    target.trouble = (GONE,)
    for _ in range(3):
        other.look()
        readiness.look()
    assert world.titles() == [PAGE]


def test_a_restart_in_between_is_no_second_page_and_the_first_one_ends(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    look(world, readiness, 2)
    world.at += timedelta(days=1)
    restarted = made(world, target)
    assert look(world, restarted, 3) == [PAGE]
    target.trouble = ()
    assert look(world, restarted, 2) == [PAGE, AGAIN]
    assert len({notice.key for notice in world.notices()}) == 1


def test_a_way_back_that_is_sound_right_after_the_restart_is_off_the_pager(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    look(world, readiness, 2)
    target.trouble = ()
    assert look(world, made(world, target)) == [PAGE, AGAIN]
    assert look(world, made(world, target)) == [PAGE, AGAIN]


def test_what_the_store_did_not_take_is_told_the_next_time(world: World, target: Waning, readiness: Readiness) -> None:
    target.trouble = (GONE,)
    look(world, readiness)
    with world.locked():
        readiness.look()
    assert look(world, readiness) == [PAGE]


def test_kinds_whose_way_back_does_not_wane_are_not_asked(world: World) -> None:
    quiet = Readiness(world.store, world.targets, lambda: world.at, lambda: None)
    quiet.keep((SHOP_POLICY,))
    world.version.unlink()
    assert look(world, quiet, 3) == []
