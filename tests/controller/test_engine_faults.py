"""The core where something fails or comes late: the store is locked, a worker is busy, a plan takes long, a source is silent."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event

from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest
from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.controller.engine import engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.notify.blind import Blindness
from rollbackd.controller.observe.past import Past
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.policies.decide.evaluate import decide
from rollbackd.policies.known.events import Held
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import RevertRung
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, TIMING, World, command, served
from tests.policies.literals import MINUTE, SECOND

MOMENT = 0.2 * SECOND
FLEET = tuple(
    replace(
        SHOP_POLICY, name=name, digest=name, target=f"kubernetes:a/{name}/deployment/c", ladder=(RevertRung(f"kubernetes:a/{name}/deployment/c"),)
    )
    for name in (f"p{n}" for n in range(20))
)
ALL = tuple(policy.name for policy in FLEET)


class Gated(Command):
    """Its plans are made once it is let go."""

    def __init__(self, commands: Mapping[str, CommandSpec]) -> None:
        super().__init__(commands)
        self.is_planning = threading.Event()
        self.let_go = threading.Event()

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        self.is_planning.set()
        self.let_go.wait(60)
        return super().plan(request)


@pytest.fixture
def world(tmp_path):
    """A world that waits but a moment for a locked store."""
    world = World(tmp_path, patience=MOMENT)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """How often each statement was sent to the store meanwhile, by its first two words."""
    sent: Counter[str] = Counter()

    def count(connection, cursor, statement, *_):
        sent[" ".join(statement.split()[:2])] += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", count)


# --- what happens while a rung is prepared --------------------------------------------------------------------------------------------------


def test_an_incident_that_is_held_while_its_plan_is_made_is_not_acted_on(tmp_path):
    world = World(tmp_path)
    gated = world.targets["command"] = Gated({"shop": command(tmp_path)})
    world.look(lambda at: served(at, 0))
    world.good("v1")
    world.deploy("v2")
    world.look(lambda at: served(at, 60))
    world.look(lambda at: served(at, 60))
    assert gated.is_planning.wait(20)
    (incident,) = world.incidents()
    with world.store.transaction() as tx:
        tx.record(Held(incident.id, world.at, "systemic", "2 of 3 other targets in breach without a change"))
    gated.let_go.set()
    world.rest()
    assert (world.version.read_text(), "rung.intended" in world.kinds()) == ("v2\n", False)
    world.close()


def test_an_order_that_waited_for_a_free_worker_is_not_carried_out_on_old_evidence(tmp_path):
    policies = tuple(
        replace(SHOP_POLICY, name=name, digest=name, target=f"command:{name}", ladder=(RevertRung(f"command:{name}"),)) for name in ("slow", "late")
    )
    world = World(tmp_path, *policies, settings=Settings(limits=Limits(in_flight_per_namespace=5, in_flight=5)), workers=1)
    gated = world.targets["command"] = Gated({name: command(tmp_path, name) for name in ("slow", "late")})
    both = ("slow", "late")
    for name in both:
        (tmp_path / name).write_text("v1\n")
        with world.store.transaction() as tx:
            tx.mark(f"command:{name}", "v1", Standing.GOOD, How.DECLARED, world.at)
    world.look(lambda at: served(at, 0), both)
    for name in both:
        (tmp_path / name).write_text("v2\n")
    for bad in (60, 60, 6, 6, 6, 6, 6):
        world.look(lambda at, bad=bad: served(at, bad), both)
    gated.let_go.set()
    world.rest()
    assert [incident.acted for incident in world.incidents() if incident.target == "command:late"] == [False]
    assert (tmp_path / "late").read_text() == "v2\n"
    world.close()


# --- a store that cannot be written to --------------------------------------------------------------------------------------------------------


def test_a_bake_that_could_not_be_stored_is_stored_later(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, timing=replace(TIMING, bake=3 * EVERY)), patience=MOMENT)
    for _ in range(3):
        world.slot(0)
    with world.locked():
        for _ in range(3):
            world.look(lambda at: served(at, 0))
    for _ in range(3):
        world.slot(0)
    assert [known.revision for known in world.store.ledger(SHOP)] == ["v1"]
    world.close()


def test_a_locked_store_is_waited_for_once_a_slot(tmp_path):
    world = World(tmp_path, *FLEET, patience=MOMENT)
    world.slot(0, policies=ALL)
    world.slot(0, policies=ALL)
    with world.locked(), statements() as sent:
        world.look(lambda at: served(at, 600), ALL)
    assert sent["BEGIN IMMEDIATE"] == 1
    world.close()


def test_a_locked_store_leaves_what_is_judged_known(world):
    with world.locked():
        world.look(lambda at: served(at, 600))
        world.look(lambda at: served(at, 600))
    assert world.engine.breaches.recent(world.at) == {SHOP}


def test_a_silent_source_is_told_though_the_store_failed_at_that_moment(world):
    blindness, silent = Blindness(world.store), {"prometheus": SourceHealth(world.at, "refused")}
    policies = tuple(world.engine.policies.values())
    blindness.check_sources(silent, policies, world.at)
    with world.locked(), pytest.raises(StoreError):
        blindness.check_sources(silent, policies, world.at + 6 * MINUTE)
    blindness.check_sources(silent, policies, world.at + 7 * MINUTE)
    assert ["source prometheus has not answered" in title for title in world.titles()] == [True]


# --- what cannot be judged --------------------------------------------------------------------------------------------------------------------


def test_a_past_that_cannot_be_judged_keeps_no_other_policy_from_being_judged(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, name="odd", digest="odd"), SHOP_POLICY)
    past = Past({"odd": 1})
    past.add(world.at, [served(world.at, 0)])
    past.add(world.at + EVERY, [served(world.at + EVERY, 0, 1e160)])
    world.at += 2 * EVERY
    world.engine.cycle(Batch(world.at, world.survey(), {name: (served(world.at, 0),) for name in ("odd", "shop")}, past))
    assert sorted(world.engine.standings) == ["odd", "shop"]
    assert {standing.at for standing in world.engine.standings.values()} == {world.at}
    world.close()


def test_a_policy_that_cannot_be_decided_again_keeps_no_other_from_acting(tmp_path, monkeypatch):
    """Judged it could be: with what the others' breaches add to that, it cannot."""
    world, looks = World(tmp_path, replace(SHOP_POLICY, name="odd", digest="odd"), SHOP_POLICY), Counter[object]()

    def decided(policy, watch, incident, changes, fleet, at, before):
        looks[policy.name, at] += 1
        if policy.name == "odd" and looks[policy.name, at] > 1:
            raise ArithmeticError("nobody thought of this")
        return decide(policy, watch, incident, changes, fleet, at, before)

    monkeypatch.setattr(engine, "decide", decided)
    both = ("odd", "shop")
    world.slot(0, policies=both)
    world.good("v1")
    world.deploy("v2")
    for _ in range(4):
        world.slot(300, policies=both)
    assert world.version.read_text() == "v1\n"
    assert max(count for (name, _), count in looks.items() if name == "odd") > 1
    assert {standing.at for standing in world.engine.standings.values()} == {world.at}
    world.close()


