"""The pods of a release on a real API server with the controller of StatefulSets: which are replaced by what, and which may be evicted.

Our node agent says how they fare, by their images; nothing of rollbackd runs in them.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helm.chart import CHART, POLICY, SMALLEST, Object, merged, run
from tests.kube import RealKube
from tests.servers import poll

HOME = "chart-pods"
SHARED: Object = {"replicas": 3, "store": {"url": "postgresql://rollbackd@db.example/rollbackd"}}
GOOD, MENDED, BROKEN = ("rollbackd:good", "rollbackd:mended", "rollbackd:broken")


@dataclass(frozen=True)
class Pods:
    """The pods of the release ``undo``."""

    cluster: RealKube
    folder: Path

    def try_helm(self, *words: str, image: str = "", values: Object | None = None) -> str:
        """`helm WORDS` on the cluster; what it refused, or nothing. ``image``: with the smallest values, these values and this image."""
        given = merged({**SMALLEST, "policies": {"checkout": POLICY}, "image": {"tag": image.partition(":")[2]}}, values or {}) if image else None
        done = run(self.folder, given, *words, "--namespace", HOME, "--kubeconfig", str(self.cluster.admin_kubeconfig))
        return done.stderr if done.returncode else ""

    def helm(self, *words: str, image: str = "", values: Object | None = None) -> None:
        """The same, and it was done."""
        assert self.try_helm(*words, image=image, values=values) == ""

    def all(self) -> list[Object]:
        """Those that are not on their way out, in order."""
        found: list[Object] = self.cluster.api("GET", f"/api/v1/namespaces/{HOME}/pods")["items"]
        return sorted((pod for pod in found if "deletionTimestamp" not in pod["metadata"]), key=lambda pod: str(pod["metadata"]["name"]))

    def images(self) -> list[str]:
        return [pod["spec"]["containers"][0]["image"] for pod in self.all()]

    def ready(self) -> list[bool]:
        return [
            any(each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions", [])) for pod in self.all()
        ]

    def parts(self) -> list[str]:
        """Which part of all targets each is told to watch."""
        return [pod["spec"]["containers"][0]["args"][-1] for pod in self.all()]

    def evicted(self, number: int) -> int:
        """The status with which the server would let this pod be evicted."""
        name = f"undo-rollbackd-{number}"
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": HOME}}
        return self.cluster.send("POST", f"/api/v1/namespaces/{HOME}/pods/{name}/eviction", eviction, dryRun="All").status_code

    def stand(self, *images: str) -> bool:
        """Whether these run, and are ready unless their image is broken."""
        return self.images() == list(images) and self.ready() == [image != BROKEN for image in images]


@pytest.fixture(scope="module")
def home(real_kube: RealKube) -> RealKube:
    real_kube.make_namespace(HOME)
    real_kube.image_behaves(BROKEN, "crash")
    return real_kube


@pytest.fixture
def pods(home: RealKube, tmp_path: Path) -> Iterator[Pods]:
    pods = Pods(home, tmp_path)
    yield pods
    pods.helm("uninstall", "undo")
    poll(lambda: pods.all() == [])


def test_a_pod_that_never_got_ready_gets_the_fix(pods: Pods) -> None:
    pods.helm("install", "undo", str(CHART), image=BROKEN)
    poll(lambda: pods.stand(BROKEN))
    pods.helm("upgrade", "undo", str(CHART), image=MENDED)
    poll(lambda: pods.stand(MENDED))


def test_a_pod_that_an_upgrade_broke_is_put_back_by_helm(pods: Pods) -> None:
    pods.helm("install", "undo", str(CHART), image=GOOD)
    poll(lambda: pods.stand(GOOD))
    pods.helm("upgrade", "undo", str(CHART), image=BROKEN)
    poll(lambda: pods.stand(BROKEN))
    pods.helm("rollback", "undo")
    poll(lambda: pods.stand(GOOD))


def test_an_upgrade_that_breaks_reaches_one_of_several_pods(pods: Pods) -> None:
    pods.helm("install", "undo", str(CHART), image=GOOD, values=SHARED)
    poll(lambda: pods.stand(GOOD, GOOD, GOOD))
    pods.helm("upgrade", "undo", str(CHART), image=BROKEN, values=SHARED)
    poll(lambda: pods.stand(GOOD, GOOD, BROKEN))
    with pytest.raises(AssertionError, match="not true"):
        poll(lambda: not pods.stand(GOOD, GOOD, BROKEN), within=3)


def test_a_release_of_before_is_brought_to_this_chart_as_the_page_says_and_keeps_its_pod(pods: Pods, tmp_path: Path) -> None:
    older = shutil.copytree(CHART, tmp_path / "older")
    file = older / "templates" / "statefulset.yaml"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "podManagementPolicy" not in line))
    pods.helm("install", "undo", str(older), image=GOOD)
    poll(lambda: pods.stand(GOOD))
    (before,) = pods.all()
    assert "updates to statefulset spec" in pods.try_helm("upgrade", "undo", str(CHART), image=GOOD)

    path = f"/apis/apps/v1/namespaces/{HOME}/statefulsets/undo-rollbackd"
    pods.cluster.api("DELETE", path, {"propagationPolicy": "Orphan"})
    poll(lambda: pods.cluster.send("GET", path).status_code == 404)
    pods.helm("upgrade", "undo", str(CHART), image=GOOD)
    poll(lambda: pods.cluster.api("GET", path).get("status", {}).get("readyReplicas") == 1)
    assert [pod["metadata"]["uid"] for pod in pods.all()] == [before["metadata"]["uid"]]


@pytest.mark.parametrize("persistence", [{"size": "2Gi"}, {"storageClassName": "fast"}, {"existingClaim": "journal"}])
def test_a_release_cannot_be_given_another_kind_of_volume_and_keeps_its_pod(pods: Pods, persistence: Object) -> None:
    pods.helm("install", "undo", str(CHART), image=GOOD)
    poll(lambda: pods.stand(GOOD))
    (before,) = pods.all()
    said = pods.try_helm("upgrade", "undo", str(CHART), image=MENDED, values={"persistence": persistence})
    assert ("updates to statefulset spec" in said, pods.images(), pods.all()[0]["metadata"]["uid"]) == (True, [GOOD], before["metadata"]["uid"])


def test_a_release_may_be_given_another_existing_claim(pods: Pods) -> None:
    pods.helm("install", "undo", str(CHART), image=GOOD, values={"persistence": {"existingClaim": "journal"}})
    pods.helm("upgrade", "undo", str(CHART), image=GOOD, values={"persistence": {"existingClaim": "copy"}})


def test_pods_of_which_none_is_ready_let_a_node_be_drained(pods: Pods) -> None:
    # As while the journal that they share is down: there is nothing that a drain could interrupt.
    pods.helm("install", "undo", str(CHART), image=BROKEN, values=SHARED)
    poll(lambda: pods.stand(BROKEN, BROKEN, BROKEN))
    budget = f"/apis/policy/v1/namespaces/{HOME}/poddisruptionbudgets/undo-rollbackd"
    poll(lambda: pods.cluster.api("GET", budget).get("status", {}).get("expectedPods") == 3)
    assert [pods.evicted(number) for number in range(3)] == [201, 201, 201]


def test_parts_are_told_a_new_count_all_at_once_as_the_page_says(pods: Pods) -> None:
    sharded = {**SHARED, "sharded": True}
    pods.helm("install", "undo", str(CHART), image=GOOD, values=sharded)
    poll(lambda: pods.stand(GOOD, GOOD, GOOD))
    pods.helm("upgrade", "undo", str(CHART), image=GOOD, values={**sharded, "replicas": 4})
    pods.cluster.admin.send("DELETE", f"/api/v1/namespaces/{HOME}/pods", labelSelector="app.kubernetes.io/instance=undo")
    assert set(pods.parts()) <= {"$(POD_INDEX)/4"}
    poll(lambda: pods.parts() == ["$(POD_INDEX)/4"] * 4 and all(pods.ready()))
