"""What an answer that came too late for its own slot makes known: as much as one in time, and it is as old as its question."""

from dataclasses import replace

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.controller.observe.changes import Survey
from tests.controller.world import EVERY, SHOP, World

LATE = {SHOP: Transient("it did not answer in time")}


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.deploy("v2")
    yield world
    world.close()


def asked(world):
    """The survey of the next slot."""
    world.at += EVERY
    return world.survey()


def beside(former: Survey, world) -> Survey:
    """The next slot: what was asked for before has come, and this slot's own answer has not."""
    return replace(asked(world), states=LATE, former=(former,))


def test_a_change_that_is_seen_late_may_have_begun_at_any_time_until_now(world):
    before = world.at
    (seen,) = world.engine.book.take(beside(asked(world), world), ())
    assert (seen.change.revision, seen.change.started_early, seen.change.started_late, seen.change.first_seen) == ("v2", before, world.at, world.at)


def test_a_change_after_a_late_answer_began_after_its_question(world):
    late = asked(world)
    world.engine.book.take(beside(late, world), ())
    world.deploy("v3")
    (seen,) = world.engine.book.take(asked(world), ())
    assert (seen.change.revision, seen.change.started_early) == ("v3", late.at)


def test_a_kind_that_is_always_late_is_seen_at_every_slot(world):
    question = asked(world)
    for version in ("v3", "v4", "v5"):
        world.deploy(version)
        answer, question = question, asked(world)
        world.engine.book.take(replace(question, states=LATE, former=(answer,)), ())
        assert world.engine.book.sightings[SHOP].at == answer.at
    assert world.engine.book.revisions()[SHOP] == "v4"


def test_a_late_answer_says_nothing_of_what_was_seen_since(world):
    late = asked(world)
    world.deploy("v3")
    world.engine.book.take(asked(world), ())
    assert world.engine.book.take(beside(late, world), ()) == ()
    assert world.engine.book.revisions()[SHOP] == "v3"
