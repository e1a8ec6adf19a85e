"""What a mode allows, when it is lowered in the middle of an incident or differs between the policies of one target."""

from dataclasses import replace

from rollbackd.controller.engine.fleet import Settings
from rollbackd.policies.model.policy import FlagsRung, Mode
from tests.controller.served import Said, desk_of
from tests.controller.world import FLAGS, SHOP_POLICY, World

SUGGESTING = replace(SHOP_POLICY, name="a", digest="a", mode=Mode.SUGGEST)


def test_a_cap_lowered_by_a_restart_stops_the_next_rung_of_an_open_incident(tmp_path):
    before = World(tmp_path)
    before.slot(0)
    before.good("v1")
    before.flip("on")
    before.deploy("v2")
    before.slot(60)
    before.slot(60)
    before.close()
    world = World(tmp_path, at=before.at, settings=Settings(mode_cap=Mode.OBSERVE))
    for _ in range(3):
        world.slot(600)
    assert world.version.read_text() == "v2\n"
    world.close()


def test_a_policy_that_only_suggests_does_not_disarm_the_one_that_acts(tmp_path):
    world = World(tmp_path, SUGGESTING, SHOP_POLICY)
    both = ("a", "shop")
    world.slot(0, policies=both)
    world.good("v1")
    world.deploy("v2")
    for _ in range(4):
        world.slot(60, policies=both)
    assert world.version.read_text() == "v1\n"
    world.close()


def test_a_suggestion_for_another_target_does_not_answer_for_the_flag_they_share(tmp_path):
    elsewhere = replace(SUGGESTING, target="kubernetes:x/y/deployment/z", ladder=(FlagsRung(FLAGS),))
    world = World(tmp_path, elsewhere, SHOP_POLICY)
    world.slot(0, policies=("a", "shop"))
    world.good("v1")
    world.flip("on")
    for _ in range(3):
        world.slot(60, policies=("a",))
    for _ in range(4):
        world.slot(60, policies=("a", "shop"))
    assert world.flag() == "off"
    world.close()


def test_a_place_that_allows_only_a_word_is_not_written_to_for_a_target_elsewhere(tmp_path):
    world = World(tmp_path, settings=Settings(namespace_caps={"flagd:flags": Mode.SUGGEST}))
    world.slot(0)
    world.good("v1")
    world.flip("on")
    for _ in range(3):
        world.slot(60)
    assert (world.flag(), world.guards()) == ("on", ["mode"])
    (explained,) = desk_of(world, Said()).explain("shop").items
    flags, revert = explained.ladder
    assert (flags.mode, revert.mode) == ("suggest", "auto")
    assert flags.needs.endswith("; people: flagd:flags allows suggest")
    world.close()
