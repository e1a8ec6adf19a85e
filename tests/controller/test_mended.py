"""What an incident mended stays mended once it is closed: no policy of its target judges what was before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.engine.slots import Batch
from rollbackd.policies.model.policy import For, Limit, RevertRung
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, TIMING, World, served
from tests.policies.literals import ERRORS, HOUR, MINUTE

QUICK = replace(SHOP_POLICY, timing=replace(TIMING, recover_for=MINUTE))
"""It has an eye on the flag, switches it off first, and blames changes of the last hour."""
SLOW = replace(
    QUICK,
    name="slow",
    digest="slow",
    watch=24 * HOUR,
    ladder=(RevertRung(SHOP),),
    conditions=(replace(ERRORS, limit=Limit(high=0.015, unit="%"), confirm=For(timedelta(0))),),
)
"""It knows the release alone, and blames it for a day."""


def slots(world: World, number: int, apart: timedelta = EVERY) -> None:
    """The service fails while the flag is on."""
    for _ in range(number):
        world.at += apart
        bad = 400 if world.flag() == "on" else 0
        world.engine.cycle(Batch(world.at, world.survey(), {name: (served(world.at, bad),) for name in world.engine.policies}))
        world.rest()


@pytest.mark.parametrize("restarts", [False, True], ids=["goes-on", "restarts"])
def test_a_policy_without_the_flag_does_not_revert_the_release_for_what_the_flag_did(tmp_path, restarts):
    world = World(tmp_path, QUICK, SLOW)
    slots(world, 1)
    world.good("v1")
    world.deploy("v2")
    slots(world, 130, MINUTE)
    slots(world, 30)
    world.flip("on")
    world.engine.adopt((QUICK,))  # the other one is loaded again once the incident runs
    slots(world, 2)
    assert world.flag() == "off"
    world.engine.adopt((QUICK, SLOW))
    slots(world, 8)
    assert world.incidents() == ()
    if restarts:
        world.close()
        world = World(tmp_path, QUICK, SLOW, at=world.at)
    slots(world, 30)
    assert (world.version.read_text(), world.incidents()) == ("v2\n", ())
    assert world.kinds() == ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]
    world.close()
