"""A Deployment's status as its controller writes it: counts, and the conditions Available, Progressing and ReplicaFailure."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.kube.store import Object, stamp

NO_DEADLINE = 2147483647


def write_status(deployment: Object, before: Object, owned: list[Object], new: Object | None, at: datetime) -> None:
    """The status of this pass; the generation it saw is observed from now on."""
    counts = {
        "replicas": _sum(owned, "replicas"),
        "updatedReplicas": _sum([new] if new else [], "replicas"),
        "readyReplicas": _sum(owned, "readyReplicas"),
        "availableReplicas": _sum(owned, "availableReplicas"),
    }
    counts["unavailableReplicas"] = max(0, sum(item["spec"]["replicas"] for item in owned) - counts["availableReplicas"])
    kept = deployment["status"].get("conditions", [])
    deployment["status"] = {
        "observedGeneration": deployment["metadata"]["generation"],
        **{name: count for name, count in counts.items() if count},
        "conditions": kept,
    }
    _available(deployment, at)
    _failure(deployment, owned, new, at)
    if deployment["spec"].get("paused"):
        progressing(deployment, "Unknown", "DeploymentPaused", "Deployment is paused", at)
        return
    current = _find(deployment, "Progressing")
    if current and current["reason"] == "DeploymentPaused":
        progressing(deployment, "Unknown", "DeploymentResumed", "Deployment is resumed", at)
    _progress(deployment, before["status"], new, at)


def _sum(owned: list[Object], name: str) -> int:
    return sum(item.get("status", {}).get(name, 0) for item in owned)


def is_complete(deployment: Object) -> bool:
    """All replicas are of the template, none of another is left, all are available."""
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [wanted, wanted, wanted] and status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]


def _progress(deployment: Object, before: dict[str, Any], new: Object | None, at: datetime) -> None:
    if deployment["spec"]["progressDeadlineSeconds"] == NO_DEADLINE:
        return
    status, current = deployment["status"], _find(deployment, "Progressing")
    finished = status.get("replicas", 0) == status.get("updatedReplicas", 0) and current is not None and current["reason"] == "NewReplicaSetAvailable"
    if finished:
        return
    subject = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment):
        progressing(deployment, "True", "NewReplicaSetAvailable", f"{subject} has successfully progressed.", at)
    elif _moved(before, status):
        progressing(deployment, "True", "ReplicaSetUpdated", f"{subject} is progressing.", at, refresh=True)
    elif _timed_out(deployment, current, at):
        progressing(deployment, "False", "ProgressDeadlineExceeded", f"{subject} has timed out progressing.", at)


def _moved(before: dict[str, Any], after: dict[str, Any]) -> bool:
    def old(status: dict[str, Any]) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grew = any(after.get(name, 0) > before.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grew or old(after) < old(before)


def _timed_out(deployment: Object, current: dict[str, Any] | None, at: datetime) -> bool:
    if current is None or current["reason"] == "NewReplicaSetAvailable":
        return False
    if current["reason"] == "ProgressDeadlineExceeded":
        return True
    since = datetime.strptime(current["lastUpdateTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return since + timedelta(seconds=deployment["spec"]["progressDeadlineSeconds"]) < at


def _available(deployment: Object, at: datetime) -> None:
    rolling, wanted = deployment["spec"]["strategy"].get("rollingUpdate"), deployment["spec"]["replicas"]
    spare = 0
    if rolling:
        value = rolling["maxUnavailable"]
        spare = wanted * int(value[:-1]) // 100 if isinstance(value, str) else int(value)
    if deployment["status"].get("availableReplicas", 0) >= wanted - spare:
        _set(deployment, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", at)
    else:
        _set(deployment, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", at)


def _failure(deployment: Object, owned: list[Object], new: Object | None, at: datetime) -> None:
    failing = [item for item in ([new] if new else []) + owned if item.get("status", {}).get("conditions")]
    if failing:
        cause = failing[0]["status"]["conditions"][0]
        _set(deployment, "ReplicaFailure", "True", cause["reason"], cause["message"], at)
    else:
        rest = [item for item in deployment["status"]["conditions"] if item["type"] != "ReplicaFailure"]
        deployment["status"]["conditions"] = rest


def progressing(deployment: Object, status: str, reason: str, message: str, at: datetime, *, refresh: bool = False) -> None:
    """Set the condition Progressing; the same status and reason again change nothing, unless the progress is fresh."""
    _set(deployment, "Progressing", status, reason, message, at, refresh=refresh)


def _find(deployment: Object, kind: str) -> dict[str, Any] | None:
    return next((item for item in deployment["status"].get("conditions", []) if item["type"] == kind), None)


def _set(deployment: Object, kind: str, status: str, reason: str, message: str, at: datetime, *, refresh: bool = False) -> None:
    current = _find(deployment, kind)
    if current and (current["status"], current["reason"]) == (status, reason) and not refresh:
        return
    since = current["lastTransitionTime"] if current and current["status"] == status else stamp(at)
    made = {"type": kind, "status": status, "reason": reason, "message": message, "lastUpdateTime": stamp(at), "lastTransitionTime": since}
    deployment["status"]["conditions"] = [item for item in deployment["status"].get("conditions", []) if item["type"] != kind] + [made]
