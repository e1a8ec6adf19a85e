"""Two replicas of the core on one journal, slot by slot: who is late, who cannot see the target, who was overtaken."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, TargetState
from rollbackd.adapters.command import Command
from rollbackd.adapters.command.process import never
from rollbackd.controller.engine.journalling import Journalling, Overtaken
from rollbackd.controller.journal.store import Store
from rollbackd.policies.known.events import Acked, Held
from rollbackd.policies.model.policy import RevertRung
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World, command
from tests.policies.literals import T0

REVERTS = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),))


class CutOff(Command):
    """Nothing of it can be reached."""

    def ask(self, key: str, is_over: Callable[[], bool] = never) -> TargetState | AdapterError:
        return Transient("no route to host")

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        raise Transient("no route to host")

    def look(self, intent: Intent) -> Sight:
        raise Transient("no route to host")


class Pair:
    """``near`` and ``far`` watch the same shop; each has a clock that the other's slots move too."""

    def __init__(self, folder: Path, url: str) -> None:
        self.at = T0
        stores = [Store.open(url, name, lambda: self.at) for name in ("near", "far")]
        self.near, self.far = (World(folder, REVERTS, store=store) for store in stores)

    def slot(self, bad: float, *worlds: World) -> None:
        """The next slot of both, or of these alone."""
        for world in worlds or (self.near, self.far):
            world.at = self.at
            world.slot(bad)
        self.at += EVERY


@pytest.fixture
def pair(tmp_path: Path, journal_url: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, journal_url)
    pair.slot(0)
    pair.near.good("v1")
    yield pair
    for world in (pair.near, pair.far):
        world.close()


def test_a_replica_that_cannot_reach_the_target_leaves_the_step_to_the_others(pair: Pair) -> None:
    pair.near.deploy("v2")
    pair.slot(0, pair.far)
    pair.near.targets["command"] = CutOff({"shop": command(pair.near.version.parent)})
    for _ in range(4):
        pair.slot(60, pair.near)
    assert (pair.near.kinds(), pair.near.version.read_text()) == (["incident.opened"], "v2\n")
    pair.slot(60)
    assert pair.far.version.read_text() == "v1\n"
    assert "rung.stopped" not in pair.far.kinds()


def test_a_replica_that_cannot_read_the_target_does_not_blame_the_release_before(pair: Pair) -> None:
    pair.near.deploy("v2")
    pair.slot(0)
    pair.near.targets["command"] = CutOff({"shop": command(pair.near.version.parent)})
    pair.near.deploy("v3")
    pair.slot(60, pair.near)
    for _ in range(2):
        pair.slot(60)
    opened, *later = (entry for entry in reversed(pair.far.store.history(100)) if entry.incident is not None)
    assert (opened.kind, opened.body["revision"], opened.writer) == ("incident.opened", "v3", "far")
    assert ("incident.closed" in [entry.kind for entry in later], pair.far.version.read_text()) == (False, "v1\n")


def test_a_replica_that_is_alone_with_a_target_out_of_reach_says_so_after_a_minute(pair: Pair) -> None:
    pair.near.deploy("v2")
    pair.slot(0)
    pair.near.targets["command"] = CutOff({"shop": command(pair.near.version.parent)})
    for _ in range(12):
        pair.slot(60, pair.near)
    assert pair.near.kinds()[:2] == ["incident.opened", "rung.stopped"]


def test_what_was_decided_on_an_older_state_of_an_incident_is_not_written(pair: Pair) -> None:
    pair.near.deploy("v2")
    pair.slot(0)
    pair.near.targets["command"] = CutOff({"shop": command(pair.near.version.parent)})
    for _ in range(4):
        pair.slot(60, pair.near)
    (before,) = pair.near.incidents()
    with pair.far.store.transaction() as tx:
        tx.record(Acked(before.id, pair.near.at, "ann", "on it"))
    held = Held(before.id, pair.near.at, "ladder", "nothing is left to try")
    journalling, engine = Journalling(pair.near.store, lambda: None), pair.near.engine
    with pytest.raises(Overtaken):
        journalling.journal(REVERTS, [held], engine.fleet, engine.book, engine.policies, before)
    assert pair.near.guards() == []
