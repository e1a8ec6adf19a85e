"""Deployments ``checkout`` on the Kubernetes double or a real cluster, and the metrics of their pods: what runs there decides what is measured.

A pod's image names its symptom. Series are of the shapes that the profile prometheus-client knows: what a client library, the kubelet and the
scrape's own labels make of one pod. ``edge_requests_total{app}`` is what a load balancer in front of each would count: it has no pods to lose.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollbackd.adapters.kubernetes import Kubernetes
from tests.doubles.kube import KubeDouble, running_double
from tests.doubles.kube.stage import Stage
from tests.e2e.daemon import Daemon, Entry, kinds
from tests.exposition import Loopback, Reply, Request, serving
from tests.kube import RealKube
from tests.servers import poll

REQUESTS_PER_SECOND = 40.0
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those of the Python client library."""
LIMIT_BYTES = 512 * 1024 * 1024
CONTENT_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


@dataclass(frozen=True)
class Symptom:
    """How a pod fares: shares of its requests that fail and that take 4 s, of its memory in use, time-outs for a database connection a second."""

    failing: float = 0.0
    slow: float = 0.0
    memory: float = 0.4
    timeouts: float = 0.0


SYMPTOMS: Mapping[str, Symptom] = {
    "shop:errors": Symptom(failing=0.3),
    "shop:errors-too": Symptom(failing=0.3),
    "shop:slow": Symptom(slow=0.3),
    "shop:leak": Symptom(memory=0.99),
    "shop:no-database": Symptom(timeouts=10.0),
}
"""Pods with any other image are well."""


@dataclass
class Totals:
    """Counters of one pod, or of one load balancer, since its birth."""

    requests: float = 0.0
    failed: float = 0.0
    slow: float = 0.0
    timeouts: float = 0.0

    def grow(self, symptom: Symptom, seconds: float) -> None:
        """So many more seconds of traffic."""
        requests = REQUESTS_PER_SECOND * seconds
        self.requests += requests
        self.failed += requests * symptom.failing
        self.slow += requests * symptom.slow
        self.timeouts += symptom.timeouts * seconds


@dataclass
class Fleet:
    """The page of metrics for every pod that serves. ``edge``: the share of requests that a load balancer sees fail, by app."""

    double: KubeDouble | RealKube
    edge: dict[str, float] = field(default_factory=dict)
    symptoms: dict[str, Symptom] = field(default_factory=lambda: dict(SYMPTOMS))
    _totals: dict[str, Totals] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self) -> str:
        """What the pods that serve expose at this moment."""
        with self._lock:
            now = time.monotonic()
            seconds, self._last = now - self._last, now
            lines = [line for pod in self._serving() for line in self._pod(pod, seconds)]
            lines += [line for app, failing in self.edge.items() for line in self._edge(app, failing, seconds)]
        return "\n".join([*lines, ""])

    def _serving(self) -> list[dict[str, Any]]:
        pods = self.double.api("GET", "/api/v1/pods")["items"]
        return [pod for pod in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))]

    def _pod(self, pod: dict[str, Any], seconds: float) -> Iterator[str]:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        symptom = self.symptoms.get(pod["spec"]["containers"][0]["image"], Symptom())
        totals = self._grown(f"{namespace}/{name}", symptom, seconds)
        return _series(f'namespace="{namespace}",pod="{name}"', totals, symptom)

    def _edge(self, app: str, failing: float, seconds: float) -> Iterator[str]:
        totals = self._grown(f"edge/{app}", Symptom(failing=failing), seconds)
        yield f'edge_requests_total{{app="{app}",code="200"}} {totals.requests - totals.failed:.0f}'
        yield f'edge_requests_total{{app="{app}",code="500"}} {totals.failed:.0f}'

    def _grown(self, key: str, symptom: Symptom, seconds: float) -> Totals:
        totals = self._totals.get(key)
        if totals is None:
            totals = self._totals[key] = Totals()
        else:
            totals.grow(symptom, seconds)
        return totals


