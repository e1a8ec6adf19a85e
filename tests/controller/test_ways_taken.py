"""The orders that pages name are taken by the daemon as they stand, and carried out. A whole core, real files and commands."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.journal.values import How, Standing
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Mode, RevertRung
from tests.controller.test_hands import People
from tests.controller.world import SHOP, SHOP_POLICY

TWO = replace(SHOP_POLICY, digest="two", timing=replace(SHOP_POLICY.timing, cooldown=timedelta(hours=1)))
ONE = replace(SHOP_POLICY, digest="one", mode=Mode.AUTO, ladder=(RevertRung(SHOP),))


@pytest.fixture
def here(tmp_path, request):
    made = People(tmp_path, getattr(request, "param", ONE))
    yield made
    made.world.close()


def overrides(here):
    """What the page that it is held passes in its order."""
    (lines,) = {notice.lines for notice in here.world.notices() if notice.kind == "held"}
    (order,) = [line for line in lines if "rollbackd rollback shop" in line]
    return tuple(re.findall(r"--override (\S+)", order))


def test_a_held_incident_is_carried_on_by_the_order_of_its_page_once_the_pause_is_lifted(here):
    here.world.pause.pause("db move", "ann", here.world.at)
    assert here.release().phase is Phase.HELD
    assert overrides(here) == ()
    here.world.pause.resume()
    here.rollback()
    assert here.version() == "v1"


@pytest.mark.parametrize("here", [TWO], indirect=True, ids=["after-the-flag-was-switched"])
def test_a_rung_that_was_refused_is_ordered_anew_as_the_page_says(here):
    here.world.flip("on")
    stand(here, Standing.BAD)
    incident = here.release()
    for _ in range(2):
        here.world.slot(60)
    assert (here.incident().phase, here.version()) == (Phase.HELD, "v2")
    stand(here, Standing.GOOD)
    with pytest.raises(Denied, match="has tried rung 2 already"):
        here.rollback(rung=2)
    here.hands.ack(incident.id, "ann", "", close=True)
    with pytest.raises(Denied, match="held by cool-down"):
        here.rollback(rung=2)
    here.rollback(rung=2, overrides=overrides(here))
    assert here.version() == "v1"


def stand(here, standing):
    """What there is to go back to stands so."""
    with here.world.store.transaction() as tx:
        tx.mark(SHOP, "v1", standing, How.DECLARED, here.world.at)
