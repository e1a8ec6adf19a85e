"""What becomes of a suggestion when a policy or a condition that may act comes upon the same target; and of a ladder that is edited under way."""

from dataclasses import replace

import pytest

from rollbackd.controller.engine.slots import Batch
from rollbackd.policies.model.policy import FlagsRung, Group, Leaf, Limit, Mode, RevertRung
from tests.controller.test_hands import People
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, World, served
from tests.policies.literals import HOUR

SHY = replace(
    SHOP_POLICY,
    name="shy",
    digest="d2",
    mode=Mode.SUGGEST,
    conditions=(replace(SHOP_POLICY.conditions[0], limit=Limit(high=0.01, unit="%")),),
    ladder=(RevertRung(SHOP),),
)
BOTH = ("shy", "shop")


def _released(tmp_path, *policies):
    world = World(tmp_path, *policies)
    names = tuple(policy.name for policy in policies)
    world.slot(0, policies=names)
    world.good("v1")
    world.deploy("v2")
    world.slot(0, policies=names)
    return world


@pytest.mark.parametrize("policies", [pytest.param((SHOP_POLICY,), id="alone"), pytest.param((SHY, SHOP_POLICY), id="beside-a-suggestion")])
def test_a_policy_undoes_what_it_blames_whether_or_not_another_one_suggested_before_it(tmp_path, policies):
    world, names = _released(tmp_path, *policies), tuple(policy.name for policy in policies)
    for _ in range(30):
        world.slot(0, policies=names)
    world.flip("on")
    for _ in range(4):
        world.slot(300 if world.flag() == "on" else 0, policies=names)
    assert (world.flag(), world.version.read_text()) == ("off", "v2\n")
    (seen,) = [entry.incident for entry in world.store.history(100) if entry.kind == "incident.opened"]
    incident = world.store.incident(seen)
    assert len(incident.suspects) == 2  # the flag and the release
    assert world.store.answered() == {SHOP: set(incident.suspects)}
    world.close()


def test_what_changed_shortly_before_a_suggestion_is_no_other_writer_to_who_raises_it(tmp_path):
    armed = replace(SHOP_POLICY, ladder=(FlagsRung(FLAGS, always=True, only_changed=False), RevertRung(SHOP)))
    world = World(tmp_path, SHY, armed)
    world.slot(0, policies=BOTH)
    world.good("v1")
    world.flip("on")
    world.slot(0, policies=BOTH)
    world.deploy("v2")
    world.slot(0, policies=BOTH)
    for _ in range(6):
        world.slot(300 if world.flag() == "on" else 0, policies=BOTH)
    assert (world.flag(), world.version.read_text(), world.guards()) == ("off", "v2\n", [])
    world.close()


def test_a_suggestion_of_yesterday_becomes_no_rollback_by_what_breaks_today(tmp_path):
    slow = replace(SHOP_POLICY.conditions[0], name="slow", mode=Mode.SUGGEST)
    policy = replace(SHOP_POLICY, conditions=(slow, SHOP_POLICY.conditions[0]), trigger=Group((Leaf(0), Leaf(1)), 1), ladder=(RevertRung(SHOP),))
    world = World(tmp_path, policy)

    def slot(slow, errors):
        world.at += EVERY
        world.engine.cycle(Batch(world.at, world.survey(), {"shop": (served(world.at, slow), served(world.at, errors))}))
        world.rest()

    slot(0, 0)
    world.good("v1")
    world.deploy("v2")
    slot(0, 0)
    slot(60, 0)
    world.at += 25 * HOUR
    for _ in range(8):
        slot(60, 200)
    assert world.version.read_text() == "v2\n"
    assert world.kinds() == ["incident.opened", "incident.joined"]
    assert any("error-rate in breach, no change explains it" in title for title in world.titles())
    world.close()


def test_a_ladder_that_is_edited_under_way_closes_nothing_that_is_still_broken(tmp_path):
    world = _released(tmp_path, replace(SHOP_POLICY, ladder=(RevertRung(SHOP),)))
    world.slot(60)
    world.engine.adopt((replace(SHOP_POLICY, digest="edited"),))
    for _ in range(3):
        world.slot(60)
    assert (world.version.read_text(), world.guards()) == ("v1\n", ["policy-changed"])
    assert "incident.closed" not in world.kinds()
    world.close()


def test_after_an_order_the_machine_begins_nothing_further(tmp_path):
    here = People(tmp_path, replace(SHOP_POLICY, digest="auto"))
    here.world.flip("on")
    here.world.deploy("v2")
    here.world.slot(0)
    (tmp_path / "pause").write_text("game day")
    here.world.slot(60)
    assert here.world.guards() == ["pause"]
    (tmp_path / "pause").unlink()
    for _ in range(3):
        here.world.slot(60)
    here.rollback()
    assert (here.world.flag(), here.world.version.read_text()) == ("off", "v2\n")
    for _ in range(3):
        here.world.slot(60)
    assert (here.world.version.read_text(), here.world.guards()) == ("v2\n", ["pause", "by-hand"])
