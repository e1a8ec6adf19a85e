"""What is named in a command that people paste is one word of it, however it is called."""

from dataclasses import replace

import pytest

from rollbackd.adapters.command import Command
from rollbackd.controller.act.dry_run import dry_run
from rollbackd.controller.notify.blind import PATIENCE, Blindness
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import RevertRung
from tests.controller.world import SHOP_POLICY, World, command

STRANGE = "command:shop; id"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_a_policy_by_any_name_is_one_word_of_the_page_that_its_signal_never_had_data(world):
    by_hand = tuple(replace(each, from_library=False) for each in SHOP_POLICY.conditions)
    policy, blindness = replace(SHOP_POLICY, name="a b", conditions=by_hand), Blindness(world.store)
    for at in (world.at, world.at + PATIENCE):
        blindness.check_signals(policy, new_watch(policy), at)
    assert "see: rollbackd explain 'a b'" in world.lines()


def test_a_target_by_any_name_is_one_word_of_the_advice_to_declare_another_revision_good(world, tmp_path):
    targets = {"command": Command({"shop; id": command(tmp_path)})}
    policy = replace(SHOP_POLICY, ladder=(RevertRung(STRANGE),))
    (rung,) = dry_run(policy, targets, world.engine.book, {STRANGE: ("v1",)}).rungs
    assert rung.advice == "declare another one good: rollbackd good 'command:shop; id' REVISION"
