"""Whose fault it is, with a real store: what is usual survives a restart, and a shared database's culprit is found among its victims."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest
from rollbackd.adapters.command import Command
from rollbackd.controller.journal.values import SeenChange
from rollbackd.controller.observe.changes import dated_id
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Dependency, RevertRung
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World, command
from tests.policies.literals import HOUR, MINUTE

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


# --- where a revert may go ------------------------------------------------------------------------------------------------------------------


def migrate(world):
    """A pipeline says that the shop's schema was migrated just now."""
    at = world.at
    change = Change(SHOP, f"posted:{dated_id(SHOP, 's2', at)}", "s2", None, at, at, at, posted=True, irreversible="drops a column")
    with world.store.transaction() as tx:
        tx.see_change(SeenChange(change))


def released(world, version):
    """The release comes, and an hour passes in health."""
    world.deploy(version)
    world.slot(0)
    world.at += HOUR
    world.slot(0)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, ladder=(RevertRung(SHOP),)))
    world.slot(0)
    yield world
    world.close()


def test_a_revert_across_a_migration_of_last_night_awaits_people(world):
    world.good("v1")
    released(world, "v2")
    migrate(world)
    released(world, "v3")
    world.deploy("v4")
    for _ in range(3):
        world.slot(60)
    (incident,) = world.incidents()
    assert (world.version.read_text(), incident.phase) == ("v4\n", Phase.AWAITING)
    assert "drops a column" in incident.offer.reason


class Asked(Command):
    """Remembers where it was asked to go."""

    candidates: tuple[str, ...] = ()

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        self.candidates = request.candidates
        return super().plan(request)


def test_a_revert_to_a_revision_from_after_the_migration_asks_nobody_and_can_go_no_further(tmp_path, world):
    asked = world.targets["command"] = Asked({"shop": command(tmp_path)})
    world.good("v1")
    migrate(world)
    world.at += EVERY
    released(world, "v2")
    world.good("v2")
    world.deploy("v3")
    for _ in range(2):
        world.slot(60)
    assert (world.version.read_text(), asked.candidates) == ("v2\n", ("v2",))


@pytest.mark.parametrize(
    ("served", "runs"),
    [pytest.param(4 * MINUTE, "v2\n", id="shorter-than-the-bake"), pytest.param(6 * MINUTE, "v1\n", id="longer")],
)
def test_a_revert_goes_only_to_what_served_the_bake_time_without_a_breach(tmp_path, served, runs):
    timing = replace(SHOP_POLICY.timing, bake=5 * MINUTE)
    world = World(tmp_path, replace(SHOP_POLICY, timing=timing, ladder=(RevertRung(SHOP),)))
    until = world.at + served
    while world.at < until:
        world.slot(0)
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == runs
    world.close()


def test_a_revert_goes_to_nothing_that_last_served_more_than_a_week_ago(world):
    world.good("v1")
    world.deploy("v2")
    world.slot(0)
    world.at += timedelta(days=7, minutes=1)
    world.deploy("v3")
    for _ in range(3):
        world.slot(60)
    assert (world.version.read_text(), world.guards()) == ("v3\n", ["ladder"])
