"""The Deployment controller: one ReplicaSet per template, revisions, the rolling update, the history."""

import copy
import hashlib
import json
import math
from datetime import datetime
from typing import Any

from tests.doubles.kube import conditions
from tests.doubles.kube.store import Object, Store, controller_uid

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HASH = "pod-template-hash"
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
}


def sync_deployment(store: Store, deployment: Object, at: datetime) -> None:
    """One pass over one Deployment; many passes make a rollout."""
    spec, observed = deployment["spec"], copy.deepcopy(deployment)
    owned = replicasets_of(store, deployment)
    new = _of_template(owned, spec["template"])
    old = [item for item in owned if new is None or item["metadata"]["uid"] != new["metadata"]["uid"]]
    new = _synced_revision(store, deployment, new, old, at)
    if not spec.get("paused") and new is not None:
        new = _rolled(store, deployment, new, old)
    owned = replicasets_of(store, deployment)
    new = next((item for item in owned if new is not None and item["metadata"]["uid"] == new["metadata"]["uid"]), None)
    conditions.write_status(deployment, observed, owned, new, at)
    if conditions.is_complete(deployment):
        _pruned(store, deployment, [item for item in owned if new is None or item["metadata"]["uid"] != new["metadata"]["uid"]])
    store.put("deployments", deployment)


def replicasets_of(store: Store, deployment: Object) -> list[Object]:
    """The ReplicaSets that it controls, oldest first."""
    uid = deployment["metadata"]["uid"]
    owned = store.find("replicasets", deployment["metadata"]["namespace"], lambda item: controller_uid(item) == uid)
    return sorted(owned, key=lambda item: (item["metadata"]["creationTimestamp"], revision(item)))


def revision(obj: Object) -> int:
    """Its revision annotation; 0 without one."""
    return int(obj["metadata"].get("annotations", {}).get(REVISION, "0"))


def _bare(template: Object) -> Object:
    bare = copy.deepcopy(template)
    bare.get("metadata", {}).get("labels", {}).pop(HASH, None)
    return bare


def _of_template(owned: list[Object], template: Object) -> Object | None:
    return next((item for item in owned if _bare(item["spec"]["template"]) == _bare(template)), None)


def _synced_revision(store: Store, deployment: Object, new: Object | None, old: list[Object], at: datetime) -> Object | None:
    """The ReplicaSet of the template, made where there is none and the Deployment is not paused, numbered one above all others."""
    number = max(map(revision, old), default=0) + 1
    if new is None:
        if deployment["spec"].get("paused"):
            return None
        if deployment["spec"]["strategy"]["type"] == "Recreate" and any(item["status"].get("replicas") for item in old):
            for item in old:
                _scale(store, item, 0)
            return None
        new = _created(store, deployment, number)
        conditions.progressing(deployment, "True", "NewReplicaSetCreated", f'Created new replica set "{new["metadata"]["name"]}"', at)
    else:
        _renumber(store, deployment, new, number)
    deployment["metadata"].setdefault("annotations", {})[REVISION] = str(revision(new))
    return new


def _created(store: Store, deployment: Object, number: int) -> Object:
    meta, spec = deployment["metadata"], deployment["spec"]
    template = _bare(spec["template"])
    digest = hashlib.sha256(json.dumps([template, deployment["status"].get("collisionCount", 0)], sort_keys=True).encode()).hexdigest()
    hashed = digest[:10].translate(str.maketrans("0123aeiou", "bcdfghjkl"))
    template["metadata"].setdefault("labels", {})[HASH] = hashed
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}
    body = {
        "metadata": {
            "name": f"{meta['name']}-{hashed}",
            "labels": template["metadata"]["labels"],
            "annotations": {**_copied(deployment), REVISION: str(number)},
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {**spec["selector"].get("matchLabels", {}), HASH: hashed}},
            **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
            "template": template,
        },
        "status": {"replicas": 0},
    }
    return store.create("replicasets", meta["namespace"], body, "kube-controller-manager")


def _copied(deployment: Object) -> dict[str, str]:
    notes = deployment["metadata"].get("annotations", {})
    return {key: value for key, value in notes.items() if key not in _NOT_COPIED}


def _renumber(store: Store, deployment: Object, new: Object, number: int) -> None:
    """A ReplicaSet in use again gets the next number; the one that it had goes into its history."""
    notes = new["metadata"].setdefault("annotations", {})
    notes.update(_copied(deployment))
    former = revision(new)
    if former < number:
        if former:
            notes[HISTORY] = ",".join(filter(None, [notes.get(HISTORY), str(former)]))
        notes[REVISION] = str(number)
    store.put("replicasets", new)


def _rolled(store: Store, deployment: Object, new: Object, old: list[Object]) -> Object:
    wanted = deployment["spec"]["replicas"]
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        for item in old:
            _scale(store, item, 0)
        gone = not any(item["status"].get("replicas") for item in old)
        return _scale(store, new, wanted) if gone else new
    surge, unavailable = _bounds(deployment)
    room = wanted + surge - sum(item["spec"]["replicas"] for item in [new, *old])
    size = wanted if new["spec"]["replicas"] > wanted else min(wanted, new["spec"]["replicas"] + max(0, room))
    new = _scale(store, new, size)
    _shrink(store, new, old, wanted - unavailable)
    return new


def _shrink(store: Store, new: Object, old: list[Object], least: int) -> None:
    """Old replicas go as far as ``least`` stay available; those that do not serve go first."""
    lacking = new["spec"]["replicas"] - new["status"].get("availableReplicas", 0)
    spare = sum(item["spec"]["replicas"] for item in [new, *old]) - least - lacking
    for item in old:
        idle = item["spec"]["replicas"] - item["status"].get("availableReplicas", 0)
        cut = max(0, min(idle, spare))
        item["spec"]["replicas"] = _scale(store, item, item["spec"]["replicas"] - cut)["spec"]["replicas"]
        spare -= cut
    serving = sum(item["status"].get("availableReplicas", 0) for item in [new, *old]) - least
    for item in old:
        cut = max(0, min(item["spec"]["replicas"], serving))
        _scale(store, item, item["spec"]["replicas"] - cut)
        serving -= cut


def _bounds(deployment: Object) -> tuple[int, int]:
    rolling, wanted = deployment["spec"]["strategy"]["rollingUpdate"], deployment["spec"]["replicas"]
    surge = _count(rolling["maxSurge"], wanted, math.ceil)
    unavailable = _count(rolling["maxUnavailable"], wanted, math.floor)
    return surge, min(wanted, unavailable) if surge or unavailable else 1


def _count(value: Any, wanted: int, rounded: Any) -> int:
    return int(rounded(wanted * int(value[:-1]) / 100)) if isinstance(value, str) else int(value)


def _scale(store: Store, replicaset: Object, size: int) -> Object:
    namespace, name = replicaset["metadata"]["namespace"], replicaset["metadata"]["name"]
    current = store.get("replicasets", namespace, name)
    if current["spec"]["replicas"] != size:
        current["spec"]["replicas"] = size
        current["metadata"]["generation"] += 1
        store.put("replicasets", current)
    return current


def _pruned(store: Store, deployment: Object, old: list[Object]) -> None:
    idle = [item for item in sorted(old, key=revision) if not item["spec"]["replicas"] and not item["status"].get("replicas")]
    for item in idle[: max(0, len(old) - deployment["spec"]["revisionHistoryLimit"])]:
        store.delete("replicasets", item["metadata"]["namespace"], item["metadata"]["name"])
