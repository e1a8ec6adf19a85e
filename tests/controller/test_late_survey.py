"""What an answer that came too late for its own slot makes known: as much as one in time, and it is as old as its question."""

import time
from dataclasses import replace

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.controller.observe.changes import ChangeBook, Survey
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World

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


# --- with other replicas ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def replicas(tmp_path):
    """Two on one journal; ``slept``: seconds that the second has stood still, of which what it asks for after that knows too."""
    other, frozen = World(tmp_path), World(tmp_path)
    other.slept = 0.0
    frozen.engine.book = ChangeBook(frozen.store, lambda: time.monotonic() + other.slept)
    frozen.engine.adopt((SHOP_POLICY,))
    other.deploy("v2")
    for each in (other, frozen):
        each.slot(0)
    yield other, frozen
    for each in (other, frozen):
        each.close()


@pytest.mark.parametrize(
    ("seconds", "version", "seen"),
    [
        pytest.param(90.0, "v2", [], id="what-a-daemon-that-stood-still-had-asked-before-is-no-change"),
        pytest.param(5.0, "v2", ["v2"], id="a-moment-earlier-or-later-nobody-can-say"),
        pytest.param(90.0, "v1", [], id="what-others-say-too-is-none"),
    ],
)
def test_what_another_replica_told_since_a_survey_began_is_newer(replicas, seconds, version, seen):
    other, frozen = replicas
    frozen.deploy(version)
    old = asked(frozen)
    other.deploy("v1")
    other.slot(0)
    other.slept = seconds
    frozen.engine.book.refresh()
    assert [found.change.revision for found in frozen.engine.book.take(old, ())] == seen
    assert frozen.engine.book.newest(SHOP).change.revision == (seen or ["v1"])[0]
    other.deploy("v3")
    new = asked(frozen)
    assert [found.change.revision for found in frozen.engine.book.take(replace(new, began=new.began + seconds), ())] == ["v3"]


def test_a_kind_that_is_late_by_more_than_a_minute_is_no_less_believed_where_nobody_else_looks(replicas):
    other, alone = replicas
    question = asked(alone)
    for version in ("v3", "v4"):
        alone.deploy(version)
        other.slept += 90.0
        answer, question = question, asked(alone)
        alone.engine.book.refresh()
        alone.engine.book.take(replace(question, states=LATE, former=(answer,)), ())
    alone.engine.book.take(replace(asked(alone), states=LATE, former=(question,)), ())
    assert alone.engine.book.revisions()[SHOP] == "v4"
