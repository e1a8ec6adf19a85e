"""How Deployments stand now: one list per namespace where several are asked for, one read where it is one."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.target import Interval, Json, Sides, TargetState
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.kubernetes.failures import Gone
from rollbackd.adapters.kubernetes.objects import Raw
from rollbackd.adapters.kubernetes.place import Place
from rollbackd.adapters.kubernetes.progress import progress

OLDER = 2
"""Of so many revisions before it pods may have served beside it."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment with the ReplicaSets that it controls, and the one that is to run now (None before it is made)."""

    place: Place
    deployment: Raw
    replicasets: tuple[Raw, ...]
    current: Raw | None

    @property
    def change_id(self) -> str | None:
        """The uid with the revision number, where a ReplicaSet carries this number."""
        if self.current is None:
            return None
        return f"{self.deployment['metadata']['uid']}:{objects.number(self.current)}"


def rollouts(cluster: Cluster, namespace: str, places: Sequence[Place]) -> dict[Place, Rollout | AdapterError]:
    """Each place of this namespace as it is stored. Raises what keeps all of them from being read."""
    if len(places) == 1:
        deployment = cluster.deployment(places[0])
        return {places[0]: _rollout(places[0], deployment, cluster.find("replicasets", namespace, objects.selector(deployment)))}
    deployments = {item["metadata"]["name"]: item for item in cluster.find("deployments", namespace)}
    by_owner: dict[str, list[Raw]] = {}
    for item in cluster.find("replicasets", namespace):
        by_owner.setdefault((objects.controller(item) or {}).get("uid", ""), []).append(item)
    found: dict[Place, Rollout | AdapterError] = {}
    for place in places:
        if (stored := deployments.get(place.name)) is None:
            found[place] = Gone(f"{place} does not exist.")
        else:
            found[place] = _rollout(place, stored, by_owner.get(stored["metadata"]["uid"], []))
    return found


def _rollout(place: Place, deployment: Raw, replicasets: Iterable[Raw]) -> Rollout | AdapterError:
    if not objects.is_observed(deployment):
        generation = deployment["metadata"].get("generation")
        return Transient(f"{place}: its controller has not observed generation {generation} yet; what is known of it stays as it was.")
    mine = objects.owned(deployment, replicasets)
    current = objects.of_template(mine, objects.digest(deployment["spec"]["template"]))
    if deployment["spec"].get("paused") and (current is None or not _has_pods(current)):
        # An edit of a paused Deployment runs nowhere yet, be it to a new version or back to an old one: what runs has pods.
        current = next((item for item in mine if _has_pods(item)), current or next(iter(mine), None))
    return Rollout(place, deployment, tuple(mine), current)


def _has_pods(replicaset: Raw) -> bool:
    return bool(replicaset.get("status", {}).get("replicas"))


def awaits_first_sight(rollout: Rollout) -> bool:
    """Whether its ReplicaSet serves, so that its pods can tell since when."""
    return rollout.current is not None and rollout.current.get("status", {}).get("readyReplicas", 0) > 0


def first_ready(cluster: Cluster, namespace: str, serving: Sequence[Rollout]) -> dict[Place, datetime]:
    """When the first pod of each that is ready now became so: a good answer while the rollout is young, and the best that the cluster keeps."""
    current = [(rollout.place, rollout.current["metadata"]) for rollout in serving if rollout.current is not None]
    by_uid = {meta["uid"]: place for place, meta in current}
    hashes = sorted(str((meta.get("labels") or {}).get(objects.HASH, "")) for _, meta in current)
    # A URL has its limits: beyond some hundreds, all pods of Deployments are fewer bytes than their hashes.
    chosen = f"{objects.HASH} in ({','.join(hashes)})" if len(hashes) <= 200 else objects.HASH
    earliest: dict[Place, datetime] = {}
    for pod in cluster.find("pods", namespace, chosen):
        place = by_uid.get((objects.controller(pod) or {}).get("uid", ""))
        ready = objects.condition(pod, "Ready")
        # The API lets a condition be without its time: others of its pods may have theirs.
        if place is not None and ready.get("status") == "True" and ready.get("lastTransitionTime"):
            since = objects.moment(ready["lastTransitionTime"])
            earliest[place] = min(since, earliest.get(place, since))
    return earliest


def state(rollout: Rollout, ready: datetime | None) -> TargetState:
    """The rollout in the words of the contract."""
    deployment, current = rollout.deployment, rollout.current
    template = current["spec"]["template"] if current is not None else deployment["spec"]["template"]
    revision = objects.digest(template)
    return TargetState(
        key=rollout.place.key,
        revision=revision,
        change_id=rollout.change_id,
        started=_started(current),
        ready=ready,
        has_readiness=True,
        stuck=objects.stall(deployment, current) or objects.refusal_of_pods(deployment),
        parts=_parts(template),
        writer=_writer(deployment, current, revision),
        progress=progress(deployment, current, ready),
        sides=_sides(rollout),
        past_sides=_past_sides(rollout),
        irreversible=objects.notes(deployment).get(objects.IRREVERSIBLE) or _template_notes(template).get(objects.IRREVERSIBLE),
    )


def _sides(rollout: Rollout) -> Sides | None:
    """Pods are named after their ReplicaSet, so its name tells which revision they are of."""
    serving = [str(item["metadata"]["name"]) for item in rollout.replicasets if item.get("status", {}).get("readyReplicas", 0) > 0]
    new = rollout.current["metadata"]["name"] if rollout.current is not None else None
    old = tuple(sorted(name for name in serving if name != new))
    return Sides(str(new), old) if new in serving and old else None


def _past_sides(rollout: Rollout) -> Sides | None:
    """Those of the newest ReplicaSets before it; one that is kept for a later undo serves no more."""
    if rollout.current is None:
        return None
    older = [item for item in rollout.replicasets if item is not rollout.current]
    names = [str(item["metadata"]["name"]) for item in sorted(older, key=objects.number, reverse=True)[:OLDER]]
    return Sides(str(rollout.current["metadata"]["name"]), tuple(names)) if names else None


def _started(current: Raw | None) -> Interval | None:
    """The creation of the ReplicaSet; unknown for one that is in use again: it is as old as its first use."""
    if current is None or objects.HISTORY in objects.notes(current):
        return None
    created = objects.moment(current["metadata"]["creationTimestamp"])
    return Interval(created, created)


def _writer(deployment: Raw, current: Raw | None, revision: str) -> str | None:
    """Us, where the mark is of this very rollout: it outlives ours, and comes back with ``kubectl rollout undo``."""
    marks = objects.notes(deployment)
    if current is not None and (marks.get(objects.WRITTEN), marks.get(objects.ROLLOUT)) == (revision, str(objects.number(current))):
        return f"rollbackd:{marks.get(objects.INCIDENT)}"
    return objects.writer_of_template(deployment)


def _parts(template: Raw) -> dict[str, Json]:
    """Images by container; of annotations only whether they are the same, as nobody promised that their values are no secrets."""
    images: dict[str, Json] = {f"image {name}": image for name, image in objects.images(template).items()}
    notes = {key: value for key, value in _template_notes(template).items() if not key.startswith(objects.OURS)}
    return images | {f"annotation {key}": hashlib.sha256(str(value).encode()).hexdigest()[:12] for key, value in sorted(notes.items())}


def _template_notes(template: Raw) -> dict[str, str]:
    return (template.get("metadata") or {}).get("annotations") or {}
