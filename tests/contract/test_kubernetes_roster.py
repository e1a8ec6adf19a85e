"""What the Kubernetes adapter promises about who is there, on any cluster: see test_kubernetes_deployment."""

from collections.abc import Iterator

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.roster import Listed
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests.doubles.kube import KubeDouble, running_double
from tests.doubles.kube.stage import Stage, World, stage_in

ON = {"rollback": "on"}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with running_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@pytest.fixture(scope="module", params=["double", "real"])
def cluster(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue({"double": "double", "real": "real_kube"}[request.param])
    return world


@pytest.fixture
def stage(cluster: World) -> Iterator[Stage]:
    with stage_in(cluster, Kubernetes({"test": ClusterAccess(cluster.kubeconfig)}, page=2)) as stage:
        yield stage


def deploy(stage: Stage, name: str, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> None:
    metadata = {"labels": ON if labels is None else labels, "annotations": annotations or {}}
    stage.deploy(name=name, metadata=metadata, replicas=0, settled=False)


def names(stage: Stage, **labels: str) -> list[str]:
    return [each.name for each in stage.target.workloads("test", {**ON, **labels}, [stage.namespace])]


def test_those_that_carry_all_the_labels_are_listed(stage: Stage) -> None:
    deploy(stage, "cart", {"rollback": "on", "tier": "web"})
    deploy(stage, "checkout", {"rollback": "on", "tier": "job"})
    deploy(stage, "search", {"rollback": "off", "tier": "web"})
    assert (names(stage), names(stage, tier="web")) == (["cart", "checkout"], ["cart"])


def test_a_workload_comes_with_its_labels_and_with_its_annotations_to_us_and_no_others(stage: Stage) -> None:
    ours = {"rollbackd.io/mode": "observe", "rollbackd.io/error-rate.above": "8%"}
    marks = {"rollbackd.io/incident": "inc-1", "rollbackd.io/revision": "a", "rollbackd.io/from": "b", "rollbackd.io/rollout": "3"}
    written_by_us = {**marks, "rollbackd.io/irreversible": "drops"}
    deploy(stage, "cart", {"rollback": "on", "team": "payments"}, {**ours, **written_by_us, "kubernetes.io/change-cause": "secret"})
    (found,) = stage.target.workloads("test", ON, [stage.namespace])
    assert found == Listed(stage.namespace, "cart", {"rollback": "on", "team": "payments"}, {"mode": "observe", "error-rate.above": "8%"})


def test_a_list_of_several_pages_is_whole_and_in_order(stage: Stage) -> None:
    for number in range(7):
        deploy(stage, f"w{number}")
    assert names(stage) == [f"w{number}" for number in range(7)]


def test_a_selector_that_fits_nothing_finds_nothing(stage: Stage) -> None:
    deploy(stage, "cart")
    assert names(stage, nobody="has-this") == []


def test_a_cluster_that_the_config_does_not_have_is_named(stage: Stage) -> None:
    with pytest.raises(Permanent, match=r"no cluster eu in the daemon's config \(known: test\)"):
        stage.target.workloads("eu", ON)


# --- on the wire, against the double ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(double: KubeDouble) -> Iterator[Stage]:
    double.reset()
    with stage_in(double, Kubernetes({"test": ClusterAccess(double.kubeconfig)}, page=2)) as stage:
        for number in range(5):
            deploy(stage, f"w{number}")
        double.forget()
        yield stage


def test_without_namespaces_every_namespace_is_asked(wire: Stage) -> None:
    deploy(wire, "cart", {"only": wire.namespace})
    found = wire.target.workloads("test", {"only": wire.namespace})
    assert [(each.namespace, each.name) for each in found] == [(wire.namespace, "cart")]


def test_each_page_is_asked_for_once_and_only_for_metadata(wire: Stage, double: KubeDouble) -> None:
    wire.target.workloads("test", ON)
    asked = [(item["path"], item["query"]) for item in double.requests()]
    first = {"limit": "2", "labelSelector": "rollback=on"}
    assert asked == [("/apis/apps/v1/deployments", query) for query in (first, {**first, "continue": "2"}, {**first, "continue": "4"})]


def test_a_page_that_is_missing_leaves_no_list_at_all(wire: Stage, double: KubeDouble) -> None:
    double.fault("wait_before", method="GET", resource="deployments", seconds=0)
    double.fault("status", method="GET", resource="deployments", status=410, message="the provided continue parameter is too old")
    with pytest.raises(Transient, match="continue parameter is too old"):
        wire.target.workloads("test", ON)


def test_without_the_right_the_error_and_the_check_say_which_rule_is_missing(wire: Stage, double: KubeDouble) -> None:
    double.deny("list", "deployments")
    rule = 'Add to a ClusterRole: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["list"]}'
    with pytest.raises(Permanent) as refused:
        wire.target.workloads("test", ON)
    assert rule in str(refused.value)
    assert wire.target.roll_rights("test") == (f"not allowed to list deployments in all namespaces of cluster test. {rule}",)
    assert [line.split(" of cluster")[0] for line in wire.target.roll_rights("test", ["a", "b"])] == [
        "not allowed to list deployments in namespace a",
        "not allowed to list deployments in namespace b",
    ]
