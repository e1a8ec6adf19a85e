"""The ReplicaSet controller and the node agent: pods appear, pull, start, serve or fail."""

import copy
import hashlib
import random
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tests.doubles.kube.store import Object, Store, controller_uid, stamp

Behaviour = Literal["ready", "unready", "crash", "stumble", "missing", "throttled"]

_WAITING = {
    "missing": ("ImagePullBackOff", 'Back-off pulling image "{image}": ErrImagePull: {image}: not found'),
    "throttled": ("ImagePullBackOff", 'Back-off pulling image "{image}": ErrImagePull: unexpected status code 429 Too Many Requests'),
    "crash": ("CrashLoopBackOff", "back-off 40s restarting failed container={name}"),
    "stumble": ("CrashLoopBackOff", "back-off 20s restarting failed container={name}"),
}
_RESTARTS = {"crash": 3, "stumble": 2}


@dataclass
class World:
    """How images behave, how long pods take to serve, and how many pods a namespace may hold."""

    ready_after: timedelta = timedelta(milliseconds=20)
    images: dict[str, Behaviour] = field(default_factory=dict)
    quota: dict[str, int] = field(default_factory=dict)
    born: dict[str, datetime] = field(default_factory=dict)

    def reset(self) -> None:
        self.images.clear()
        self.quota.clear()
        self.born.clear()


def sync_replicaset(store: Store, world: World, replicaset: Object, at: datetime) -> None:
    """One more step towards ``spec.replicas`` pods; the status says what is there."""
    namespace = replicaset["metadata"]["namespace"]
    pods = pods_of(store, replicaset)
    refusal = ""
    for _ in range(replicaset["spec"]["replicas"] - len(pods)):
        held = len(store.find("pods", namespace))
        if held >= world.quota.get(namespace, held + 1):
            refusal = f"pods are forbidden: exceeded quota: pods, requested: pods=1, used: pods={held}, limited: pods={world.quota[namespace]}"
            break
        made = store.create("pods", namespace, _pod(replicaset), "kube-controller-manager")
        world.born[made["metadata"]["uid"]] = at
    for pod in sorted(pods, key=_is_ready)[: max(0, len(pods) - replicaset["spec"]["replicas"])]:
        store.delete("pods", namespace, pod["metadata"]["name"])
    _write_status(store, replicaset, refusal, at)


def pods_of(store: Store, replicaset: Object) -> list[Object]:
    """The pods that it controls."""
    uid = replicaset["metadata"]["uid"]
    return store.find("pods", replicaset["metadata"]["namespace"], lambda pod: controller_uid(pod) == uid)


def _write_status(store: Store, replicaset: Object, refusal: str, at: datetime) -> None:
    pods = pods_of(store, replicaset)
    patience = timedelta(seconds=replicaset["spec"].get("minReadySeconds", 0))
    counts = {
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": sum(map(_is_ready, pods)),
        "availableReplicas": sum(_is_ready(pod) and _ready_since(pod) + patience <= at for pod in pods),
    }
    status: dict[str, Any] = {"replicas": len(pods), "observedGeneration": replicaset["metadata"]["generation"]}
    status.update({name: count for name, count in counts.items() if count})
    if refusal:
        status["conditions"] = [_failure(replicaset, refusal, at)]
    store.put("replicasets", {**replicaset, "status": status})


def _failure(replicaset: Object, message: str, at: datetime) -> dict[str, Any]:
    former = next(iter(replicaset.get("status", {}).get("conditions", [])), None)
    since = former["lastTransitionTime"] if former else stamp(at)
    return {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message, "lastTransitionTime": since}


def _pod(replicaset: Object) -> Object:
    template, meta = copy.deepcopy(replicaset["spec"]["template"]), replicaset["metadata"]
    suffix = "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": meta["name"], "uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}
    labels, notes = template["metadata"].get("labels", {}), template["metadata"].get("annotations")
    metadata = {"name": f"{meta['name']}-{suffix}", "labels": labels, "ownerReferences": [owner]}
    return {"metadata": {**metadata, **({"annotations": notes} if notes else {})}, "spec": template["spec"], "status": {"phase": "Pending"}}


def run_node(store: Store, world: World, at: datetime) -> None:
    """Every pod's status as its containers' images behave, ``ready_after`` its creation."""
    for pod in store.find("pods"):
        if world.born.setdefault(pod["metadata"]["uid"], at) + world.ready_after > at:
            continue
        store.put("pods", {**pod, "status": status_of(world, pod, at)})


def status_of(world: World, pod: Object, at: datetime) -> dict[str, Any]:
    """The pod's status as its containers' images behave; what has not changed keeps its time."""
    containers = [_container(world, container) for container in pod["spec"]["containers"]]
    ready = all(container["ready"] for container in containers)
    # A container that crashes has run, so its pod is past Pending; one without an image has not.
    running = all(container["imageID"] for container in containers)
    started = pod["status"].get("startTime", stamp(at))
    for container in containers:
        if "running" in container["state"]:
            container["state"] = {"running": {"startedAt": started}}
    conditions = [_condition(pod, "Ready", ready, at), _condition(pod, "ContainersReady", ready, at), _condition(pod, "PodScheduled", True, at)]
    phase = "Running" if running else "Pending"
    address = {"podIP": _address(pod["metadata"]["uid"])} if running else {}
    return {"phase": phase, "startTime": started, "conditions": conditions, "containerStatuses": containers, **address}


def _address(uid: str) -> str:
    """A loopback address of the pod's own: tests may listen there."""
    number = zlib.crc32(uid.encode())
    return f"127.1.{number >> 8 & 255}.{1 + number % 254}"


def _container(world: World, container: dict[str, Any]) -> dict[str, Any]:
    image, name = container["image"], container["name"]
    behaviour = world.images.get(image, "ready")
    status: dict[str, Any] = {"name": name, "image": image, "imageID": "", "ready": behaviour == "ready", "started": behaviour == "ready"}
    status["restartCount"] = _RESTARTS.get(behaviour, 0)
    if behaviour not in ("missing", "throttled"):
        status["imageID"] = f"{image.split('@')[0].rsplit(':', 1)[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"
    if behaviour in _WAITING:
        reason, message = _WAITING[behaviour]
        return {**status, "state": {"waiting": {"reason": reason, "message": message.format(image=image, name=name)}}}
    return {**status, "state": {"running": {}}}


def _condition(pod: Object, kind: str, holds: bool, at: datetime) -> dict[str, Any]:
    status = "True" if holds else "False"
    former = next((condition for condition in pod["status"].get("conditions", []) if condition["type"] == kind), None)
    since = former["lastTransitionTime"] if former and former["status"] == status else stamp(at)
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}


def _is_ready(pod: Object) -> bool:
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in pod["status"].get("conditions", []))


def _ready_since(pod: Object) -> datetime:
    since = next(condition["lastTransitionTime"] for condition in pod["status"]["conditions"] if condition["type"] == "Ready")
    return datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
