"""Policies for two clusters on one source: a release in one is never judged by the errors of the other."""

from typing import Any

import pytest
import yaml

from rollbackd.policies.load import Loaded, load_policies
from rollbackd.policies.resolve.names import Names

NAMES = Names(frozenset({"prometheus", "second"}), frozenset({"eu", "us"}), None, contacts=frozenset({"platform"}))
ERRORS = {"use": "error-rate"}
OWN = {"name": "errors", "ratio": {"bad": "errors_total", "total": "requests_total"}, "above": "5%"}
UNREADY = {"use": "stuck-rollout"}


def policy(name: str, cluster: str, *when: dict[str, Any], deployment: str = "web", **spec: Any) -> str:
    target = {"kubernetes": {"cluster": cluster, "namespace": "shop", "deployment": deployment}}
    return written(name, target=target, rollback_when=list(when or (ERRORS,)), **{"source": "prometheus", **spec})


def fleet(name: str, cluster: str, **spec: Any) -> str:
    select = {"kubernetes": {"cluster": cluster, "labels": {"rollback": "on"}}, "expect": {"max": 400}}
    return written(name, select=select, rollback_when=[ERRORS], **{"source": "prometheus", **spec})


def written(name: str, **spec: Any) -> str:
    body = {"mode": "auto", "remedy": [{"revert": {}}], "notify": ["platform"], **spec}
    return yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": name}, "spec": body}, sort_keys=False)


def load(*texts: str, names: Names | None = NAMES) -> Loaded:
    return load_policies({f"{number}.yaml": text for number, text in enumerate(texts)}, names)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(policy("a", "eu"), policy("b", "us"), id="one-workload"),
        pytest.param(fleet("a", "eu"), fleet("b", "us"), id="two-fleets"),
        pytest.param(fleet("a", "eu"), policy("b", "us"), id="a-member"),
        pytest.param(policy("a", "eu"), fleet("b", "us"), id="of-a-fleet"),
        pytest.param(policy("a", "eu", UNREADY, ERRORS), policy("b", "us", ERRORS, UNREADY), id="one-condition-of-two"),
        pytest.param(policy("a", "eu", OWN, match={"app": "web"}), policy("b", "us", OWN, match={"app": "web"}, deployment="x"), id="by-hand"),
    ],
)
def test_the_second_of_two_that_are_judged_by_the_same_series_is_refused(first: str, second: str) -> None:
    loaded = load(first, second)
    (fault,) = loaded.faults
    assert [one.name for one in (*loaded.policies, *loaded.fleets)] == ["a"]
    assert (fault.file, fault.trail) == ("1.yaml", "policy 'b' › source")
    assert str(fault).partition("expected ")[2] == (
        "a source with the series of cluster 'us' alone, found 'prometheus', by which a judges cluster 'eu'; "
        "give each cluster a source of its own: the url may be the same, with `match`, such as {cluster: us}"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(policy("a", "eu"), policy("b", "us", source="second"), id="sources-of-their-own"),
        pytest.param(policy("a", "eu"), policy("b", "eu", deployment="x"), id="one-cluster"),
        pytest.param(policy("a", "eu"), policy("b", "us", deployment="x"), id="other-workloads"),
        pytest.param(policy("a", "eu", UNREADY), policy("b", "us", UNREADY), id="no-series-at-all"),
        pytest.param(policy("a", "eu", OWN, match={"cluster": "eu"}), policy("b", "us", OWN, match={"cluster": "us"}), id="match"),
    ],
)
def test_what_is_told_apart_is_taken(first: str, second: str) -> None:
    assert not load(first, second).faults


def test_without_a_config_it_is_not_known_which_cluster_is_meant() -> None:
    assert not load(policy("a", "eu"), policy("b", "us"), names=None).faults
