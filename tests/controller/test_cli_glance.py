"""What a person sees at a glance: rows that fit a screen, and no rung that could act where a guard holds."""

import io
from dataclasses import replace

import pytest

from rollbackd.controller.answers.status import ConditionBrief
from rollbackd.controller.cli import tables
from rollbackd.controller.cli.explanation import explanation
from rollbackd.controller.cli.show import console
from rollbackd.policies.known.fleet import Limits
from tests.controller.served import Said, desk_of
from tests.controller.world import World

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
