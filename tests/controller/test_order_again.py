"""A write that never arrived is planned again after a restart: the same end state, or nothing."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.target import Plan, PlanRequest, TargetState
from rollbackd.adapters.flagd import Flagd, FlagFile
from rollbackd.controller.act.order import intent_to, limits_for, request_again
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import FlagsRung

KEY = "flagd:shop/all"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACT = Act("inc-1", NOW, 0, FlagsRung(KEY, only_changed=False), None, None, None, "why", "evidence")


def shop(file: Path, **safe: str) -> Flagd:
    return Flagd({"shop": FlagFile("shop", file, safe_states=safe)})


def planned(target: Flagd, **asked: object) -> Plan:
    state = target.survey([KEY])[KEY]
    assert isinstance(state, TargetState)
    plan = target.plan(PlanRequest(KEY, "inc-1", state.revision, **asked))  # type: ignore[arg-type]
    assert isinstance(plan, Plan)
    return plan


def write(file: Path) -> Path:
    # Without a variant `off`: it can only go back to where it was before the change.
    flag = {"state": "ENABLED", "variants": {"blue": "b", "red": "r"}, "defaultVariant": "red"}
    file.write_text(json.dumps({"flags": {"banner": flag}}))
    return file


def served(file: Path) -> str:
    return str(json.loads(file.read_text())["flags"]["banner"]["defaultVariant"])


def test_flags_that_go_back_to_before_the_change_are_planned_again_to_the_same_end(tmp_path: Path) -> None:
    file = write(tmp_path / "flags.json")
    before = {"banner": {"state": "ENABLED", "variants": {"blue": "b", "red": "r"}, "defaultVariant": "blue"}}
    plan = planned(shop(file), before=before)
    again = shop(file, banner="red").plan(request_again(intent_to(plan, ACT, NOW)))
    assert isinstance(again, Plan)
    assert again.intent == plan.intent
    shop(file).apply(again)
    assert served(file) == "blue"


def test_an_undo_of_flags_is_planned_again_to_the_same_end(tmp_path: Path) -> None:
    file = write(tmp_path / "flags.json")
    target = shop(file, banner="blue")
    first = planned(target)
    target.apply(first)
    undo = planned(target, undo=first.intent)
    again = target.plan(request_again(intent_to(undo, ACT, NOW)))
    assert isinstance(again, Plan)
    assert again.intent == undo.intent
    target.apply(again)
    assert served(file) == "red"


def test_each_guard_that_people_pass_by_name_and_no_other_is_left_out_of_the_claim() -> None:
    limits, hour = Limits(1, 2, 3, 4), timedelta(hours=1)
    assert limits_for(limits, hour) == replace(limits, cooldown=hour)
    assert limits_for(limits, hour, ["cool-down"]) == replace(limits, cooldown=timedelta(0))
    for guard, name in (("in-flight", "in_flight"), ("per-hour", "per_hour"), ("per-target-day", "per_target_per_day")):
        assert limits_for(limits, hour, [guard]) == replace(limits, cooldown=hour, **{name: sys.maxsize})
