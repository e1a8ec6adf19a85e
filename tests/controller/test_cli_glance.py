"""What a person sees at a glance: rows that fit a screen, no rung that could act where a guard holds, and how a held incident goes on."""

import io
from dataclasses import replace

import pytest

from rollbackd.controller.answers.status import ConditionBrief
from rollbackd.controller.cli import tables
from rollbackd.controller.cli.explanation import explanation
from rollbackd.controller.cli.show import console
from rollbackd.controller.journal.values import How, Standing
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode, RevertRung
from tests.controller.served import Said, desk_of
from tests.controller.test_hands import People
from tests.controller.world import SHOP, SHOP_POLICY, World

AUTO = replace(SHOP_POLICY, digest="auto", mode=Mode.AUTO, ladder=(RevertRung(SHOP),))
ORDER = "rollbackd rollback shop --reason '...'"
NAMES = ("error-rate", "p95-latency", "memory", "database-failures", "stuck-rollout", "restarts")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.slot(0)
    made.good("v1")
    yield made
    made.close()


def status(world, *conditions):
    """The row of the policy, where its conditions stand so."""
    answer = desk_of(world, Said()).status()
    (policy,) = answer.policies
    out = io.StringIO()
    tables.status(replace(answer, policies=(replace(policy, name="checkout", conditions=conditions),)), console(out, 120))
    (row,) = [line for line in out.getvalue().splitlines() if line.startswith("checkout")]
    return " ".join(row.split())


def explained(world):
    out = io.StringIO()
    explanation(desk_of(world, Said()).explain("shop"), console(out, 200))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_while_a_source_is_silent_what_it_does_not_tell_is_counted(world):
    blind = [ConditionBrief(name, "error", is_confirmed=False) for name in NAMES]
    assert status(world, *blind, ConditionBrief("probe", "ok", is_confirmed=False)) == "checkout command:shop auto - 6 error, 1 ok -"


def test_two_breaches_are_named_those_confirmed_first_and_more_are_counted(world):
    breaches = [ConditionBrief(name, "breach", is_confirmed=name == "memory") for name in NAMES]
    row = status(world, ConditionBrief("probe", "ok", is_confirmed=False), *breaches)
    assert row == "checkout command:shop auto - memory BREACH confirmed, error-rate BREACH, 4 more BREACH, 1 ok -"


def test_a_rung_that_a_guard_holds_is_not_said_to_be_able_to_act(world):
    world.deploy("v2")
    world.slot(0)
    assert "2 could act revert command:shop" in explained(world)
    world.pause.pause("db move", "ann", world.at)
    world.engine.settings = replace(world.engine.settings, limits=Limits(in_flight=0))
    world.slot(0)
    shown = explained(world)
    rung = shown.index("2 would not revert command:shop")
    assert shown[rung + 2] == "would act if not held by pause, in-flight"


# --- how a held incident goes on -----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path):
    made = People(tmp_path, AUTO)
    yield made
    made.world.close()


def glances(here):
    """What status and explain show."""
    out = io.StringIO()
    tables.status(here.desk.status(), console(out, 200))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()], explained(here.world)


def quarantine(here):
    with here.world.store.transaction() as tx:
        tx.mark(SHOP, "v2", Standing.QUARANTINED, How.ROLLED_BACK, here.world.at)


def test_the_order_passes_every_guard_that_holds_and_is_taken_as_it_stands(here):
    quarantine(here)
    assert here.release().held.guard == "quarantine"
    here.world.engine.settings = replace(here.world.engine.settings, limits=Limits(per_hour=0))
    here.world.slot(60)
    for lines in glances(here):
        assert f"to do it all the same: {ORDER} --override quarantine --override per-hour" in lines
    here.rollback(overrides=("quarantine", "per-hour"))
    assert here.version() == "v1"


def test_a_guard_that_holds_no_more_is_not_passed(here):
    quarantine(here)
    here.release()
    with here.world.store.transaction() as tx:
        tx.rearm(SHOP, "v2", "ann", here.world.at)
    here.world.slot(60)
    for lines in glances(here):
        assert f"to do it all the same: {ORDER}" in lines


def test_under_a_pause_the_order_says_that_it_is_lifted_first_and_what_it_passes_then(here):
    here.world.pause.pause("db move", "ann", here.world.at)
    here.release()
    quarantine(here)
    here.world.slot(60)
    for lines in glances(here):
        assert f"to do it all the same, once the pause is lifted (rollbackd resume): {ORDER} --override quarantine" in lines


def test_of_an_incident_of_another_policy_the_order_is_the_one_of_its_page(here):
    quarantine(here)
    here.release()
    beside = replace(AUTO, name="a-beside", digest="beside")
    here.world.engine.adopt((AUTO, beside))
    here.world.slot(60, policies=("shop", "a-beside"))
    (order,) = [line for notice in here.world.notices() for line in notice.lines if "rollbackd rollback" in line]
    answer = {policy.name: policy.incident.go_on for policy in here.desk.status().policies}
    assert answer == {"a-beside": order, "shop": f"to do it all the same: {ORDER} --override quarantine"}


def test_what_goes_on_by_itself_has_no_order(here):
    here.world.deploy("v2")
    for _ in range(2):
        here.world.slot(60)
    assert here.incident().held is None
    assert not any("to do it all the same" in line for lines in glances(here) for line in lines)
