"""What people order or approve beside what goes on by itself: it is what they were shown, and nobody's guards are passed for them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.command import Command
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.values import SeenChange
from rollbackd.controller.observe.changes import dated_id
from rollbackd.controller.people.by_hand import ByHand, Wish
from rollbackd.controller.people.hands import Hands
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Joined
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Approvals, FlagsRung, Group, Leaf, Mode, RevertRung
from tests.controller.served import Said, desk_of
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, TIMING, World, command, served

(ERRORS,) = SHOP_POLICY.conditions
SUGGESTS = replace(SHOP_POLICY, digest="suggests", mode=Mode.SUGGEST)
SHY = replace(SUGGESTS, name="shy", digest="shy", ladder=(RevertRung(SHOP),))


@pytest.fixture
def world(tmp_path):
    """Makes a world of these policies."""
    made = []

    def make(*policies):
        made.append(World(tmp_path, *policies))
        return made[-1]

    yield make
    for each in made:
        each.close()


def slots(world, number=1, **bad):
    """So many slots with these errors, of each condition of a policy."""
    for _ in range(number):
        world.at += EVERY
        world.engine.cycle(Batch(world.at, world.survey(), {name: tuple(served(world.at, one) for one in each) for name, each in bad.items()}))
        world.rest()


def order(world, policy="shop", rung=1):
    """Ann orders the rung as its plan is shown now."""
    desk = desk_of(world, Said())
    plan = next(each for each in desk.plan(policy).rungs if each.number == rung)
    ByHand(desk, Hands(desk)).rollback(policy, Wish(rung, plan.digest or "", "ann", "customers complain"))
    world.engine.decide_again(SHOP)
    world.rest()
    return plan


def test_of_two_switches_that_are_suspects_people_are_shown_both_and_both_are_undone(world):
    shop = world(SUGGESTS)
    shop.flip("off", other="off")
    shop.slot(0)
    shop.flip("on", other="off")
    shop.slot(0)
    shop.flip("on", other="on")
    shop.slot(0)
    for _ in range(3):
        shop.slot(60)
    plan = order(shop)
    assert ("new-checkout" in str(plan.steps), "other" in str(plan.steps)) == (True, True)
    assert '"defaultVariant": "on"' not in shop.flags.read_text()
    assert shop.guards() == []


def test_what_changed_before_an_order_is_no_other_writer_after_it(world):
    shop = world(replace(SUGGESTS, ladder=(FlagsRung(FLAGS, always=True, only_changed=False), RevertRung(SHOP))))
    shop.flip("on", other="off")
    shop.slot(0)
    shop.deploy("v2")
    for _ in range(15):
        shop.slot(60)
    shop.flip("on", other="on")
    for _ in range(6):
        shop.slot(60)
    (incident,) = shop.incidents()
    order(shop)
    for _ in range(6):
        shop.slot(0)
    assert (shop.flag(), shop.guards(), shop.store.incident(incident.id).phase) == ("off", [], Phase.CLOSED)


class Interrupted(Command):
    """Something happens once, while the next plan is made."""

    meanwhile: Callable[[], None] | None = None

    def plan(self, request):
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return super().plan(request)


def test_an_order_for_a_suggestion_that_another_policy_raised_meanwhile_is_refused(world, tmp_path):
    shop = world(SHY, SHOP_POLICY)
    shop.targets["command"] = target = Interrupted({"shop": command(tmp_path)})
    slots(shop, shy=(0,), shop=(0,))
    shop.good("v1")
    shop.deploy("v2")
    slots(shop, shy=(0,), shop=(0,))
    slots(shop, 2, shy=(60,), shop=(0,))
    (incident,) = shop.incidents()

    def raised():
        with shop.store.transaction() as tx:
            tx.record(Joined(incident.id, shop.at, "shop", "error-rate", Mode.AUTO, "errors"))

    desk = desk_of(shop, Said())
    (plan,) = desk.plan("shy").rungs
    target.meanwhile = raised
    with pytest.raises(Denied, match="open on command:shop by policy shop"):
        ByHand(desk, Hands(desk)).rollback("shy", Wish(1, plan.digest or "", "ann", "customers complain"))
    assert target.meanwhile is None


def test_a_plan_that_waits_is_not_begun_by_the_machine_past_what_holds_the_machine(world):
    """It was put to people for a condition that may only ask; one that may act joins."""
    slow = replace(ERRORS, name="slow", mode=Mode.APPROVE)
    asks = Approvals(1, timedelta(minutes=2))
    shop = world(replace(SHOP_POLICY, conditions=(slow, ERRORS), trigger=Group((Leaf(0), Leaf(1)), 1), ladder=(RevertRung(SHOP),), approvals=asks))
    slots(shop, shop=(0, 0))
    shop.good("v1")
    shop.deploy("v2")
    slots(shop, shop=(0, 0))
    slots(shop, 2, shop=(60, 0))
    (incident,) = shop.incidents()
    assert incident.phase is Phase.AWAITING
    desk = desk_of(shop, Said())
    Hands(desk).ack(incident.id, "ann", "mine", close=False)
    slots(shop, 3, shop=(60, 60))
    assert (shop.guards(), shop.version.read_text()) == (["acknowledged"], "v2\n")


def test_whether_a_policy_is_well_is_known_before_it_joins(world):
    """Another replica's row may come between the count of the guards and the reading of the incidents: who is missing there counts as gone."""
    shop = world(SHOP_POLICY, replace(SHOP_POLICY, name="other", digest="other"))
    slots(shop, shop=(0,), other=(0,))
    shop.good("v1")
    shop.deploy("v2")
    slots(shop, shop=(0,), other=(0,))
    slots(shop, 2, shop=(60,), other=(0,))
    assert {policy for policy, _ in shop.incidents()[0].joined} == {"shop"}
    assert shop.engine.fleet.healthy_since[SHOP, "other", "error-rate"] is not None


def test_what_the_machine_is_carrying_out_is_under_way_in_its_plan(world):
    shop = world(replace(SHOP_POLICY, ladder=(RevertRung(SHOP),), timing=replace(TIMING, give_up=timedelta(minutes=10))))
    shop.slot(0)
    shop.good("v1")
    shop.deploy("v2")
    shop.slot(0)
    shop.slot(60)
    (incident,) = shop.incidents()
    assert incident.phase is Phase.VERIFYING
    desk = desk_of(shop, Said())
    (rung,) = ByHand(desk, Hands(desk)).plan("shop").rungs
    assert (rung.outcome, rung.reason) == ("ordered", f"it is under way in {incident.id}, which is verifying")


def test_a_plan_says_what_it_cannot_undo_that_it_goes_back_across(world):
    shop = world(replace(SUGGESTS, ladder=(RevertRung(SHOP),)))
    shop.slot(0)
    shop.good("v1")
    at = shop.at
    schema = Change(SHOP, f"posted:{dated_id(SHOP, '18', at)}", "18", None, at, at, at, posted=True, irreversible="drops table orders")
    with shop.store.transaction() as tx:
        tx.see_change(SeenChange(schema))
    shop.deploy("v2")
    for _ in range(3):
        shop.slot(60)
    (rung,) = desk_of(shop, Said()).plan("shop").rungs
    said = "it goes back across command:shop revision 18, which is irreversible (drops table orders): look whether v1 can run with what that left"
    assert (rung.outcome, rung.warnings) == ("planned", (said,))
