"""Load balancers and names of Route 53 in policies: which one is meant, and what happens to revisions that come again."""

import pytest

from rollbackd.policies.load import load_policies
from rollbackd.policies.model.keys import recurs
from rollbackd.policies.model.policy import RevertRung
from rollbackd.policies.resolve.names import Names

NAMES = Names(
    frozenset({"prom"}),
    frozenset({"default"}),
    "default",
    contacts=frozenset({"platform"}),
    accounts={"prod": ("eu-west-1",), "test": ("eu-west-1",)},
)
HEAD = "apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {name: api}\nspec:\n  rollback_when: [{use: error-rate}]\n"
REST = "  match: {app: api}\n  mode: suggest\n  notify: [platform]\n"

KEYS = [
    pytest.param("{alb: {account: prod, load_balancer: web}}", "alb:prod/eu-west-1/web/443/default", id="the-usual-rule"),
    pytest.param("{alb: {account: prod, load_balancer: web, port: 80, rule: 10}}", "alb:prod/eu-west-1/web/80/10", id="rule-by-priority"),
    pytest.param(
        "{route53: {account: prod, zone: Example.com., name: API.example.com.}}", "route53:prod/example.com/api.example.com", id="spellings"
    ),
    pytest.param("{route53: {account: test, zone: example.com, name: example.com}}", "route53:test/example.com/example.com", id="the-zone-itself"),
    pytest.param(
        "{route53: {account: prod, zone: Z0123456789ABC, name: '*.example.com'}}", "route53:prod/Z0123456789ABC/*.example.com", id="zone-by-id"
    ),
]


@pytest.mark.parametrize(("target", "key"), KEYS)
def test_a_target_is_named_by_its_place(target: str, key: str) -> None:
    loaded = load_policies({"api.yaml": f"{HEAD}  target: {target}\n{REST}  remedy: [{{revert: {{to: known-good}}}}]\n"}, NAMES)
    assert [str(fault) for fault in loaded.faults] == []
    (policy,) = loaded.policies
    assert (policy.target, policy.ladder) == (key, (RevertRung(key),))


def test_a_rung_names_a_target_of_its_own() -> None:
    watched = "  target: {kubernetes: {namespace: shop, deployment: api}}\n"
    rungs = (
        "  remedy:\n"
        "    - revert: {target: {alb: {account: prod, load_balancer: web}}}\n"
        "    - revert: {}\n"
        "    - revert: {target: {route53: {account: prod, zone: example.com, name: api.example.com}}}\n"
    )
    loaded = load_policies({"api.yaml": HEAD + watched + REST + rungs}, NAMES)
    assert [str(fault) for fault in loaded.faults] == []
    assert [rung.target for rung in loaded.policies[0].ladder] == [
        "alb:prod/eu-west-1/web/443/default",
        "kubernetes:default/shop/deployment/api",
        "route53:prod/example.com/api.example.com",
    ]


@pytest.mark.parametrize("target", ["{alb: {load_balancer: web}}", "{route53: {zone: example.com, name: api.example.com}}"])
def test_the_account_is_asked_for_where_there_are_several(target: str) -> None:
    loaded = load_policies({"api.yaml": f"{HEAD}  target: {target}\n{REST}"}, NAMES)
    assert any("expected the key 'account', found none; there are several: prod, test" in str(fault) for fault in loaded.faults)


def test_weights_and_names_recur_and_releases_do_not() -> None:
    assert [recurs(key) for key in ("alb:prod/eu-west-1/web/443/default", "route53:prod/example.com/api.example.com")] == [True, True]
    assert [recurs(key) for key in ("ecs:prod/eu-west-1/main/api", "kubernetes:prod/shop/deployment/api", "command:deploy")] == [False] * 3
