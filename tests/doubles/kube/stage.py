"""What the Kubernetes tests stand on: one namespace of any cluster that can be arranged, and a Deployment ``checkout`` in it."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import requests

from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Sight, Standing, TargetState
from rollbackd.adapters.kubernetes import Kubernetes
from tests.doubles.kube.pods import Behaviour

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATIENCE = timedelta(seconds=60)
Seen = TypeVar("Seen")


class World(Protocol):
    """A cluster that a test can arrange: the double, or a real API server whose fixture plays the node agent."""

    @property
    def kubeconfig(self) -> Path: ...

    def api(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", manager: str = "kubectl") -> dict[str, Any]:
        """One request of another writer, with all rights."""

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str) -> requests.Response:
        """The same, whatever the answer is. ``body``: bytes, or what becomes JSON."""

    def make_namespace(self, name: str) -> None:
        """A namespace in which pods can be made and the credentials of the kubeconfig have their rights."""

    def empty_namespace(self, name: str) -> None:
        """Nothing runs in it any more, soon."""

    def image_behaves(self, image: str, behaviour: Behaviour) -> None:
        """How pods with this image fare; without a word they serve."""

    def deny(self, verb: str, resource: str, namespace: str = "", name: str = "") -> None:
        """Take this right from the credentials of the kubeconfig."""

    def limit_pods(self, namespace: str, pods: int) -> None:
        """No pod beyond this number is made in the namespace."""


@dataclass
class Stage:
    """``checkout`` in a namespace of its own, seen by us through ``target`` and changed by others through the methods here."""

    world: World
    target: Kubernetes
    namespace: str

    @property
    def key(self) -> str:
        return self.key_of("checkout")

    def key_of(self, name: str) -> str:
        return f"kubernetes:test/{self.namespace}/deployment/{name}"

    def path(self, resource: str = "deployments", name: str = "") -> str:
        return f"{'/api/v1' if resource == 'pods' else '/apis/apps/v1'}/namespaces/{self.namespace}/{resource}{'/' if name else ''}{name}"

    def deploy(
        self, image: str = "shop:1", *, name: str = "checkout", metadata: Any = None, container: Any = None, settled: bool = True, **spec: Any
    ) -> None:
        """Others create it, two replicas unless told otherwise."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image, **(container or {})}]}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, **(metadata or {})},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, **spec},
        }
        self.world.api("POST", self.path(), body)
        if settled:
            self.settle(name)

    def release(self, image: str, name: str = "checkout", *, manager: str = "kubectl", settled: bool = True) -> None:
        """Others change the image."""
        self.patch({"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}, name=name, manager=manager)
        if settled:
            self.settle(name)

    def patch(self, *operations: dict[str, Any], name: str = "checkout", manager: str = "kubectl") -> None:
        """Others send a JSON Patch."""
        self.world.api("PATCH", self.path(name=name), list(operations), content_type=JSON_PATCH, manager=manager)

    def apply(self, image: str, *, manager: str, force: bool = False) -> requests.Response:
        """Others apply another image server-side; the answer, whatever it is."""
        template = {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
        spec = {"selector": {"matchLabels": {"app": "checkout"}}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "checkout", "namespace": self.namespace}, "spec": spec}
        query = {"fieldManager": manager, **({"force": "true"} if force else {})}
        return self.world.send("PATCH", self.path(name="checkout"), body, content_type=APPLY_PATCH, **query)

    def job(self, name: str, image: str = "shop:2", **spec: Any) -> None:
        """Others run a Job; a suspended one does not begin."""
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}}
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        self.world.api("POST", path, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}})
        if not spec.get("suspend"):
            until(lambda: self.world.api("GET", f"{path}/{name}").get("status", {}), lambda status: bool(status.get("startTime")))

    def end_job(self, name: str) -> None:
        """Others delete it, and its pods with it."""
        self.world.api("DELETE", f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{name}?propagationPolicy=Background")

    def merge(self, body: dict[str, Any], name: str = "checkout") -> None:
        """Others send a merge patch."""
        self.world.api("PATCH", self.path(name=name), body, content_type=MERGE_PATCH)

    def delete(self, resource: str = "deployments", name: str = "checkout") -> None:
        """Others delete it."""
        self.world.api("DELETE", self.path(resource, name))

    def deployment(self, name: str = "checkout") -> dict[str, Any]:
        """As it is stored."""
        return self.world.api("GET", self.path(name=name))

    def replicasets(self) -> list[dict[str, Any]]:
        """All of the namespace."""
        items: list[dict[str, Any]] = self.world.api("GET", self.path("replicasets"))["items"]
        return items

    def settle(self, name: str = "checkout") -> None:
        """Wait until its rollout is complete and its former pods are gone: nothing writes to it any more."""

        def complete() -> bool:
            seen = self.deployment(name)
            status, wanted = seen.get("status", {}), seen["spec"]["replicas"]
            counts = [status.get(count, 0) for count in ("updatedReplicas", "replicas", "availableReplicas")]
            leaving = status.get("terminatingReplicas", 0)
            return status.get("observedGeneration", 0) >= seen["metadata"]["generation"] and counts == [wanted] * 3 and not leaving

        until(complete, bool)

    def state(self, name: str = "checkout") -> TargetState:
        """Our survey of it, once its generation is observed."""
        key = self.key_of(name)
        seen = until(lambda: self.target.survey([key])[key], lambda item: isinstance(item, TargetState))
        assert isinstance(seen, TargetState)
        return seen

    def request(self, *candidates: str, incident: str = "inc-1") -> PlanRequest:
        """A revert of what runs now to the best of ``candidates``."""
        return PlanRequest(self.key, incident, self.state().revision, candidates)

    def plan(self, *candidates: str) -> Plan:
        """The plan of that revert."""
        plan = self.target.plan(self.request(*candidates))
        assert isinstance(plan, Plan)
        return plan

    def broken(self, image: str = "shop:2", **deploy: Any) -> str:
        """Version 1 has run, version 2 runs; the revision of version 1."""
        self.deploy(**deploy)
        good = self.state().revision
        self.release(image)
        return good

    def sight(self, intent: Intent, *standings: Standing) -> Sight:
        """Our look, once it shows one of these standings."""
        return until(lambda: self.target.look(intent), lambda sight: sight.standing in standings)


def until(read: Callable[[], Seen], holds: Callable[[Seen], bool]) -> Seen:
    """The first reading that holds; fails with the last one when patience ends."""
    ends = time.monotonic() + PATIENCE.total_seconds()
    while not holds(seen := read()):
        assert time.monotonic() < ends, f"still {seen}"
        time.sleep(0.02)
    return seen


@contextmanager
def stage_in(world: World, target: Kubernetes) -> Iterator[Stage]:
    """A stage in a new namespace of this cluster; what runs there goes with it."""
    namespace = f"shop-{uuid.uuid4().hex[:8]}"
    world.make_namespace(namespace)
    try:
        yield Stage(world, target, namespace)
    finally:
        world.empty_namespace(namespace)
        target.close()
