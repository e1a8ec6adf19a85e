"""Several policies, and policies that come, go and change: who is evidence, who is looked at, and who is told."""

from dataclasses import replace

import pytest

from rollbackd.adapters.base.target import Plan
from rollbackd.adapters.command import Command
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.errors import StoreError
from rollbackd.policies.model.policy import FlagsRung, Mode, RevertRung
from rollbackd.policies.model.signals import Ratio, Selector
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, World, command, served
from tests.policies.literals import MINUTE

OTHER = replace(SHOP_POLICY, name="other", digest="d2")
RENAMED = replace(SHOP_POLICY, name="renamed")
NEIGHBOURS = tuple(
    replace(
        SHOP_POLICY, name=name, digest=name, target=f"kubernetes:a/{name}/deployment/c", ladder=(RevertRung(f"kubernetes:a/{name}/deployment/c"),)
    )
    for name in ("x", "y", "z")
)
EVERYBODY = ("shop", "x", "y", "z")


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


@pytest.fixture
def neighbourhood(tmp_path):
    """Four watched targets, all healthy a slot ago; only the shop has a new release."""
    world = World(tmp_path, SHOP_POLICY, *NEIGHBOURS)
    world.slot(0, policies=EVERYBODY)
    world.good("v1")
    world.deploy("v2")
    world.slot(0, policies=EVERYBODY)
    yield world
    world.close()


# --- policies that come, go and change --------------------------------------------------------------------------------------------------


def test_an_incident_whose_policy_is_gone_is_told_to_people(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    told = world.titles()
    world.engine.adopt((RENAMED,))
    world.slot(0, policies=("renamed",))
    assert len(world.titles()) == len(told) + 1


def test_an_incident_of_the_last_policy_is_held_and_told_once_that_is_gone_and_no_slot_comes_any_more(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    told = world.titles()
    world.engine.adopt(())
    for _ in range(2):
        world.engine.tend(world.at)
    assert world.guards() == ["policy-removed"]
    assert len(world.titles()) == len(told) + 1


def test_a_suggestion_ends_once_nothing_watches_its_target(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, mode=Mode.SUGGEST))
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.engine.adopt(())
    for _ in range(2):
        world.engine.tend(world.at)
    assert world.incidents() == ()
    assert [title.split(" ")[0] for title in world.titles()] == ["SUGGESTED", "CLOSED"]
    world.close()


def test_where_a_policy_is_left_only_slots_look_after_incidents(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.engine.adopt((RENAMED,))
    world.engine.tend(world.at)
    assert world.guards() == []


def test_a_target_whose_policy_was_renamed_is_protected_again_once_it_is_healthy(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.engine.adopt((RENAMED,))
    for _ in range(60):
        world.slot(0, policies=("renamed",))
    assert world.incidents() == ()


def test_a_policy_file_that_is_missing_after_a_restart_is_told_to_people(tmp_path):
    before = World(tmp_path)
    before.slot(0)
    before.good("v1")
    before.deploy("v2")
    before.slot(60)
    before.slot(60)
    told = before.titles()
    before.close()
    elsewhere = replace(SHOP_POLICY, name="elsewhere", digest="x", target=FLAGS, ladder=(FlagsRung(FLAGS),))
    world = World(tmp_path, elsewhere, at=before.at)
    world.slot(0, policies=("elsewhere",))
    assert len(world.titles()) == len(told) + 1
    world.close()


class DiesAfterWriting(Command):
    """The outcome of a write that was made never reaches the journal, as where the disk is full or the process killed."""

    def apply(self, plan: Plan) -> None:
        super().apply(plan)
        raise StoreError("the outcome could not be stored")


def test_a_ladder_that_became_shorter_lets_an_open_intent_end(tmp_path):
    before = World(tmp_path)
    before.targets["command"] = DiesAfterWriting({"shop": command(tmp_path)})
    before.slot(0)
    before.good("v1")
    before.deploy("v2")
    before.slot(60)
    before.slot(60)
    before.close()
    world = World(tmp_path, replace(SHOP_POLICY, digest="d9", ladder=(RevertRung(SHOP),)), at=before.at)
    for _ in range(15):
        world.slot(0)
    assert "rung.applied" in world.kinds()
    world.close()


def test_readings_that_were_asked_for_the_former_meaning_of_a_policy_are_no_evidence(world):
    world.deploy("v2")
    world.slot(0)
    world.at += EVERY
    asked = Batch(world.at, world.survey(), {"shop": (served(world.at, 60),)}, meanings={"shop": SHOP_POLICY.digest})
    signal = Ratio(Selector("other_total"), Selector("other_total"))
    world.engine.adopt((replace(SHOP_POLICY, digest="new", conditions=(replace(SHOP_POLICY.conditions[0], signal=signal),)),))
    world.engine.cycle(asked)
    world.rest()
    assert world.kinds() == []


# --- two policies on one target ------------------------------------------------------------------------------------------------------------


def test_a_joined_policy_that_is_not_looked_at_any_more_proves_no_health(tmp_path):
    world = World(tmp_path, SHOP_POLICY, OTHER)
    both = ("shop", "other")
    world.slot(0, policies=both)
    world.good("v1")
    world.deploy("v2")
    for bad in (60, 60, 0):
        world.slot(bad, policies=both)
    for _ in range(8):
        world.slot(0)
    assert "incident.closed" not in world.kinds()
    world.close()


def _joined(tmp_path, other=OTHER):
    """An incident of both policies, of which the rollback helped one only."""
    world = World(tmp_path, replace(SHOP_POLICY, ladder=(RevertRung(SHOP),)), other)
    both = ("shop", "other")
    world.slot(0, policies=both)
    world.good("v1")
    world.deploy("v2")
    for _ in range(3):
        world.slot(60, policies=both)
    world.slot(60, policies=("other",))
    return world


def test_a_joined_policy_that_was_edited_and_not_looked_at_since_closes_no_incident(tmp_path):
    world = _joined(tmp_path)
    world.engine.adopt((SHOP_POLICY, replace(OTHER, digest="d3")))
    for _ in range(8):
        world.slot(0)
    assert "rung.applied" in world.kinds()
    assert "incident.closed" not in world.kinds()
    world.close()


def test_a_joined_policy_that_was_not_looked_at_since_the_restart_closes_no_incident(tmp_path):
    before = _joined(tmp_path)
    before.close()
    world = World(tmp_path, SHOP_POLICY, OTHER, at=before.at)
    for _ in range(8):
        world.slot(0)
    assert "incident.closed" not in world.kinds()
    for _ in range(8):
        world.slot(0, policies=("shop", "other"))
    assert world.incidents() == ()
    world.close()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((), id="removed"),
        pytest.param((replace(OTHER, digest="d3", target="command:else", ladder=()),), id="of-another-target"),
        pytest.param((replace(OTHER, digest="d3", conditions=(replace(OTHER.conditions[0], name="else"),)),), id="without-the-condition"),
    ],
)
def test_what_joined_and_is_really_gone_is_not_waited_for(tmp_path, other):
    world = _joined(tmp_path)
    world.engine.adopt((SHOP_POLICY, *other))
    for _ in range(8):
        world.slot(0)
    assert world.incidents() == ()
    world.close()


@pytest.mark.parametrize(
    "other", [pytest.param((), id="removed"), pytest.param((replace(OTHER, digest="d3", notify=("new-team",)),), id="of-others-now")]
)
def test_the_end_reaches_whoever_was_paged_though_no_policy_names_them_any_more(tmp_path, other):
    world = _joined(tmp_path, replace(OTHER, notify=("other-team",)))
    world.slot(60, policies=("other", "shop"))
    assert ("other-team", "held") in world.told()
    world.engine.adopt((SHOP_POLICY, *other))
    for _ in range(8):
        world.slot(0, policies=("shop", *(policy.name for policy in other)))
    ends = [contact for contact, kind in world.told() if kind == "recovered"]
    assert ends == ["oncall", *(contact for policy in other for contact in policy.notify), "other-team"]
    world.close()


def test_the_contacts_of_a_joining_policy_are_told(tmp_path):
    world = World(tmp_path, SHOP_POLICY, replace(OTHER, notify=("other-team",)))
    both = ("shop", "other")
    world.slot(0, policies=both)
    world.deploy("v2")
    for _ in range(3):
        world.slot(60, policies=both)
    assert world.contacts() == {"oncall", "other-team"}
    world.close()


def test_those_who_join_while_a_rung_is_under_way_are_told_that_it_is_and_the_others_not_again(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, ladder=(RevertRung(SHOP),)), replace(OTHER, notify=("oncall", "other-team")))
    world.slot(0, policies=("shop", "other"))
    world.good("v1")
    world.deploy("v2")
    for _ in range(4):
        world.slot(60)
    assert world.told() == [("oncall", "started")]
    world.slot(60, policies=("other",))
    assert world.told() == [("oncall", "started"), ("other-team", "joined")]
    assert world.titles()[-1].startswith("UNDER WAY")
    world.close()


