"""A source that does not answer: one page and one message that ends it, also where the daemon restarts in between."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.controller.notify.blind import PATIENCE, Blindness
from rollbackd.controller.observe.readings import SourceHealth
from tests.controller.world import EVERY, SHOP_POLICY, World

NOT_ASKED = SourceHealth(None, None)
AGAIN = "source prometheus answers again"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def look(world: World, blindness: Blindness, health: SourceHealth, contacts: tuple[str, ...] = ("oncall",)) -> list[str]:
    """A slot; ``contacts``: of the policies that are known by then."""
    world.at += EVERY
    blindness.check_sources({"prometheus": health}, [replace(SHOP_POLICY, notify=(contact,)) for contact in contacts], world.at)
    return world.titles()


def silent(world: World, blindness: Blindness, *contacts: str) -> list[str]:
    """Ten minutes without an answer."""
    seen = world.at
    for _ in range(2 * PATIENCE // EVERY):
        look(world, blindness, SourceHealth(seen, "refused"), contacts or ("oncall",))
    return world.titles()


def answers(world: World, blindness: Blindness, *contacts: str) -> list[str]:
    return look(world, blindness, SourceHealth(world.at, None), contacts or ("oncall",))


def test_a_source_is_one_page_and_one_message_when_it_answers_again(world: World) -> None:
    blindness = Blindness(world.store)
    (page,) = silent(world, blindness)
    assert page.startswith("NO ACTION TAKEN: source prometheus has not answered since")
    answers(world, blindness)
    assert answers(world, blindness) == [page, AGAIN]


def test_a_restart_while_it_is_silent_is_no_second_page_and_the_first_one_ends(world: World) -> None:
    pages = silent(world, Blindness(world.store))
    restarted = Blindness(world.store)
    assert silent(world, restarted) == pages
    assert answers(world, restarted) == [*pages, AGAIN]
    assert len({notice.key for notice in world.notices()}) == 1


def test_a_source_that_answers_right_after_the_restart_is_off_the_pager(world: World) -> None:
    pages = silent(world, Blindness(world.store))
    assert answers(world, Blindness(world.store)) == [*pages, AGAIN]
    assert answers(world, Blindness(world.store)) == [*pages, AGAIN]


def test_a_source_that_was_not_asked_yet_is_not_called_well(world: World) -> None:
    pages = silent(world, Blindness(world.store))
    assert look(world, Blindness(world.store), NOT_ASKED) == pages


def test_whoever_was_paged_is_told_of_the_end_though_their_policies_are_not_known_yet(world: World) -> None:
    silent(world, Blindness(world.store), "fleet", "oncall")
    answers(world, Blindness(world.store), "oncall")
    assert world.told() == [("fleet", "blind"), ("oncall", "blind"), ("fleet", "sighted"), ("oncall", "sighted")]


def test_a_source_that_is_silent_anew_is_a_page_anew(world: World) -> None:
    silent(world, Blindness(world.store))
    answers(world, Blindness(world.store))
    assert len(silent(world, Blindness(world.store))) == 3


def test_a_source_that_is_configured_no_more_is_off_the_pager(world: World) -> None:
    (page,) = silent(world, Blindness(world.store))
    restarted = Blindness(world.store)
    for _ in range(2):
        restarted.check_sources({"mimir": SourceHealth(world.at, None)}, [replace(SHOP_POLICY, source="mimir")], world.at)
    assert world.titles() == [page, "source prometheus is watched no more"]
    assert world.told() == [("oncall", "blind"), ("oncall", "dropped")]
    assert len(silent(world, Blindness(world.store))) == 3


def test_two_shards_with_contacts_of_their_own_tell_them_all_and_a_restart_tells_nobody_again(world: World) -> None:
    silent(world, Blindness(world.store), "payments")
    for _ in range(2):
        silent(world, Blindness(world.store), "search")
    answers(world, Blindness(world.store))
    assert sorted(world.told()[:2]) == [("payments", "blind"), ("search", "blind")]
    assert sorted(world.told()[2:]) == [("oncall", "sighted"), ("payments", "sighted"), ("search", "sighted")]


def test_two_replicas_that_saw_it_last_at_moments_of_their_own_are_one_page(world: World) -> None:
    replicas = Blindness(world.store), Blindness(world.store)
    for replica in replicas:
        answers(world, replica)
    for replica in replicas:  # one after the other, so that each knows another moment
        silent(world, replica)
    answers(world, Blindness(world.store))
    assert [(notice.urgency, notice.resolved) for notice in world.notices()] == [("page", False), ("notice", True)]
    assert len({notice.key for notice in world.notices()}) == 1
