"""Whose fault it is, with a real store: what is usual survives a restart, and a shared database's culprit is found among its victims."""

from dataclasses import replace

import pytest

from rollbackd.controller.changes import dated_id
from rollbackd.controller.journal.values import SeenChange
from rollbackd.policies.changes import Change
from rollbackd.policies.model import Dependency, RevertRung
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World

DB = "shared:orders-db"
NEEDS_DB = (Dependency(DB, "error-rate"),)
SHOP_ON_DB = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),), depends_on=NEEDS_DB)
OTHERS = tuple(
    replace(
        SHOP_POLICY, name=name, digest=name, target=f"kubernetes:a/{name}/deployment/c", ladder=(RevertRung(f"kubernetes:a/{name}/deployment/c"),)
    )
    for name in ("x", "y")
)
VICTIMS = tuple(replace(policy, depends_on=(Dependency(DB),)) for policy in OTHERS)
EVERYBODY = ("shop", "x", "y")


@pytest.fixture
def begin(tmp_path):
    """A world of these policies in which only the shop has a new release."""
    worlds = []

    def begun(*policies):
        world = World(tmp_path, *policies)
        worlds.append(world)
        world.slot(0, policies=EVERYBODY)
        world.good("v1")
        world.deploy("v2")
        world.slot(0, policies=EVERYBODY)
        return world

    yield begun
    for world in worlds:
        world.close()


def post(world):
    """A pipeline says that the database was upgraded just now."""
    at = world.at
    change = Change(DB, f"posted:{dated_id(DB, '15', at)}", "15", None, at, at, at, posted=True)
    with world.store.transaction() as tx:
        tx.see_change(SeenChange(change))


def test_the_release_that_took_a_shared_database_down_is_reverted(begin):
    world = begin(SHOP_ON_DB, *VICTIMS)
    world.slot(600)
    world.slot(600, policies=EVERYBODY)
    assert (world.version.read_text(), world.guards()) == ("v1\n", [])


def test_a_database_that_was_upgraded_itself_is_held_and_named(begin):
    world = begin(SHOP_ON_DB, *VICTIMS)
    post(world)
    world.slot(600)
    world.slot(600, policies=EVERYBODY)
    assert (world.version.read_text(), world.guards()) == ("v2\n", ["systemic"])
    (incident,) = world.incidents()
    assert f"{DB}, on which they depend as well, went to revision 15" in incident.held.reason


def test_an_upgrade_beside_a_release_is_held_with_the_ranking(begin):
    world = begin(SHOP_ON_DB)
    post(world)
    world.slot(600)
    world.slot(600)
    assert (world.version.read_text(), world.guards()) == ("v2\n", ["suspects"])


def test_breaches_without_a_change_are_on_record_once(begin):
    world = begin(SHOP_POLICY, *OTHERS)
    for _ in range(3):
        world.slot(600, policies=("x", "y"))
    rows = [entry.target for entry in world.store.history(1000) if entry.kind == "breach.unexplained"]
    assert sorted(rows) == sorted(policy.target for policy in OTHERS)


def test_what_is_usual_survives_a_restart(begin, tmp_path):
    before = begin(SHOP_POLICY, *OTHERS)
    before.slot(600, policies=("x", "y"))
    known = before.engine.usual.known
    before.close()
    world = World(tmp_path, SHOP_POLICY, *OTHERS, at=before.at)
    world.look(lambda at: None, policies=())
    after = world.engine.usual.known
    assert (set(after.counts), after.at) == (set(known.counts), known.at + EVERY)
    assert after.total == pytest.approx(known.total, rel=1e-3)
    world.close()
