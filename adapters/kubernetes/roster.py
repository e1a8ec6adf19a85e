"""Which Deployments carry some labels: metadata only, page by page, and the whole list or an error."""

from collections.abc import Iterator, Mapping, Sequence

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.roster import Listed
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.kubernetes.failures import Call
from rollbackd.adapters.kubernetes.objects import Raw


def workloads(cluster: Cluster, labels: Mapping[str, str], namespaces: Sequence[str]) -> tuple[Listed, ...]:
    """See Roll.workloads. A Deployment that is being deleted is none any more."""
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    found = (meta for namespace in namespaces or ("",) for meta in cluster.metadata("deployments", namespace, selector))
    listed = [_listed(meta) for meta in found if "deletionTimestamp" not in meta]
    return tuple(sorted(listed, key=lambda each: (each.namespace, each.name)))


def rights(cluster: Cluster, namespaces: Sequence[str]) -> tuple[str, ...]:
    """See Roll.roll_rights."""
    return tuple(_lacking(cluster, namespaces))


def _lacking(cluster: Cluster, namespaces: Sequence[str]) -> Iterator[str]:
    for namespace in namespaces or ("",):
        call = Call(cluster.name, "list", "deployments", namespace)
        try:
            if not cluster.may(call):
                yield f"not allowed to {call}. Add to {call.role}: {call.rule}"
        except AdapterError as fault:
            yield str(fault)


def _listed(meta: Raw) -> Listed:
    notes = {key.removeprefix(objects.OURS): str(value) for key, value in (meta.get("annotations") or {}).items() if _is_for_us(key)}
    return Listed(str(meta["namespace"]), str(meta["name"]), dict(meta.get("labels") or {}), notes)


def _is_for_us(key: str) -> bool:
    return key.startswith(objects.OURS) and key not in objects.OWN
