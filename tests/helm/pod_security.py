"""The restricted profile of the Pod Security Standards, as far as a pod without init containers and host features can break it."""

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def faults(pod: dict[str, Any]) -> list[str]:
    """What the profile forbids in this pod's ``spec``, and two things that we ask for beyond it."""
    spec = pod["spec"]
    return [*_of_pod(spec), *(f"{container['name']}: {fault}" for container in spec["containers"] for fault in _of_container(spec, container))]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield key
    for volume in spec.get("volumes", []):
        if not VOLUMES.issuperset(volume.keys() - {"name"}):
            yield f"volume {volume['name']}"
    if spec.get("securityContext", {}).get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"


def _of_container(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**spec.get("securityContext", {}), **own}
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "runs as root"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "privileges"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
        yield "capabilities"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"
    # Not the profile's: ours.
    if own.get("readOnlyRootFilesystem") is not True:
        yield "root file system can be written"
    if "limits" not in container.get("resources", {}):
        yield "no limits"
