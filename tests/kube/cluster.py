"""One control plane: how its servers are started, and the cluster as a test arranges it."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests import servers
from tests.doubles.kube import write_kubeconfig
from tests.doubles.kube.access import Denial
from tests.doubles.kube.pods import Behaviour
from tests.kube import assets
from tests.kube.client import Raw, User
from tests.kube.node import Node
from tests.kube.rights import Rights
from tests.servers import poll

ADMIN = "admin-of-the-tests"
HOME = "rollbackd"
"""The namespace of our own ServiceAccount, and its name."""
STARTS_WITHIN = 90.0
"""Seconds; alone on the machine it is ready after some six."""
CONTROLLERS = (
    "deployment-controller,replicaset-controller,statefulset-controller,disruption-controller,job-controller,"
    "serviceaccount-controller,garbage-collector-controller,resourcequota-controller"
)
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


@dataclass(frozen=True)
class RealKube:
    """A running cluster. ``kubeconfig`` is what rollbackd uses: a ServiceAccount with the rights that it asks for, in the namespaces made here."""

    folder: Path
    admin: User
    node: Node
    rights: Rights

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "rollbackd.kubeconfig"

    @property
    def admin_kubeconfig(self) -> Path:
        """With all rights."""
        return self.folder / "admin.kubeconfig"

    def api(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", manager: str = "kubectl") -> Raw:
        """One request of another writer, with all rights."""
        return self.admin.api(method, path, body, content_type=content_type, **({} if method == "GET" else {"fieldManager": manager}))

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str) -> requests.Response:
        """The answer, whatever it is."""
        return self.admin.send(method, path, body, content_type=content_type, **query)

    def make_namespace(self, name: str) -> None:
        """A namespace in which pods can be made and rollbackd has its rights."""
        self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.rights.grant(name)
        poll(lambda: self.admin.send("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default").ok)

    def empty_namespace(self, name: str) -> None:
        """Its Deployments are deleted; the rest follows by itself, and the namespace stays: to delete one costs a server more than a test."""
        self.api("DELETE", f"/apis/apps/v1/namespaces/{name}/deployments")

    def image_behaves(self, image: str, behaviour: Behaviour) -> None:
        """How pods with this image fare; without a word they serve."""
        self.node.image_behaves(image, behaviour)

    def deny(self, verb: str, resource: str, namespace: str = "", name: str = "") -> None:
        """Take this right from the credentials of the kubeconfig."""
        self.rights.deny(Denial(verb, resource, namespace, name))

    def limit_pods(self, namespace: str, pods: int) -> None:
        """A ResourceQuota, in force."""
        path = f"/api/v1/namespaces/{namespace}/resourcequotas"
        self.api("POST", path, {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": str(pods)}}})
        poll(lambda: self.api("GET", f"{path}/pods").get("status", {}).get("hard"))

    def make_service_account(self, namespace: str, name: str) -> str:
        """A ServiceAccount without rights, in a namespace that is there; its bearer token."""
        return _service_account(self.admin, namespace, name)

    def kubeconfig_of(self, token: str, path: Path) -> Path:
        """A kubeconfig for the holder of this token, written to ``path``."""
        write_kubeconfig(path, self.admin.url, token, authority=self.admin.authority)
        return path

    def requests(self, verb: str = "", *, dry_run: bool | None = None) -> list[Raw]:
        """What ServiceAccounts asked, by the server's own audit log: verb, namespace, name, status, dry_run, user, path; oldest first."""
        lines = (self.folder / "audit.log").read_text().splitlines(keepends=True)
        served = [_audited(json.loads(line)) for line in lines if line.endswith("\n")]
        return [item for item in served if verb in ("", item["verb"]) and dry_run in (None, item["dry_run"])]


def _audited(event: Raw) -> Raw:
    about = event.get("objectRef", {})
    return {
        "verb": event["verb"],
        "resource": about.get("resource", ""),
        "namespace": about.get("namespace", ""),
        "name": about.get("name", ""),
        "status": event.get("responseStatus", {}).get("code"),
        "dry_run": "dryRun=All" in event["requestURI"],
        "user": event["user"]["username"],
        "path": event["requestURI"],
    }


