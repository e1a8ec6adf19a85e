"""A small Kubernetes of our own: written from the API's documented behaviour, run in a process of its own.

It knows Deployments, ReplicaSets, Pods, Namespaces and SelfSubjectAccessReviews; JSON Patch and merge patch; dry runs, managed fields,
resource versions and generations; the Deployment and ReplicaSet controllers; pods that serve, never serve, crash or find no image.
Server-side apply only of JSON to what is there. It has no watch, no strategic merge, no admission and no finalizers.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.doubles.kube.faults import Kind
from tests.doubles.kube.pods import Behaviour

ROOT = Path(__file__).parents[3]
TOKEN = "double-token"


@dataclass(frozen=True)
class KubeDouble:
    """A running double: its address, a kubeconfig that reaches it, and the means to arrange its world."""

    url: str
    kubeconfig: Path
    token: str = TOKEN
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def api(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", manager: str = "kubectl") -> dict[str, Any]:
        """One API request as a person's tool would send it; raises on any failure."""
        reply = self.send(method, path, body, content_type=content_type, **({} if method == "GET" else {"fieldManager": manager}))
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text}")
        answer: dict[str, Any] = reply.json()
        return answer

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str) -> requests.Response:
        """The answer, whatever it is. ``body``: bytes, or what becomes JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type, "User-Agent": "test-arrangement"}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.session.request(method, self.url + path, **content, headers=headers, params=query, timeout=60)

    def control(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request to /_double/."""
        reply = self.session.request(method, f"{self.url}/_double/{path}", json=body, timeout=60)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def make_namespace(self, name: str) -> None:
        """A namespace."""
        self.api("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def empty_namespace(self, name: str) -> None:
        """The namespace is gone, with all that ran in it."""
        self.api("DELETE", f"/api/v1/namespaces/{name}")

    def image_behaves(self, image: str, behaviour: Behaviour) -> None:
        """Pods with this image serve ('ready', the default), run without ever serving ('unready'), or find no image ('missing').

        Or they crash: time and again ('crash'), or so far only twice ('stumble').
        """
        self.control("POST", "images", {"image": image, "behaviour": behaviour})

    def deny(self, verb: str, resource: str, namespace: str = "", name: str = "") -> None:
        """Take a right away; '' is any."""
        self.control("POST", "deny", {"verb": verb, "resource": resource, "namespace": namespace, "name": name})

    def fault(self, kind: Kind, **conditions: Any) -> None:
        """The next matching request meets this fault (see faults.Fault)."""
        self.control("POST", "faults", {"kind": kind, **conditions})

    def clear_faults(self) -> None:
        """Nobody meets a fault that was asked for and not met yet."""
        self.control("DELETE", "faults")

    def run_controllers(self, run: bool) -> None:
        """Stop or start the Deployment controller; pods and ReplicaSets go on."""
        self.control("POST", "controllers", {"run": run})

    def limit_pods(self, namespace: str, pods: int) -> None:
        """A quota: no pod beyond this number is made in the namespace."""
        self.control("POST", "quota", {"namespace": namespace, "pods": pods})

    def serve_after(self, seconds: float) -> None:
        """How long a pod takes to serve."""
        self.control("POST", "ready_after", {"seconds": seconds})

    def accept_token(self, token: str) -> None:
        """Rotate the token: the former one is refused from now on."""
        self.control("POST", "token", {"token": token})

    def requests(self, verb: str = "", *, dry_run: bool | None = None, namespace: str = "") -> list[dict[str, Any]]:
        """The API requests [of this namespace] served since the last ``forget``, those of test arrangements left out."""
        served = [item for item in self.control("GET", f"requests/{namespace}")["requests"] if item["user_agent"] != "test-arrangement"]
        return [item for item in served if verb in ("", item["verb"]) and dry_run in (None, item["dry_run"])]

    def forget(self) -> None:
        """Empty the request log."""
        self.control("DELETE", "requests")

    def reset(self) -> None:
        """As freshly started."""
        self.control("POST", "reset")


def write_kubeconfig(path: Path, url: str, token: str, *, authority: Path | None = None) -> None:
    """A kubeconfig with one cluster, one user with a bearer token, one context: ``test``."""
    cluster = {"server": url, **({"certificate-authority": str(authority)} if authority else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "rollbackd", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "rollbackd"}}],
    }
    path.write_text(yaml.safe_dump(config))


@contextmanager
def running_double(folder: Path, *, port: int = 0, token: str = TOKEN, certificate: Path | None = None) -> Iterator[KubeDouble]:
    """A double in a process of its own, listening; its kubeconfig lies in ``folder``. It ends with the context.

    ``certificate``: a PEM file with a self-signed certificate for 127.0.0.1 and its key; the double speaks TLS with it, and the kubeconfig trusts it.
    """
    argv = [sys.executable, "-m", "tests.doubles.kube", "--port", str(port), "--token", token]
    argv += ["--certificate", str(certificate)] if certificate else []
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if "://127.0.0.1:" not in url:
                raise RuntimeError(f"the Kubernetes double did not start (exit code {process.poll()})")
            kubeconfig = folder / "kubeconfig.yaml"
            write_kubeconfig(kubeconfig, url, token, authority=certificate)
            with requests.Session() as session:
                # The environment may name a CA bundle or a proxy; neither is for loopback.
                session.trust_env = False
                session.verify = str(certificate) if certificate else True
                yield KubeDouble(url, kubeconfig, token, session)
        finally:
            process.kill()


__all__ = ["Behaviour", "Kind", "KubeDouble", "running_double", "write_kubeconfig"]
