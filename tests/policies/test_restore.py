"""The rung that restores data: the last one, two people's to approve, and finished by people."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.policies.decide.hands import approvals_of
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Approvals, Mode, RestoreRung, RevertRung
from rollbackd.policies.resolve.names import Names
from tests.policies.literals import POLICY

NAMES = Names(
    frozenset({"prom"}), frozenset({"default"}), "default", contacts=frozenset({"platform"}), accounts={"prod": ("eu-west-1", "eu-north-1")}
)
HEAD = "apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {name: api}\nspec:\n  rollback_when: [{use: error-rate}]\n"
REST = "  target: {kubernetes: {namespace: shop, deployment: api}}\n  mode: auto\n  notify: [platform]\n  remedy:\n    - revert: {}\n"
DATABASE = "rds: {region: eu-west-1, instance: orders}"
KEY = "rds:prod/eu-west-1/orders/point-in-time"


def loaded(*rungs: str):
    return load_policies({"api.yaml": HEAD + REST + "".join(f"    - {rung}\n" for rung in rungs)}, NAMES)


@pytest.mark.parametrize(
    ("rung", "expected"),
    [
        pytest.param(f"restore: {{target: {{{DATABASE}}}}}", RestoreRung(KEY, Mode.APPROVE), id="what-is-not-said"),
        pytest.param(
            f"restore: {{target: {{{DATABASE}}}, from: snapshot, mode: suggest}}",
            RestoreRung("rds:prod/eu-west-1/orders/snapshot", Mode.SUGGEST),
            id="snapshot",
        ),
    ],
)
def test_a_restore_is_never_above_approve(rung: str, expected: RestoreRung) -> None:
    found = loaded(rung)
    assert [str(fault) for fault in found.faults] == []
    assert found.policies[0].ladder == (RevertRung("kubernetes:default/shop/deployment/api"), expected)


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        pytest.param(
            (f"restore: {{target: {{{DATABASE}}}}}", "revert: {target: {alb: {load_balancer: web, region: eu-west-1}}}"),
            "api.yaml:11:16: policy 'api' › remedy[1] › restore: expected 'restore' as the last rung, found 1 after it",
            id="not-the-last",
        ),
        pytest.param(
            (f"restore: {{target: {{{DATABASE}}}, mode: auto}}",), "mode: expected one of observe, suggest, approve, found 'auto'", id="auto"
        ),
        pytest.param((f"revert: {{target: {{{DATABASE}}}}}",), "expected one of the keys kubernetes, ecs, alb, route53, command", id="reverted"),
        pytest.param(("restore: {target: {rds: {region: eu-west-1, cluster: orders}}}",), "'cluster' is not supported", id="aurora"),
        pytest.param(("restore: {target: {rds: {instance: orders}}}",), "expected the key 'region'", id="which-region"),
        pytest.param(("restore: {target: {rds: {region: eu-west-1, instance: 'a--b'}}}",), "expected an identifier of a-z, 0-9", id="identifier"),
        pytest.param((f"restore: {{target: {{{DATABASE}}}, from: yesterday}}",), "from: expected one of point-in-time, snapshot", id="from"),
    ],
)
def test_what_a_restore_cannot_be_is_said_with_its_place(rungs: tuple[str, ...], said: str) -> None:
    faults = [str(fault) for fault in loaded(*rungs).faults]
    assert any(said in fault for fault in faults), faults


def test_a_fleet_restores_nothing() -> None:
    select = "  select: {expect: {max: 9}, kubernetes: {namespaces: [shop], labels: {app: api}}}\n  mode: auto\n  notify: [platform]\n"
    fleet = f"{HEAD}{select}  remedy:\n    - restore: {{target: {{{DATABASE}}}}}\n"
    faults = [str(fault) for fault in load_policies({"api.yaml": fleet}, NAMES).faults]
    assert any("expected no 'restore' in a fleet" in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        pytest.param(Approvals(1, timedelta(hours=2)), Approvals(2, timedelta(minutes=30)), id="too-few-and-too-long"),
        pytest.param(Approvals(3, timedelta(minutes=5)), Approvals(3, timedelta(minutes=5)), id="stricter-stays"),
    ],
)
def test_two_people_approve_a_restore_within_half_an_hour_whatever_the_policy_says(written: Approvals, asked: Approvals) -> None:
    policy = replace(POLICY, approvals=written)
    assert approvals_of(policy, RestoreRung(KEY)) == asked
    assert approvals_of(policy, RevertRung(KEY)) == written
