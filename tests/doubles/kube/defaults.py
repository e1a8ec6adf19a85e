"""What the server fills in and what it refuses in a Deployment."""

import copy
import json
from typing import Any

from tests.doubles.kube.status import ApiFailure, invalid


def with_defaults(deployment: dict[str, Any]) -> dict[str, Any]:
    """The Deployment as the server would store it."""
    filled = copy.deepcopy(deployment)
    spec = filled.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault("strategy", {"type": "RollingUpdate"})
    if spec["strategy"].setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = spec["strategy"].setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    _fill_template(spec.get("template"))
    return filled


def _fill_template(template: Any) -> None:
    if not isinstance(template, dict):
        return
    # As servers long wrote it; a newer one leaves it out, as the real one of tests/kube does. Both are out there.
    template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    pod = template.setdefault("spec", {})
    for key, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("securityContext", {}),
        ("schedulerName", "default-scheduler"),
    ):
        pod.setdefault(key, value)
    for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
        _fill_container(container)


def _fill_container(container: dict[str, Any]) -> None:
    image = str(container.get("image", ""))
    floating = "@" not in image and (":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest"))
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", "Always" if floating else "IfNotPresent")


def check(deployment: dict[str, Any], before: dict[str, Any] | None = None) -> None:
    """Raises the 422 that the server would answer; returns where the object is valid."""
    spec = deployment.get("spec", {})
    template = spec.get("template") or {}
    causes: list[tuple[str, str, str]] = []
    containers = template.get("spec", {}).get("containers") or []
    if not containers:
        causes.append(("FieldValueRequired", "spec.template.spec.containers", "Required value"))
    for number, container in enumerate(containers):
        causes.extend(
            ("FieldValueRequired", f"spec.template.spec.containers[{number}].{field}", "Required value")
            for field in ("name", "image")
            if not container.get(field)
        )
    selector = spec.get("selector", {}).get("matchLabels") or {}
    labels = template.get("metadata", {}).get("labels") or {}
    if not selector or any(labels.get(key) != value for key, value in selector.items()):
        causes.append(
            ("FieldValueInvalid", "spec.template.metadata.labels", f"Invalid value: {_json(labels)}: `selector` does not match template `labels`")
        )
    if before is not None and before["spec"]["selector"] != spec.get("selector"):
        causes.append(("FieldValueInvalid", "spec.selector", f"Invalid value: {_json(spec.get('selector'))}: field is immutable"))
    if not isinstance(spec.get("replicas"), int) or spec["replicas"] < 0:
        causes.append(("FieldValueInvalid", "spec.replicas", f"Invalid value: {spec.get('replicas')!r}: must be greater than or equal to 0"))
    if causes:
        failure: ApiFailure = invalid("Deployment", deployment["metadata"]["name"], causes)
        raise failure


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
