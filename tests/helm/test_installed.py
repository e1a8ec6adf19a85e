"""The chart on a real API server: what helm installs is admitted, and the rights that it gives are enough for the job and for nothing else.

`rollbackd run` holds the token of the chart's ServiceAccount and reads what the chart's ConfigMaps hold. Only the paths and ports are the test's
own, for the pod that would have them is not run: there is no kubelet here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollbackd.adapters.kubernetes import Kubernetes
from rollbackd.controller.demo.receiver import Receiver
from tests.doubles.kube.stage import Stage
from tests.e2e.daemon import Daemon, policy
from tests.e2e.fleet import Fleet, Shop, exposed
from tests.e2e.kubelet import project
from tests.helm.chart import CHART, Object, merged, run
from tests.kube import RealKube
from tests.kube.client import User
from tests.servers import free_port, poll

HOME, SHOP, OTHER = "chart-home", "chart-shop", "chart-other"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
US = f"system:serviceaccount:{HOME}:undo-rollbackd"
POLICY = policy(SHOP, {"kubernetes": {"namespace": SHOP, "deployment": "checkout"}}, {"use": "error-rate", "with": {"for": "0s"}})
RIGHTS = {SHOP: {"deployments": ["checkout"], "jobs": True}}


@dataclass
class Release:
    """The release ``undo`` in HOME, its pages and on-call's end, and whoever holds its ServiceAccount's token."""

    cluster: RealKube
    folder: Path
    receiver: Receiver
    fleet: Fleet
    values: Object
    account: User = field(init=False)

    def helm(self, *words: str, values: Object | None = None) -> str:
        """What `helm WORDS` printed: on the cluster, in HOME, with all rights."""
        done = run(self.folder, values, *words, "--namespace", HOME, "--kubeconfig", str(self.cluster.admin_kubeconfig))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str) -> Object:
        """The object in HOME."""
        group = "/apis/apps/v1" if path.startswith("statefulsets") else "/api/v1"
        found: Object = self.cluster.api("GET", f"{group}/namespaces/{HOME}/{path}")
        return found

    def log_in(self) -> None:
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        answer = self.cluster.api("POST", f"/api/v1/namespaces/{HOME}/serviceaccounts/undo-rollbackd/token", asked)
        self.account = User(self.cluster.admin.url, answer["status"]["token"], self.cluster.admin.authority)

    def pod(self) -> Object:
        """One more pod, as a kubelet would be given it."""
        template = self.get("statefulsets/undo-rollbackd")["spec"]["template"]
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-undo-rollbackd-1"}}
        spec = {**template["spec"], "volumes": [*template["spec"]["volumes"], claim]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": "undo-rollbackd-1"}, "spec": spec}

    @contextmanager
    def daemon(self, name: str) -> Iterator[Daemon]:
        """`rollbackd run` on what the release's ConfigMaps hold, as its ServiceAccount; ``name``: a folder for its data."""
        written = yaml.safe_load(self.get("configmaps/undo-rollbackd")["data"]["rollbackd.yaml"])
        for key in ("policies", "data_dir", "health"):
            del written[key]
        daemon = Daemon(self.folder / name, {**written, "health": {"listen": f"127.0.0.1:{free_port()}"}}, {})
        project(daemon.policies, self.get("configmaps/undo-rollbackd-policies")["data"])
        try:
            daemon.start()
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()

    def written(self) -> list[str]:
        """What the ServiceAccount has patched, dry runs apart, by the server's audit log."""
        patches = self.cluster.requests("patch", dry_run=False)
        return [f"{item['namespace']}/{item['name']}" for item in patches if (item["user"], item["status"]) == (US, 200)]


class Checkout(Shop):
    """The Deployment as a policy of the chart names it: in the cluster that the pod runs in."""

    @property
    def target(self) -> str:
        return f"kubernetes:default/{self.namespace}/deployment/checkout"