def test_a_healthy_policy_does_not_hide_the_breach_that_another_proves_on_the_same_target(tmp_path):
    world = World(tmp_path, SHOP_POLICY, OTHER)
    world.slot(0, policies=("shop", "other"))
    world.at += EVERY
    readings = {"shop": (served(world.at, 6000, 6000),), "other": (served(world.at, 0, 6000),)}
    world.engine.cycle(Batch(world.at, world.survey(), readings))
    world.rest()
    assert world.engine.breaches.recent(world.at) == {SHOP}
    world.close()


# --- a cause that targets have in common -----------------------------------------------------------------------------------------------------


def test_targets_that_breach_in_the_same_slot_hold_the_one_that_changed(neighbourhood):
    neighbourhood.slot(600, policies=EVERYBODY)
    neighbourhood.slot(600, policies=EVERYBODY)
    assert neighbourhood.guards() == ["systemic"]


def test_targets_without_a_change_are_looked_at_once_a_minute(neighbourhood):
    engine = neighbourhood.engine
    due = [policy.name for policy in engine.due(engine.policies.values(), neighbourhood.at + EVERY)]
    in_a_minute = [policy.name for policy in engine.due(engine.policies.values(), neighbourhood.at + MINUTE)]
    assert (due, in_a_minute) == (["shop"], ["shop", "x", "y", "z"])


def test_after_the_breach_of_one_target_all_others_are_due_at_the_next_slot(neighbourhood):
    neighbourhood.slot(600)
    engine = neighbourhood.engine
    assert [policy.name for policy in engine.due(engine.policies.values(), neighbourhood.at + EVERY)] == ["shop", "x", "y", "z"]


def test_a_breach_that_the_others_share_is_seen_before_the_first_rung(neighbourhood):
    neighbourhood.slot(600)
    neighbourhood.slot(600, policies=EVERYBODY)
    assert (neighbourhood.guards(), neighbourhood.version.read_text()) == (["systemic"], "v2\n")


def test_the_first_rung_waits_two_slots_for_others_that_nobody_can_look_at(neighbourhood):
    written = []
    for _ in range(3):
        neighbourhood.slot(600)
        written.append(neighbourhood.version.read_text())
    assert written == ["v2\n", "v2\n", "v1\n"]