def _service_account(admin: User, namespace: str, name: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    admin.api("POST", path, {"metadata": {"name": name}})
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
    return str(admin.api("POST", f"{path}/{name}/token", asked)["status"]["token"])


@contextmanager
def running_cluster(folder: Path) -> Iterator[RealKube]:
    """A control plane of this folder's own; all of it ends with the context. Skips the test, or fails it with CI=true, where binaries are missing."""
    binaries = assets.required()
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(binaries, _made(folder / "etcd")))
        admin = stack.enter_context(_apiserver(binaries, _made(folder / "apiserver"), etcd.url))
        write_kubeconfig(folder / "admin.kubeconfig", admin.url, admin.token, authority=admin.authority)
        stack.enter_context(_controllers(binaries, _made(folder / "controllers"), folder / "admin.kubeconfig", admin))
        yield stack.enter_context(_arranged(folder, admin))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _arranged(folder: Path, admin: User) -> Iterator[RealKube]:
    admin.api("POST", "/api/v1/namespaces", {"metadata": {"name": HOME}})
    token = _service_account(admin, HOME, HOME)
    user, subject = User(admin.url, token, admin.authority), {"kind": "ServiceAccount", "namespace": HOME, "name": HOME}
    cluster = RealKube(folder, admin, Node(admin), Rights(admin, user, subject))
    cluster.kubeconfig_of(token, cluster.kubeconfig)
    (folder / "audit.log").symlink_to(folder / "apiserver" / "audit.log")
    cluster.node.start()
    try:
        yield cluster
    finally:
        cluster.node.stop()


def _etcd(binaries: Path, folder: Path) -> Any:
    def argv(port: int) -> list[str]:
        url, data = f"http://127.0.0.1:{port}", folder / "data"
        # Nothing of it outlives the test, so it need not be safe on the disk.
        clients = [f"--listen-client-urls={url}", f"--advertise-client-urls={url}", "--listen-peer-urls=http://127.0.0.1:0"]
        return [str(binaries / "etcd"), f"--data-dir={data}", *clients, "--unsafe-no-fsync", "--log-level=warn"]

    return servers.running(argv, folder, is_ready=lambda port: servers.answers(port, "/health"), within=STARTS_WITHIN)


@contextmanager
def _apiserver(binaries: Path, folder: Path, etcd: str) -> Iterator[User]:
    key, certificate = certified(folder)
    (folder / "audit.yaml").write_text(json.dumps(AUDIT))
    (folder / "tokens.csv").write_text(f'{ADMIN},{ADMIN},{ADMIN},"system:masters"\n')
    who = [f"--token-auth-file={folder}/tokens.csv", "--service-account-issuer=https://kubernetes.default.svc"]
    who += [f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}", "--authorization-mode=RBAC"]
    # Off by default until it is v1: a policy that changes objects, without a webhook to serve.
    rules = ["--feature-gates=MutatingAdmissionPolicy=true", "--runtime-config=admissionregistration.k8s.io/v1beta1=true"]
    audit = [f"--audit-policy-file={folder}/audit.yaml", f"--audit-log-path={folder}/audit.log"]
    # A loopback address cannot be the endpoint of the Service `kubernetes`, so nobody keeps that.
    where = ["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", f"--cert-dir={folder}"]
    tls = [f"--tls-private-key-file={key}", f"--tls-cert-file={certificate}"]
    fixed = [str(binaries / "kube-apiserver"), f"--etcd-servers={etcd}", *where, *tls, *who, *audit, *rules, "--enable-priority-and-fairness=false"]
    ready = partial(servers.answers, path="/readyz", trusting=ssl.create_default_context(cafile=certificate))
    with servers.running(lambda port: [*fixed, f"--secure-port={port}"], folder, is_ready=ready, within=STARTS_WITHIN) as server:
        yield User(f"https://127.0.0.1:{server.port}", ADMIN, certificate)


def certified(folder: Path) -> tuple[Path, Path]:
    """A key, which also signs the tokens of ServiceAccounts, and its self-signed certificate for the loopback address."""
    key, certificate = folder / "tls.key", folder / "tls.crt"
    argv = [servers.binary("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kube-apiserver"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    return key, certificate


def _controllers(binaries: Path, folder: Path, kubeconfig: Path, admin: User) -> Any:
    asks = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", f"--controllers={CONTROLLERS}"]
    # A controller slows down after its first requests unless told that it may ask often; many tests at once are not a cluster's usual day.
    pace = ["--kube-api-qps=1000", "--kube-api-burst=1000"]
    argv = [str(binaries / "kube-controller-manager"), *asks, *pace, "--secure-port=0"]

    def runs(_: int) -> bool:
        """It has made the ServiceAccount of a namespace"""
        return admin.send("GET", "/api/v1/namespaces/default/serviceaccounts/default").ok

    return servers.running(lambda _: argv, folder, is_ready=runs, within=STARTS_WITHIN)
