"""Where a revert may go whose revision was known good before it came: not further and further back, unless a person decides it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.command import Command
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.policies.model.policy import Mode, RevertRung
from tests.controller.world import SHOP, SHOP_POLICY, World, command

REVERTING = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),))
RULE = "alb:prod/eu-west-1/shop/80/default"


class Weights(Command):
    """What stands in the file, as the weights of a load balancer's rule: they come again with every release."""

    kind = "alb"


@pytest.fixture
def start(tmp_path):
    """v0 was known good when v1 came."""
    worlds = []

    def started(policy=REVERTING):
        world = World(tmp_path, policy)
        worlds.append(world)
        world.deploy("v0")
        serve(world, 1)
        world.good("v0")
        world.deploy("v1")
        serve(world, 3)
        return world

    yield started
    for world in worlds:
        world.close()


def serve(world, slots, bad=0):
    for _ in range(slots):
        world.slot(bad)


def runs(world):
    return world.version.read_text().strip()


def test_after_a_person_has_put_a_known_good_revision_back_no_older_one_is_tried(start):
    world = start()
    world.good("v1")
    world.deploy("v2")
    serve(world, 2)
    world.deploy("v1")
    serve(world, 2)
    serve(world, 3, bad=60)
    assert runs(world) == "v1"
    assert world.guards() == ["ladder"]
    assert "v1 was known good before it came back at" in " ".join(world.lines())
    assert "v0 is older: a person decides (look for what else changed)" in " ".join(world.lines())
    assert any("rollbackd rollback shop --reason" in line for line in world.lines())


def test_a_known_good_revision_that_served_in_between_is_gone_back_to(start):
    world = start()
    world.good("v1")
    world.deploy("v2")
    serve(world, 2)
    world.good("v2")
    world.deploy("v1")
    serve(world, 2)
    serve(world, 3, bad=60)
    assert runs(world) == "v2"


def test_of_two_known_goods_the_one_that_served_up_to_the_change_is_gone_back_to_though_it_is_the_older_one(start):
    world = start()
    world.good("v1")
    world.deploy("v0")
    serve(world, 3)
    world.deploy("v1")
    serve(world, 2)
    serve(world, 3, bad=60)
    assert runs(world) == "v0"


def test_a_release_that_became_known_good_after_it_came_and_breaks_then_is_put_back(start):
    world = start()
    world.good("v1")
    serve(world, 3, bad=60)
    assert runs(world) == "v0"


def test_people_who_are_asked_may_go_further_back(start):
    world = start(replace(REVERTING, mode=Mode.APPROVE))
    world.good("v1")
    world.deploy("v2")
    serve(world, 2)
    world.deploy("v1")
    serve(world, 2)
    serve(world, 3, bad=60)
    assert "put command:shop back to v0" in world.titles()[-1]


def test_weights_come_again_with_every_release_and_are_put_back(tmp_path):
    world = World(tmp_path)
    world.targets["alb"] = Weights({RULE.partition(":")[2]: command(tmp_path)})
    world.surveyor = Surveyor(world.targets)
    world.engine.adopt((replace(REVERTING, target=RULE, ladder=(RevertRung(RULE),)),))
    with world.store.transaction() as tx:
        tx.mark(RULE, "v1", Standing.GOOD, How.DECLARED, world.at - timedelta(days=2))
        tx.mark(RULE, "v2", Standing.GOOD, How.DECLARED, world.at - timedelta(days=1))
    world.deploy("v3")
    serve(world, 1)
    world.deploy("v2")
    serve(world, 2)
    serve(world, 3, bad=60)
    assert runs(world) == "v1"
    world.close()
