"""`rollbackd status --coverage`: which changes could have been rolled back, and why the others could not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.past import Kept, Past
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.explain.covered_changes import covered_changes
from rollbackd.controller.journal.values import How, Note, Standing
from tests.controller.served import Served
from tests.controller.world import SHOP, SHOP_POLICY, World
from tests.policies.literals import T0

WEEK = timedelta(days=7)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.slot(0)
    yield world
    world.close()


def released(world: World, *versions: str) -> None:
    for version in versions:
        world.deploy(version)
        world.slot(0)


class Keeping:
    """A target that keeps these revisions, or may not be written at all."""

    def __init__(self, *revisions: str, refusal: Refused | None = None) -> None:
        self._revisions, self._refusal = revisions, refusal

    def past(self, key: str) -> Past:
        return Past([Kept(one, 1, T0) for one in self._revisions], "", self._refusal)


def hindrances(world: World, target: object = None, policies: tuple = (SHOP_POLICY,)) -> list[str | None]:
    found = covered_changes(world.store, policies, {"command": target} if target else {}, WEEK, world.at)  # type: ignore[dict-item]
    return [one.hindrance for one in reversed(found)]


def test_the_first_release_has_no_known_good_and_the_second_has(world):
    released(world, "v2")
    world.good("v2")
    released(world, "v3")
    assert hindrances(world) == ["no other known-good revision at that time", None]


def test_what_the_target_no_longer_keeps_is_no_way_back(world):
    world.good("v1")
    released(world, "v2")
    assert hindrances(world, Keeping("v2")) == ["the target no longer keeps v1"]
    assert hindrances(world, Keeping("v1", "v2")) == [None]


def test_an_owner_who_would_put_it_back_stands_in_the_way(world):
    world.good("v1")
    released(world, "v2")
    refusal = Refused("Argo CD keeps shop as it is", advice="")
    assert hindrances(world, Keeping("v1", "v2", refusal=refusal)) == ["its owner: Argo CD keeps shop as it is"]


def test_what_no_policy_acts_on_is_outside_of_every_watch(world):
    world.good("v1")
    released(world, "v2")
    assert hindrances(world, policies=(replace(SHOP_POLICY, ladder=()),)) == ["outside of every watch: no policy has a rung for it"]


def test_a_known_good_that_was_declared_bad_since_does_not_count(world):
    world.good("v1")
    released(world, "v2")
    with world.store.transaction() as tx:
        tx.mark(SHOP, "v1", Standing.BAD, How.DECLARED, world.at)
    assert hindrances(world) == ["no other known-good revision at that time"]


def test_a_source_that_was_silent_throughout_the_watch_proves_nothing(world):
    world.good("v1")
    with world.store.transaction() as tx:
        tx.note(Note("source.blind", world.at, {"source": SHOP_POLICY.source, "why": "gone"}))
    released(world, "v2")
    assert hindrances(world) == [f"no data: source {SHOP_POLICY.source} was silent throughout its watch"]


def test_a_silence_ends_where_the_source_was_dropped(world):
    world.good("v1")
    with world.store.transaction() as tx:
        for kind in ("source.blind", "source.dropped"):
            tx.note(Note(kind, world.at, {"source": SHOP_POLICY.source}))
    released(world, "v2")
    assert hindrances(world) == [None]


def test_coverage_says_how_many_changes_could_have_been_rolled_back(world, tmp_path, capsys):
    world.good("v1")
    released(world, "v2")
    served = Served(world, tmp_path)
    served.post("/api/v1/changes", target=SHOP, revision="schema-17", irreversible="drops a column")
    assert outcome(["status", "--coverage", *served.options()]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "1 of 2 changes of the last 30 days could have been rolled back" in said
    assert any(line.endswith("schema-17: told by a pipeline: nothing here can undo it") for line in said)
    assert outcome(["status", "--coverage", "-o", "json", *served.options()]) == 0
    document = json.loads(capsys.readouterr().out)
    served.close()
    assert [(one["revision"], one["hindrance"] is None) for one in document["changes"]] == [("schema-17", False), ("v2", True)]
