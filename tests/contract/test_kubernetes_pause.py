"""A namespace that its own people paused by an annotation: on the double, and on a real API server."""

from collections.abc import Iterator

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests.doubles.kube import running_double
from tests.doubles.kube.stage import MERGE_PATCH, Stage, World, stage_in


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_double(tmp_path_factory.mktemp("kube")) as world:
        yield world


@pytest.fixture(scope="module", params=["double", "real"])
def cluster(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue({"double": "double", "real": "real_kube"}[request.param])
    return world


@pytest.fixture
def stage(cluster: World) -> Iterator[Stage]:
    with stage_in(cluster, Kubernetes({"test": ClusterAccess(cluster.kubeconfig)})) as stage:
        yield stage


def annotate(stage: Stage, text: str | None) -> None:
    body = {"metadata": {"annotations": {"rollbackd.io/pause": text}}}
    stage.world.api("PATCH", f"/api/v1/namespaces/{stage.namespace}", body, content_type=MERGE_PATCH)


def test_a_namespace_without_the_annotation_is_not_paused(stage: Stage) -> None:
    assert stage.target.paused(stage.key) is None


@pytest.mark.parametrize(
    ("text", "reason"), [("database\nmove", "database move"), ("", "no reason is given"), ("false", "false")], ids=["a-reason", "none", "a-no"]
)
def test_the_annotation_pauses_whatever_it_says_until_it_is_gone(stage: Stage, text: str, reason: str) -> None:
    annotate(stage, text)
    said = stage.target.paused(stage.key) or ""
    assert f"is annotated rollbackd.io/pause: {reason}; to lift it: kubectl annotate namespace {stage.namespace} rollbackd.io/pause-" in said
    annotate(stage, None)
    assert stage.target.paused(stage.key) is None


def test_without_the_right_to_see_it_nobody_says_that_it_is_not_paused(stage: Stage) -> None:
    stage.deploy()
    stage.world.deny("get", "namespaces", stage.namespace)
    with pytest.raises(Permanent, match="not allowed to get namespaces"):
        stage.target.paused(stage.key)
    (finding,) = stage.target.check([stage.key])
    rule = f'{{apiGroups: [""], resources: ["namespaces"], verbs: ["get"], resourceNames: ["{stage.namespace}"]}}'
    assert finding.endswith(f"Add to the Role of namespace {stage.namespace}: {rule}")
