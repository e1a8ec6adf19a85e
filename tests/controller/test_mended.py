"""What an incident mended stays mended once it is closed: no policy of its target judges what was before."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.observe.past import Past
from rollbackd.controller.people.hands import Hands
from rollbackd.policies.model.policy import For, Limit, RevertRung
from tests.controller.served import Said, desk_of
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, TIMING, World, served
from tests.policies.literals import ERRORS, HOUR, MINUTE, SECOND

QUICK = replace(SHOP_POLICY, timing=replace(TIMING, recover_for=MINUTE))
"""It has an eye on the flag, switches it off first, and blames changes of the last hour."""
SLOW = replace(
    QUICK,
    name="slow",
    digest="slow",
    watch=24 * HOUR,
    ladder=(RevertRung(SHOP),),
    conditions=(replace(ERRORS, limit=Limit(high=0.015, unit="%"), confirm=For(40 * SECOND)),),
)
"""It knows the release alone, and blames it for a day."""


NAMES = (QUICK.name, SLOW.name)


class Story:
    """The service fails while the flag is on. ``past``: what was read of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder, QUICK, SLOW)
        self.past = Past(dict.fromkeys(NAMES, 1))

    def slots(self, number: int, apart: timedelta = EVERY, past: Past | None = None) -> None:
        for _ in range(number):
            self.world.at += apart
            reading = served(self.world.at, 400 if self.world.flag() == "on" else 0)
            self.past.add(self.world.at, [reading] * len(NAMES))
            self.world.engine.cycle(Batch(self.world.at, self.world.survey(), dict.fromkeys(NAMES, (reading,)), past or Past()))
            self.world.rest()

    def restart(self) -> None:
        """Another daemon goes on, and reads what was before it began."""
        self.world.close()
        self.world = World(self.folder, QUICK, SLOW, at=self.world.at)
        self.slots(1, past=self.past)


@pytest.mark.parametrize("restarts", [False, True], ids=["goes-on", "restarts"])
def test_a_policy_without_the_flag_does_not_revert_the_release_for_what_the_flag_did(tmp_path, restarts):
    story = Story(tmp_path)
    world = story.world
    story.slots(1)
    world.good("v1")
    world.deploy("v2")
    story.slots(130, MINUTE)
    story.slots(30)
    world.flip("on")
    story.slots(2)
    assert world.flag() == "off"
    story.slots(8)
    assert world.incidents() == ()
    if restarts:
        story.restart()
    story.slots(30)
    world = story.world
    assert (world.version.read_text(), world.incidents()) == ("v2\n", ())
    assert world.kinds() == ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]
    world.close()


def test_what_is_closed_by_a_person_while_it_settles_stays_mended_too(tmp_path):
    settles = replace(TIMING, recover_for=MINUTE, settle=MINUTE)
    world = World(tmp_path, replace(QUICK, timing=settles), replace(SLOW, timing=settles))
    hands = Hands(desk_of(world, Said()))

    def slots(number, apart=EVERY):
        for _ in range(number):
            world.at += apart
            reading = served(world.at, 400 if world.flag() == "on" else 0)
            world.engine.cycle(Batch(world.at, world.survey(), dict.fromkeys(NAMES, (reading,))))
            world.rest()

    slots(1)
    world.good("v1")
    world.deploy("v2")
    slots(130, MINUTE)
    slots(30)
    world.flip("on")
    slots(2)
    (incident,) = world.incidents()
    assert incident.evidence_from > world.at
    hands.ack(incident.id, "ann", "the flag is off, thanks", close=True)
    slots(30)
    assert (world.version.read_text(), world.incidents()) == ("v2\n", ())
    world.close()


def test_a_release_after_what_was_closed_while_it_settled_is_judged_at_once(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, watch=HOUR / 2, timing=replace(TIMING, settle=HOUR)))
    world.slot(0)
    world.good("v1")
    world.flip("on")
    world.slot(0)
    world.slot(60)
    (incident,) = world.incidents()
    Hands(desk_of(world, Said())).ack(incident.id, "ann", "off, thanks", close=True)
    for _ in range(6):
        world.slot(0)
    world.deploy("v3")
    for _ in range(60):
        world.slot(400 if world.version.read_text() == "v3\n" else 0)
    assert world.version.read_text() == "v1\n"
    world.close()
