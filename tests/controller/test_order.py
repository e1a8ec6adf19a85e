"""What people approve, what the journal keeps of a plan, and how a write that never arrived is planned again: to the same end state, or not."""

import hashlib
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, TargetState
from rollbackd.adapters.flagd import Flagd, FlagFile
from rollbackd.controller.act.order import Order, digest_of, intent_to, limits_for, offer_of, request_again
from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.known.events import Intended, Offered
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Approvals, FlagsRung, RevertRung, Rung
from tests.policies.literals import MINUTE, POLICY, SECOND, intended

KEY = "flagd:shop/all"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACT = Act("inc-1", NOW, 0, FlagsRung(KEY, only_changed=False), None, None, None, "why", "evidence")
PLAN = Plan(
    Intent(KEY, "inc-1", "f2", "f1", {"after": {"banner": "blue"}}),
    "set banner to blue",
    steps=("banner: red -> blue",),
    not_undone=("price: a person set it since",),
    command="edit flags.json",
    apply_within=20 * SECOND,
    deadline=3 * MINUTE,
    settle=15 * SECOND,
)
SILENT = replace(PLAN, intent=replace(PLAN.intent, target="flagd:shop/tag:cart"), summary="set cart to off", steps=("cart: on -> off",), command="")


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


# --- what people approve --------------------------------------------------------------------------------------------------------------


def test_an_approval_is_of_the_one_plan_or_of_all_that_begin_at_once_and_no_others() -> None:
    assert digest_of([PLAN]) == PLAN.digest
    assert digest_of([PLAN, SILENT]) == hashlib.sha256(f"{PLAN.digest}\n{SILENT.digest}".encode()).hexdigest()


def test_plans_that_begin_at_once_are_put_to_people_as_one_under_the_first() -> None:
    policy = replace(POLICY, approvals=Approvals(count=2, within=10 * MINUTE))
    order = Order(replace(ACT, at=NOW - MINUTE, rung=1), policy, (), {}, Limits(), ("oncall",), is_offer=True)
    assert offer_of(order, [PLAN, SILENT], NOW) == Offered(
        incident="inc-1",
        at=NOW,
        rung=1,
        target=KEY,
        from_revision="f2",
        to_revision="f1",
        plan_digest=digest_of([PLAN, SILENT]),
        evidence_digest="evidence",
        needed=2,
        expires_at=NOW + 10 * MINUTE,
        summary="set banner to blue; and at once: set cart to off",
        reason="why",
        steps=("banner: red -> blue", "cart: on -> off"),
        not_undone=("price: a person set it since",) * 2,
        command="edit flags.json",
    )


# --- what the journal keeps -----------------------------------------------------------------------------------------------------------


def test_the_journal_keeps_the_plan_with_the_claim_s_end_and_the_rollout_s() -> None:
    act = replace(ACT, at=NOW - MINUTE, rung=1, plan_digest=PLAN.digest, by=("ann", "bob"))
    assert intent_to(PLAN, act, NOW) == Intended(
        incident="inc-1",
        at=NOW,
        rung=1,
        target=KEY,
        from_revision="f2",
        to_revision="f1",
        plan_digest=PLAN.digest,
        evidence_digest="evidence",
        deadline=NOW + 20 * SECOND,
        summary="set banner to blue",
        steps=("banner: red -> blue",),
        not_undone=("price: a person set it since",),
        command="edit flags.json",
        record={"after": {"banner": "blue"}},
        complete_by=NOW + 3 * MINUTE,
        settle_seconds=15.0,
        reverts=False,
        by=("ann", "bob"),
    )


@pytest.mark.parametrize(
    ("remedy", "undo", "reverts"),
    [
        pytest.param(RevertRung("command:shop"), None, True, id="a-release"),
        pytest.param(RevertRung("command:shop"), intended(), False, id="what-we-put-back-ourselves"),
        pytest.param(RevertRung("alb:acme/eu-west-1/shop"), None, False, id="weights-come-again"),
        pytest.param(FlagsRung("flagd:shop/all"), None, False, id="values-of-flags-come-again"),
    ],
)
def test_only_a_release_that_was_put_back_is_kept_out_from_then_on(remedy: Rung, undo: Intended | None, reverts: bool) -> None:
    plan = replace(PLAN, intent=replace(PLAN.intent, target=remedy.target))
    assert intent_to(plan, replace(ACT, remedy=remedy, undo=undo), NOW).reverts is reverts


# --- a write that never arrived -------------------------------------------------------------------------------------------------------


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


def test_a_record_that_holds_one_side_only_is_no_write_to_take_back() -> None:
    for record in ({}, {"before": {"banner": "red"}}, {"after": {"banner": "blue"}}):
        plan = replace(PLAN, intent=replace(PLAN.intent, record=record))
        assert request_again(intent_to(plan, ACT, NOW)) == PlanRequest(KEY, "inc-1", "f2", ("f1",))


# --- the guards that people passed ----------------------------------------------------------------------------------------------------


def test_each_guard_that_people_pass_by_name_and_no_other_is_left_out_of_the_claim() -> None:
    limits, hour = Limits(1, 2, 3, 4), timedelta(hours=1)
    assert limits_for(limits, hour) == replace(limits, cooldown=hour)
    assert limits_for(limits, hour, ["cool-down"]) == replace(limits, cooldown=timedelta(0))
    for guard, name in (
        ("in-flight-namespace", "in_flight_per_namespace"),
        ("in-flight", "in_flight"),
        ("per-hour", "per_hour"),
        ("per-target-day", "per_target_per_day"),
    ):
        assert limits_for(limits, hour, [guard]) == replace(limits, cooldown=hour, **{name: sys.maxsize})
