"""One place knows whether an order is under way: the plan says so of its rung, and the command carries out no other in its stead."""

from dataclasses import replace

import pytest

from rollbackd.policies.model.policy import FlagsRung, Mode, RevertRung
from tests.controller.served import Served
from tests.controller.test_hands import People
from tests.controller.world import FLAGS, SHOP, SHOP_POLICY

RELEASE_FIRST = replace(SHOP_POLICY, digest="release-first", mode=Mode.APPROVE, ladder=(RevertRung(SHOP), FlagsRung(FLAGS)))


@pytest.fixture
def here(tmp_path):
    """Ann has ordered the first rung, and it is verified; the second would write too."""
    made = People(tmp_path, RELEASE_FIRST)
    made.world.flip("on")
    made.world.deploy("v2")
    made.world.slot(0)
    made.at = made.world.at
    made.rollback()
    yield made
    made.world.close()


@pytest.fixture
def cli(here, tmp_path, capsys):
    served = Served(here.world, tmp_path)
    yield served.commands(capsys)
    served.close()


def before(here):
    return f"already ordered by ann at {here.at:%H:%M:%S} UTC in {here.incident().id}"


def test_the_plan_says_of_the_rung_that_it_is_under_way_and_by_whose_order(here):
    ordered, other = here.by_hand.plan("shop").rungs
    assert (ordered.outcome, ordered.reason, ordered.advice, ordered.digest) == ("ordered", before(here), "follow it: rollbackd status", "")
    assert other.outcome == "planned"


def test_plan_shows_it(cli, here):
    code, out, _ = cli("plan", "shop")
    assert code == 2  # for the other one
    assert "rung 1 revert command:shop: under way" in out
    assert f"  why      {before(here)}" in out


@pytest.mark.parametrize("named", [(), ("--rung", "1")], ids=["unnamed", "named"])
def test_whoever_orders_once_more_is_told_of_the_first_and_offered_no_other_rung(cli, here, named):
    code, out, err = cli("rollback", "shop", "--reason", "x", "--yes", *named)
    assert (code, out) == (3, "")
    assert before(here) in err
    assert "follow it: rollbackd status" in err
    assert here.flag() == "on"


def test_of_another_policys_incident_no_rung_is_called_ordered(here):
    here.world.engine.adopt((RELEASE_FIRST, replace(RELEASE_FIRST, name="beside", digest="beside")))
    outcomes = [rung.outcome for rung in here.by_hand.plan("beside").rungs]
    assert len(outcomes) == 2
    assert "ordered" not in outcomes
