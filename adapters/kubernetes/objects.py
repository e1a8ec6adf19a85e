"""What raw Deployments, ReplicaSets and Pods say. Pure; never changes what it is given."""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Raw = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HASH = "pod-template-hash"

OURS = "rollbackd.io/"
INCIDENT = "rollbackd.io/incident"
WRITTEN = "rollbackd.io/revision"
FROM = "rollbackd.io/from"
ROLLOUT = "rollbackd.io/rollout"
IRREVERSIBLE = "rollbackd.io/irreversible"
OWN = frozenset((INCIDENT, WRITTEN, FROM, ROLLOUT, IRREVERSIBLE))
"""Annotations that this adapter writes and reads itself; all others under ``OURS`` are a workload's wishes for the fleet that watches it."""


def bare(template: Raw) -> Raw:
    """The template without the label that the Deployment controller adds to a ReplicaSet's copy."""
    kept = copy.deepcopy(template)
    labels = (kept.get("metadata") or {}).get("labels")
    if labels:
        labels.pop(HASH, None)
    return kept


def digest(template: Raw) -> str:
    """16 hex digits that identify a pod template, on every replica and in both places where the cluster keeps it.

    Nulls do not count: servers differ in whether they write ``creationTimestamp: null``.
    """
    text = json.dumps(_without_nulls(bare(template)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def notes(obj: Raw) -> Mapping[str, str]:
    """Its annotations; empty where it has none."""
    return obj["metadata"].get("annotations") or {}


def number(obj: Raw) -> int:
    """Its revision number; 0 where it has none that can be read: anybody may annotate anything."""
    text = notes(obj).get(REVISION, "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def is_observed(deployment: Raw) -> bool:
    """Whether its controller has seen its newest generation; before that, status and revision number speak of a former one."""
    return int(deployment.get("status", {}).get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))


def selector(deployment: Raw) -> str:
    """Its label selector as a query writes it."""
    chosen = deployment["spec"]["selector"]
    equal = [f"{key}={value}" for key, value in sorted((chosen.get("matchLabels") or {}).items())]
    return ",".join([*equal, *(_expression(item) for item in chosen.get("matchExpressions") or [])])


def _expression(item: Raw) -> str:
    key, values = str(item["key"]), ",".join(item.get("values") or [])
    return {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}[item["operator"]]


def controller(obj: Raw) -> Raw | None:
    """The owner that controls it."""
    owners: list[Raw] = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def owned(deployment: Raw, replicasets: Iterable[Raw]) -> list[Raw]:
    """The ReplicaSets that it controls, by uid, the newest number first."""
    uid = deployment["metadata"]["uid"]
    mine = [item for item in replicasets if (controller(item) or {}).get("uid") == uid]
    return sorted(mine, key=number, reverse=True)


def of_template(replicasets: Sequence[Raw], wanted: str) -> Raw | None:
    """The first whose template has this digest."""
    return next((item for item in replicasets if digest(item["spec"]["template"]) == wanted), None)


def condition(obj: Raw, kind: str) -> Raw:
    """Its condition of this type; empty where it has none."""
    conditions: list[Raw] = obj.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == kind), {})


def containers(template: Raw) -> list[Raw]:
    """Init containers and containers."""
    pod = template.get("spec", {})
    return [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]


def images(template: Raw) -> dict[str, str]:
    """Image by container name."""
    return {item["name"]: item.get("image", "") for item in containers(template)}


def writer_of_template(deployment: Raw) -> str | None:
    """The field manager that wrote a part of its pod template last; all of them where several did so in the same second."""
    writers = _holders_of_template(deployment)
    newest = max((str(item.get("time", "")) for item in writers), default="")
    return ", ".join(sorted({str(item.get("manager") or "unknown") for item in writers if str(item.get("time", "")) == newest})) or None


def appliers_of_template(deployment: Raw) -> list[str]:
    """The field managers that hold a part of its pod template by server-side apply."""
    return sorted({str(item.get("manager") or "unknown") for item in _holders_of_template(deployment) if item.get("operation") == "Apply"})


def _holders_of_template(deployment: Raw) -> list[Raw]:
    entries: list[Raw] = deployment["metadata"].get("managedFields") or []
    return [item for item in entries if "f:template" in (item.get("fieldsV1") or {}).get("f:spec", {}) and not item.get("subresource")]


def moment(text: str) -> datetime:
    """An API time, aware."""
    return datetime.fromisoformat(text)


def is_ours(deployment: Raw, incident: str, revision: str) -> bool:
    """Whether it carries our mark for this incident, made by a write of this revision."""
    marks = notes(deployment)
    return marks.get(INCIDENT) == incident and marks.get(WRITTEN) == revision


def stall(deployment: Raw, replicaset: Raw | None) -> str | None:
    """Why the rollout of this ReplicaSet cannot complete, if its controller says so.

    An exceeded deadline that names another ReplicaSet is left over from the rollout before: the controller keeps that until the next progress.
    """
    progress = condition(deployment, "Progressing")
    message = str(progress.get("message", ""))
    is_left_over = replicaset is not None and 'ReplicaSet "' in message and f'"{replicaset["metadata"]["name"]}"' not in message
    if progress.get("reason") == "ProgressDeadlineExceeded" and not is_left_over:
        refusal = condition(deployment, "ReplicaFailure").get("message")
        return f"{message} {refusal}" if refusal else message
    return None


def refusal_of_pods(deployment: Raw) -> str | None:
    """Why its pods cannot be made (quota, admission), if its controller says so."""
    failure = condition(deployment, "ReplicaFailure")
    return str(failure.get("message") or failure.get("reason")) if failure.get("status") == "True" else None