# --- what a slot costs ---------------------------------------------------------------------------------------------------------------------------


def test_a_standing_breach_of_everything_costs_no_more_questions_than_a_calm_slot(tmp_path):
    world = World(tmp_path, *FLEET)
    world.slot(0, policies=ALL)
    world.slot(0, policies=ALL)
    with statements() as calm:
        world.look(lambda at: served(at, 0), ALL)
    world.look(lambda at: served(at, 600), ALL)
    world.look(lambda at: served(at, 600), ALL)
    with statements() as breached:
        world.look(lambda at: served(at, 600), ALL)
    assert breached == calm
    world.close()


class Broken(Command):
    """An adapter with a bug in its plan."""

    planned = 0

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        self.planned += 1
        raise TypeError("unsupported operand")


def test_a_bug_in_an_adapter_holds_the_incident_and_is_not_tried_for_ever(world):
    broken = Broken({"shop": command(world.version.parent)})
    world.targets["command"] = broken
    world.deploy("v2")
    for _ in range(4):
        world.slot(60)
    (incident,) = world.incidents()
    assert incident.held.guard == "bug"
    assert "TypeError: unsupported operand" in incident.held.reason
    assert broken.planned == 1
    assert world.titles()[-1].startswith("NO ACTION TAKEN command:shop: held by bug")
