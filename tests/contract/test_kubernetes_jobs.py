"""What the Kubernetes adapter promises about Jobs that may be migrations, on any cluster: see test_kubernetes_deployment."""

from collections.abc import Iterator

import pytest

from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests.doubles.kube import KubeDouble, running_double
from tests.doubles.kube.stage import Stage, World, stage_in


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
        stage.target.watch_jobs({stage.key: ("migrate-*",)})
        yield stage


def deploy(stage: Stage) -> None:
    stage.deploy("shop:1", replicas=0)


def release(stage: Stage) -> None:
    stage.release("shop:2")


def test_a_job_that_ran_before_the_release_makes_it_irreversible(stage: Stage) -> None:
    deploy(stage)
    stage.job("migrate-42", "shop:2")
    release(stage)
    assert str(stage.state().irreversible).startswith("Job migrate-42 (image shop:2) ran at 20")
    assert stage.state().doubt is None


def test_so_does_one_that_runs_after_it(stage: Stage) -> None:
    deploy(stage)
    release(stage)
    assert stage.state().irreversible is None
    stage.job("migrate-42")
    assert "Job migrate-42" in str(stage.state().irreversible)


def test_a_job_by_another_name_or_that_has_not_begun_does_not(stage: Stage) -> None:
    deploy(stage)
    stage.job("report-42")
    stage.job("migrate-43", suspend=True)
    release(stage)
    assert stage.state().irreversible is None


def test_a_job_beside_a_first_release_crosses_nothing(stage: Stage) -> None:
    deploy(stage)
    stage.job("migrate-1")
    assert stage.state().irreversible is None


def test_a_job_that_was_seen_and_is_gone_before_the_release_counts(stage: Stage) -> None:
    deploy(stage)
    stage.job("migrate-42")
    stage.state()
    stage.end_job("migrate-42")
    release(stage)
    assert "Job migrate-42" in str(stage.state().irreversible)


def test_nobody_who_does_not_ask_is_told(stage: Stage) -> None:
    deploy(stage)
    stage.job("migrate-42")
    release(stage)
    stage.target.watch_jobs({})
    assert stage.state().irreversible is None


def test_the_deployments_own_word_comes_first(stage: Stage) -> None:
    stage.deploy("shop:1", replicas=0, metadata={"annotations": {"rollbackd.io/irreversible": "drops a column"}})
    stage.job("migrate-42")
    release(stage)
    assert stage.state().irreversible == "drops a column"


def test_without_the_right_the_state_is_doubted_and_the_check_says_which_rule_is_missing(stage: Stage, cluster: World) -> None:
    deploy(stage)
    cluster.deny("list", "jobs", stage.namespace)
    rule = f'Add to the Role of namespace {stage.namespace}: {{apiGroups: ["batch"], resources: ["jobs"], verbs: ["list"]}}'
    doubt = str(stage.state().doubt)
    assert doubt.startswith(f"whether a migration ran is unknown: not allowed to list jobs in namespace {stage.namespace}")
    assert rule in doubt
    assert [line for line in stage.target.check([stage.key]) if rule in line] != []
    stage.target.watch_jobs({})
    assert (stage.state().doubt, stage.target.check([stage.key])) == (None, ())
