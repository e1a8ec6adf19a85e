"""An open suggestion takes nothing from anybody: armed policies act beside it, and people hear of what else breaks."""

from dataclasses import replace

import pytest

from rollbackd.controller.engine.slots import Batch
from rollbackd.policies.model.policy import For, Group, Leaf, Mode, OutsideWatch, RevertRung
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World, served
from tests.policies.literals import HOUR, MINUTE

(ERRORS,) = SHOP_POLICY.conditions
SHY = replace(SHOP_POLICY, name="shy", digest="shy", mode=Mode.SUGGEST, ladder=(RevertRung(SHOP),))
EITHER = Group((Leaf(0), Leaf(1)), 1)


class Shop:
    """A world with a release v2 that everybody watches."""

    def __init__(self, folder, *policies) -> None:
        self.world = World(folder, *policies)
        self.names = [policy.name for policy in policies]

    def slots(self, number=1, **bad) -> None:
        """So many slots with these errors: of a policy's one condition, or of each of several."""
        for _ in range(number):
            world = self.world
            world.at += EVERY
            found = {name: each if isinstance(each := bad[name], tuple) else (each,) for name in self.names}
            world.engine.cycle(Batch(world.at, world.survey(), {name: tuple(served(world.at, one) for one in each) for name, each in found.items()}))
            world.rest()

    def released(self, **bad) -> None:
        self.slots(**bad)
        self.world.good("v1")
        self.world.deploy("v2")
        self.slots(**bad)

    def suggested(self) -> list[str]:
        return [title for title in self.world.titles() if title.startswith("SUGGESTED")]


@pytest.fixture
def shop(tmp_path):
    """Makes a world of these policies."""
    made = []

    def make(*policies):
        made.append(Shop(tmp_path, *policies))
        return made[-1]

    yield make
    for each in made:
        each.world.close()


def test_a_breach_from_before_the_suggestions_release_is_undone_by_the_policy_that_knows_its_cause(shop):
    armed = replace(SHOP_POLICY, conditions=(replace(ERRORS, confirm=For(MINUTE)),))
    story = shop(SHY, armed)
    story.slots(shy=0, shop=0)
    story.world.good("v1")
    story.world.flip("on")
    story.slots(shy=0, shop=0)
    story.slots(4, shy=0, shop=60)  # not confirmed yet
    story.world.deploy("v2")
    for _ in range(20):
        story.slots(shy=60, shop=60 if story.world.flag() == "on" else 0)
    assert (story.world.flag(), story.world.version.read_text()) == ("off", "v2\n")


def test_a_suggestion_whose_policy_is_gone_disarms_nobody(shop):
    armed = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),))
    story = shop(SHY, armed)
    story.released(shy=0, shop=0)
    story.slots(2, shy=60, shop=0)
    assert len(story.suggested()) == 1
    story.world.engine.adopt((armed,))
    story.names = ["shop"]
    for _ in range(6):
        story.slots(shop=400 if story.world.version.read_text() == "v2\n" else 0)
    assert story.world.version.read_text() == "v1\n"


@pytest.mark.parametrize("broke_before", [False, True])
def test_what_breaks_by_something_else_is_suggested_too_also_where_it_had_broken_by_the_first(shop, broke_before):
    slow = replace(ERRORS, name="slow")
    story = shop(replace(SHOP_POLICY, mode=Mode.SUGGEST, conditions=(slow, ERRORS), trigger=EITHER))
    story.released(shop=(0, 0))
    story.slots(2, shop=(60, 60 if broke_before else 0))
    story.slots(20, shop=(60, 0))
    story.world.flip("on")
    story.slots(shop=(60, 0))
    story.slots(6, shop=(60, 200))
    first, second = story.suggested()
    assert ("command:shop revision v2" in first, "33.3 %" in second) == (True, True)
    (incident,) = story.world.incidents()
    assert [suspect.split("@")[0] for suspect in incident.suspects][-1] == "v2"
    assert len(incident.suspects) == 2
    assert "why: error-rate" in story.world.lines()[1]


def test_what_breaks_outside_every_watch_beside_a_suggestion_is_told_once(shop):
    slow = replace(ERRORS, name="slow")
    policy = replace(SHOP_POLICY, mode=Mode.SUGGEST, conditions=(slow, ERRORS), trigger=EITHER, outside_watch=OutsideWatch.PAGE)
    story = shop(policy)
    story.released(shop=(0, 0))
    story.slots(shop=(60, 0))
    story.world.at += 25 * HOUR
    story.slots(8, shop=(60, 200))
    assert [title.split(": ")[1].split(" ")[0] for title in story.world.titles()[1:]] == ["error-rate"]


def test_one_breach_of_many_conditions_is_one_page(shop):
    """Those with a longer watch blame an older change as well."""
    others = tuple(replace(ERRORS, name=f"other{number}", watch=24 * HOUR) for number in range(5))
    trigger = Group(tuple(Leaf(index) for index in range(6)), 1)
    story = shop(replace(SHOP_POLICY, mode=Mode.SUGGEST, conditions=(ERRORS, *others), trigger=trigger))
    story.slots(shop=(0,) * 6)
    story.world.flip("on")
    story.slots(shop=(0,) * 6)
    story.world.at += 5 * HOUR
    story.released(shop=(0,) * 6)
    story.slots(3, shop=(60,) * 6)
    assert (len(story.suggested()), len(story.world.incidents()[0].suspects)) == (1, 2)
