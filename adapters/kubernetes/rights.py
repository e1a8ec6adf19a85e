"""What would stop us from acting, asked of the server before the incident."""

from collections.abc import Sequence

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.kubernetes.failures import Call
from rollbackd.adapters.kubernetes.objects import Raw
from rollbackd.adapters.kubernetes.owners import owner_to_respect
from rollbackd.adapters.kubernetes.place import Place


def findings(cluster: Cluster, namespace: str, places: Sequence[Place], *, jobs: bool = False) -> list[str]:
    """One line for each missing right and for each obstacle at a Deployment of this namespace. Raises what keeps all from being read.

    ``jobs``: a policy asks which Jobs ran there.
    """
    lacking = _lacking(cluster, namespace, places, (*_READ, "jobs") if jobs else _READ)
    lines = [f"{_subject(cluster, call)}: not allowed to {call}. Add to the Role of namespace {namespace}: {call.rule}" for call in lacking]
    if any(call.verb in ("get", "list") and call.resource not in ("namespaces", "jobs") for call in lacking):
        return lines
    for place in places:
        lines += [f"{place.key}: {line}" for line in _obstacles(cluster, place)]
    return lines


def _subject(cluster: Cluster, call: Call) -> str:
    if call.resource == "deployments" and call.name:
        return Place(cluster.name, call.namespace, call.name).key
    return f"kubernetes:{cluster.name}/{call.namespace}"


def _lacking(cluster: Cluster, namespace: str, places: Sequence[Place], read: Sequence[str]) -> list[Call]:
    """Each right that is not held; the rights by name are asked for one by one only where they are not held for all names."""
    missing = [call for resource in read if not cluster.may(call := Call(cluster.name, "list", resource, namespace))]
    if not cluster.may(call := Call(cluster.name, "get", "namespaces", namespace, namespace)):
        missing.append(call)
    for verb in ("get", "patch"):
        if cluster.may(Call(cluster.name, verb, "deployments", namespace)):
            continue
        named = [Call(cluster.name, verb, "deployments", namespace, place.name) for place in places]
        missing += [call for call in named if not cluster.may(call)]
    return missing


_READ = ("deployments", "replicasets", "pods")


def _obstacles(cluster: Cluster, place: Place) -> list[str]:
    try:
        deployment = cluster.deployment(place)
        replicasets = cluster.find("replicasets", place.namespace, objects.selector(deployment))
    except AdapterError as fault:
        return [str(fault)]
    return _of_deployment(place, deployment, replicasets)


def _of_deployment(place: Place, deployment: Raw, replicasets: list[Raw]) -> list[str]:
    lines = []
    if deployment["spec"].get("revisionHistoryLimit", 10) == 0:
        lines.append("revisionHistoryLimit is 0: no former ReplicaSet is kept, so there is nothing to go back to. Set it to 2 or more.")
    if deployment["spec"].get("paused"):
        lines.append("it is paused: a revert would not be rolled out. Resume it.")
    if (refusal := owner_to_respect(place, deployment, replicasets)) is not None:
        lines.append(f"{refusal} Its own way back: {refusal.advice}")
    return lines
