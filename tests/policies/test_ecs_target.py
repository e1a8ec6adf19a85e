"""Services of ECS in policies: which one is meant, and what the config has to offer for it."""

import pytest

from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import RevertRung
from rollbackd.policies.resolve.names import Names

ONE = {"prod": ("eu-west-1",)}
SEVERAL = {"prod": ("eu-west-1", "us-east-1"), "test": ("eu-west-1",)}


def text(target: str) -> str:
    head = "apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {name: api}\nspec:\n"
    said = ("rollback_when: [{use: error-rate}]", "match: {app: api}", "mode: suggest", "notify: [platform]", "remedy: [{revert: {to: known-good}}]")
    rest = "".join(f"  {line}\n" for line in said)
    return f"{head}  target: {{ecs: {{{target}}}}}\n{rest}"


def names(accounts: dict[str, tuple[str, ...]]) -> Names:
    return Names(frozenset({"prom"}), frozenset({"default"}), "default", contacts=frozenset({"platform"}), accounts=accounts)


@pytest.mark.parametrize(
    ("target", "accounts", "key"),
    [
        pytest.param("cluster: main, service: api", ONE, "ecs:prod/eu-west-1/main/api", id="the-only-account-and-region"),
        pytest.param("account: test, cluster: main, service: api", SEVERAL, "ecs:test/eu-west-1/main/api", id="the-only-region"),
        pytest.param(
            "account: prod, region: us-east-1, cluster: Main_2, service: api", SEVERAL, "ecs:prod/us-east-1/Main_2/api", id="everything-said"
        ),
    ],
)
def test_a_service_is_named_by_its_place(target: str, accounts: dict[str, tuple[str, ...]], key: str) -> None:
    loaded = load_policies({"api.yaml": text(target)}, names(accounts))
    assert [str(fault) for fault in loaded.faults] == []
    (policy,) = loaded.policies
    assert (policy.target, policy.ladder) == (key, (RevertRung(key),))


@pytest.mark.parametrize(
    ("target", "accounts", "fault"),
    [
        pytest.param(
            "cluster: main, service: api",
            SEVERAL,
            "expected the key 'account', found none; there are several: prod, test",
            id="several-accounts",
        ),
        pytest.param(
            "cluster: main, service: api", {}, "expected the key 'account', found none; the daemon's config has no accounts", id="no-accounts"
        ),
        pytest.param(
            "account: prod, cluster: main, service: api",
            SEVERAL,
            "expected the key 'region', found none; there are several: eu-west-1, us-east-1",
            id="several-regions",
        ),
        pytest.param(
            "account: prd, cluster: main, service: api",
            ONE,
            "› account: expected an account of the daemon's config, found 'prd'; did you mean 'prod'? known: prod",
            id="no-such-account",
        ),
        pytest.param(
            "region: us-east-1, cluster: main, service: api",
            ONE,
            "› region: expected a region of account 'prod', found 'us-east-1'",
            id="region-that-is-not-used",
        ),
    ],
)
def test_what_the_config_does_not_offer_is_said_with_what_it_offers(target: str, accounts: dict[str, tuple[str, ...]], fault: str) -> None:
    (said, *more) = [str(each) for each in load_policies({"api.yaml": text(target)}, names(accounts)).faults]
    assert more == []
    assert said.startswith("api.yaml:5:")
    assert fault in said, said