@pytest.fixture(scope="module")
def release(real_kube: RealKube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Installed with the smallest values that fit, into a namespace that enforces the restricted profile."""
    folder = tmp_path_factory.mktemp("chart")
    (folder / "hook").write_text(SECRET)
    restricted = {"name": HOME, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    real_kube.api("POST", "/api/v1/namespaces", {"metadata": restricted})
    for namespace in (SHOP, OTHER):
        real_kube.make_namespace(namespace)
    fleet = Fleet(real_kube)
    with Receiver(SECRET) as receiver, exposed(fleet) as page, pytest.MonkeyPatch.context() as patch:
        config = {
            "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
            "contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(folder / "hook")}}]},
        }
        release = Release(real_kube, folder, receiver, fleet, {"config": config, "policies": {"checkout": POLICY}, "rights": RIGHTS})
        release.helm("install", "undo", str(CHART), values=release.values)
        release.log_in()
        # In a pod it would find its token by itself; the default kubeconfig is the next place where it looks.
        patch.setenv("KUBECONFIG", str(real_kube.kubeconfig_of(release.account.token, folder / "kubeconfig")))
        yield release
    real_kube.empty_namespace(SHOP)


# --- the pod --------------------------------------------------------------------------------------------------------------------------------------


def test_the_pod_is_admitted_where_the_restricted_profile_is_enforced(release: Release) -> None:
    answer = release.cluster.send("POST", f"/api/v1/namespaces/{HOME}/pods", release.pod(), dryRun="All")
    assert answer.status_code == 201, answer.text


def test_that_namespace_refuses_a_pod_that_asks_for_more(release: Release) -> None:
    pod = release.pod()
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    answer = release.cluster.send("POST", f"/api/v1/namespaces/{HOME}/pods", pod, dryRun="All")
    assert (answer.status_code, "violates PodSecurity" in answer.text) == (403, True)


# --- the rights -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name", "may"),
    [
        ("get", "deployments", SHOP, "checkout", True),
        ("patch", "deployments", SHOP, "checkout", True),
        ("list", "deployments", SHOP, "", True),
        ("list", "replicasets", SHOP, "", True),
        ("list", "pods", SHOP, "", True),
        ("list", "jobs", SHOP, "", True),
        ("create", "jobs", SHOP, "", False),
        ("patch", "deployments", SHOP, "", False),
        ("patch", "deployments", SHOP, "cart", False),
        ("get", "deployments", SHOP, "cart", False),
        ("update", "deployments", SHOP, "checkout", False),
        ("delete", "deployments", SHOP, "checkout", False),
        ("create", "deployments", SHOP, "", False),
        ("delete", "replicasets", SHOP, "", False),
        ("create", "pods", SHOP, "", False),
        ("delete", "pods", SHOP, "", False),
        ("get", "secrets", SHOP, "", False),
        ("list", "secrets", SHOP, "", False),
        ("list", "configmaps", SHOP, "", False),
        ("list", "deployments", OTHER, "", False),
        ("patch", "deployments", OTHER, "checkout", False),
        ("get", "secrets", HOME, "", False),
        ("list", "pods", HOME, "", False),
        ("list", "deployments", "", "", False),
    ],
)
def test_the_server_allows_the_account_what_the_job_needs_and_no_more(
    release: Release, verb: str, resource: str, namespace: str, name: str, may: bool
) -> None:
    group = {"deployments": "apps", "replicasets": "apps", "jobs": "batch"}.get(resource, "")
    assert release.account.may(verb, resource, namespace, name, group=group) is may


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("DELETE", f"/apis/apps/v1/namespaces/{SHOP}/deployments/checkout", None, id="delete"),
        pytest.param("GET", f"/api/v1/namespaces/{SHOP}/secrets", None, id="secrets"),
        pytest.param("PATCH", f"/apis/apps/v1/namespaces/{SHOP}/deployments/cart", {"spec": {"paused": True}}, id="another-deployment"),
        pytest.param("PATCH", f"/apis/apps/v1/namespaces/{OTHER}/deployments/checkout", {"spec": {"paused": True}}, id="another-namespace"),
    ],
)
def test_the_server_refuses_the_account_what_is_not_its_job(release: Release, method: str, path: str, body: Any) -> None:
    assert release.account.send(method, path, body, content_type="application/merge-patch+json").status_code == 403


# --- the job --------------------------------------------------------------------------------------------------------------------------------------


def test_as_installed_it_suggests_and_writes_nothing_and_after_an_upgrade_to_auto_it_puts_the_release_back(release: Release) -> None:
    Stage(release.cluster, Kubernetes({}), SHOP).deploy()
    with release.daemon("suggests") as daemon:
        shop = Checkout(daemon, release.cluster, SHOP)
        poll(lambda: shop.revision)
        shop.declare_good()
        shop.stage.release("shop:errors")
        poll(lambda: any("SUGGESTED" in message.body["data"]["title"] for message in release.receiver.messages), within=30)
        assert "target.not_ready" not in daemon.log  # it misses no right, and the Deployment was there when it asked
    assert (shop.image, release.written()) == ("shop:errors", [])

    release.helm("upgrade", "undo", str(CHART), values=merged(release.values, {"config": {"mode_cap": "auto"}}))
    shop.stage.release("shop:1")
    with release.daemon("acts") as daemon:
        shop = Checkout(daemon, release.cluster, SHOP)
        poll(lambda: shop.revision)
        shop.declare_good()
        shop.stage.release("shop:errors")
        assert shop.closed()["how"] == "recovered"
    assert (shop.image, release.written()) == ("shop:1", [f"{SHOP}/checkout"])


def test_an_uninstalled_release_leaves_nothing_behind_in_the_namespaces_that_it_watched(release: Release) -> None:
    release.helm("install", "gone", str(CHART), values={**release.values, "rights": {OTHER: {"deployments": "all"}}})
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OTHER}/roles"
    assert "gone-rollbackd" in names(release.cluster.api("GET", roles))
    release.helm("uninstall", "gone")
    assert "gone-rollbackd" not in names(release.cluster.api("GET", roles))
    assert [name for name in names(release.get("configmaps")) if name.startswith("gone")] == []


def names(listed: Object) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]
