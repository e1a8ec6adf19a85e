"""Where a Deployment stands relative to an intent: complete only when its own pods prove it."""

from rollbackd.adapters.base.target import Intent, Sight, Standing
from rollbackd.adapters.kubernetes import objects, starting
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.kubernetes.failures import Gone
from rollbackd.adapters.kubernetes.objects import Raw
from rollbackd.adapters.kubernetes.place import Place


def look(cluster: Cluster, place: Place, intent: Intent) -> Sight:
    """See Target.look. A Deployment that is gone, or another of the same name, is ELSEWHERE."""
    try:
        deployment = cluster.deployment(place)
    except Gone:
        return Sight(Standing.ELSEWHERE, f"{place} is gone: another writer deleted it", "", ours=None)
    live = objects.digest(deployment["spec"]["template"])
    if deployment["metadata"]["uid"] != intent.record.get("uid", deployment["metadata"]["uid"]):
        return Sight(Standing.ELSEWHERE, f"{place} was deleted and made anew by another writer", live, ours=False)
    ours = objects.is_ours(deployment, intent.incident, intent.to_revision)
    if live == intent.to_revision:
        standing, reason = _progress(cluster, place, deployment, live)
        return Sight(standing, reason, live, ours)
    writer = objects.writer_of_template(deployment) or "unknown"
    if live != intent.from_revision:
        return Sight(Standing.ELSEWHERE, f"another writer ({writer}) has put {live} there", live, ours=False)
    if ours:
        return Sight(Standing.ELSEWHERE, f"reverted by us, and {live} was put back by another writer ({writer})", live, ours=False)
    return Sight(Standing.BEFORE, f"still at {live}", live, ours=False)


def _progress(cluster: Cluster, place: Place, deployment: Raw, live: str) -> tuple[Standing, str]:
    spec, status = deployment["spec"], deployment.get("status", {})
    if spec.get("replicas", 1) == 0:
        return Standing.FAILED, "scaled to 0 replicas: nothing serves, so nothing can be verified"
    if spec.get("paused"):
        return Standing.FAILED, "paused: the rollout does not go on until somebody resumes it"
    if not objects.is_observed(deployment):
        return Standing.UNDERWAY, f"accepted; generation {deployment['metadata'].get('generation')} is not observed yet"
    mine = objects.owned(deployment, cluster.find("replicasets", place.namespace, objects.selector(deployment)))
    current = objects.of_template(mine, live)
    if current is None:
        return Standing.UNDERWAY, "accepted; its ReplicaSet is not there yet"
    pods = _pods(cluster, place, current)
    if (fault := starting.final_fault(pods)) is not None:
        return Standing.FAILED, fault
    trouble = starting.trouble(pods)
    if (fault := objects.stall(deployment, current)) is not None:
        return Standing.FAILED, f"{fault} {trouble}" if trouble else fault
    return _counted(spec.get("replicas", 1), status, pods, objects.refusal_of_pods(deployment) or trouble)


def _counted(wanted: int, status: Raw, pods: list[Raw], trouble: str | None) -> tuple[Standing, str]:
    updated, there, available = (int(status.get(name, 0)) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    ready = sum(objects.condition(pod, "Ready").get("status") == "True" for pod in pods)
    counts = f"{updated} of {wanted} updated, {available} available, {ready} ready, {there - updated} old left"
    if updated >= wanted and there == updated and available >= updated and ready >= wanted:
        return Standing.THERE, counts
    return Standing.UNDERWAY, f"{counts}; {trouble}" if trouble else counts


def _pods(cluster: Cluster, place: Place, replicaset: Raw) -> list[Raw]:
    uid = replicaset["metadata"]["uid"]
    found = cluster.find("pods", place.namespace, objects.selector(replicaset))
    mine = [pod for pod in found if (objects.controller(pod) or {}).get("uid") == uid]
    return [pod for pod in mine if not pod["metadata"].get("deletionTimestamp")]