def _series(labels: str, totals: Totals, symptom: Symptom) -> Iterator[str]:
    yield f'http_requests_total{{{labels},code="200"}} {totals.requests - totals.failed:.0f}'
    if totals.failed:  # a label value is born at its first event
        yield f'http_requests_total{{{labels},code="500"}} {totals.failed:.0f}'
    for bound in BUCKETS:
        # The fast ones take 80 ms, the slow ones 4 s.
        within = (totals.requests - totals.slow if bound >= 0.1 else 0.0) + (totals.slow if bound >= 5.0 else 0.0)
        yield f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {within:.0f}'
    yield f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}} {totals.requests:.0f}'
    yield f"db_client_connection_timeouts_total{{{labels}}} {totals.timeouts:.0f}"
    for container, used, limit in (("", symptom.memory, LIMIT_BYTES), ("POD", 0.001, 0), ("web", symptom.memory, LIMIT_BYTES)):
        yield f'container_memory_working_set_bytes{{{labels},container="{container}"}} {used * LIMIT_BYTES:.0f}'
        yield f'container_spec_memory_limit_bytes{{{labels},container="{container}"}} {limit}'


@dataclass
class Shop:
    """The Deployment ``checkout`` of one namespace, under the watch of the policy that is named after the namespace."""

    daemon: Daemon
    double: KubeDouble | RealKube
    namespace: str

    @property
    def target(self) -> str:
        """Its key."""
        return f"kubernetes:test/{self.namespace}/deployment/checkout"

    @property
    def stage(self) -> Stage:
        """What other writers do to it."""
        return Stage(self.double, Kubernetes({}), self.namespace)

    def open(self, **deploy: Any) -> None:
        """Version 1 runs, the daemon has seen it, and it is declared good."""
        self.deploy(**deploy)
        poll(lambda: self.revision)
        self.declare_good()

    def deploy(self, image: str = "shop:1", **deploy: Any) -> None:
        """Version 1 runs, in a namespace of its own."""
        self.double.make_namespace(self.namespace)
        self.stage.deploy(image, **deploy)

    def declare_good(self) -> None:
        """What runs now is known to be good."""
        self.daemon.api.post("good", target=self.target, revision=self.revision, who="a test")

    @property
    def revision(self) -> str | None:
        """What the daemon sees running."""
        revision: str | None = self.daemon.policy(self.namespace).get("revision")
        return revision

    @property
    def image(self) -> str:
        """What is to run now, as the API server has it."""
        return str(self.stage.deployment()["spec"]["template"]["spec"]["containers"][0]["image"])

    def writes(self) -> list[int | None]:
        """The answers to every patch that was no dry run; None where none was given."""
        return [item["status"] for item in self.double.requests("patch", dry_run=False) if item["namespace"] == self.namespace]

    def held(self, *, within: float = 30.0) -> dict[str, Any]:
        """The guard and the reason by which its incident came to be held."""
        body: dict[str, Any] = self.daemon.wait_for(self.target, "incident.held", within=within)["body"]
        return body

    def closed(self, *, within: float = 30.0) -> dict[str, Any]:
        """How its incident was closed."""
        body: dict[str, Any] = self.daemon.wait_for(self.target, "incident.closed", within=within)["body"]
        return body

    def kinds(self) -> list[str]:
        """The rows of its incident, oldest first."""
        return [kind for kind in kinds(self.daemon.history(self.target)) if kind.partition(".")[0] in ("incident", "rung")]


def ended(*shops: Shop, within: float = 60.0) -> list[list[Entry]]:
    """Every row of each, once all see the same revision again, one at least has closed an incident and none has one open.

    Of daemons that share nothing, one may put the release back before the other has proof of anything: that one opens no incident at all.
    """
    good = [rows[0]["body"]["revision"] for rows in (shop.daemon.rows(shop.target, "target.good") for shop in shops)]

    def have_ended() -> bool:
        """All is as before, and no incident is open"""
        opened, closed = ([len(shop.daemon.rows(shop.target, f"incident.{word}")) for shop in shops] for word in ("opened", "closed"))
        return any(closed) and opened == closed and [shop.revision for shop in shops] == good

    poll(have_ended, within=within, every=0.2)
    return [shop.daemon.history(shop.target) for shop in shops]


@contextmanager
def double_in(folder: Path) -> Iterator[KubeDouble]:
    """A Kubernetes double of this folder's own."""
    with running_double(folder) as double:
        yield double


@contextmanager
def exposed(fleet: Fleet) -> Iterator[Loopback]:
    """The fleet's page, served."""

    def reply(_: Request) -> Reply:
        return Reply(body=fleet.page().encode(), headers=CONTENT_TYPE)

    with serving(reply) as server:
        yield server


__all__ = ["Fleet", "Shop", "Symptom", "double_in", "ended", "exposed"]
