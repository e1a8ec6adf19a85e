"""/_double/…: how a test arranges the world and reads what was asked of it. No part of the API."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.doubles.kube.access import Denial
from tests.doubles.kube.api import Request
from tests.doubles.kube.faults import Fault

if TYPE_CHECKING:
    from tests.doubles.kube.server import Cluster


def answer(cluster: "Cluster", method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Code and body of one control request."""
    told = json.loads(body) if body else {}
    match method, path.removeprefix("/_double/"):
        case "GET", "health":
            pass
        case "GET", asked if asked.startswith("requests"):
            namespace = asked.removeprefix("requests").strip("/")
            with cluster.store.lock:
                return 200, {"requests": [served for served in cluster.api.served if namespace in ("", served["namespace"])]}
        case "DELETE", "requests":
            with cluster.store.lock:
                cluster.api.served.clear()
        case "POST", "reset":
            cluster.reset()
        case "POST", "faults":
            cluster.weather.add(Fault(**told))
        case "DELETE", "faults":
            cluster.weather.clear()
        case "POST", setting:
            with cluster.store.lock:
                return _set(cluster, setting, told)
        case _:
            return 404, {"error": path}
    return 200, {}


def _set(cluster: "Cluster", setting: str, told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    match setting:
        case "images":
            cluster.world.images[told["image"]] = told["behaviour"]
        case "deny":
            cluster.gate.denials.append(Denial(**told))
        case "allow":
            cluster.gate.denials.clear()
        case "token":
            cluster.gate.token = told["token"]
        case "controllers":
            cluster.controllers_run = told["run"]
        case "quota":
            cluster.world.quota[told["namespace"]] = told["pods"]
        case "ready_after":
            cluster.world.ready_after = timedelta(seconds=told["seconds"])
        case _:
            return 404, {"error": setting}
    return 200, {}


def record(cluster: "Cluster", request: Request) -> dict[str, Any]:
    """Remember one API request as it arrives; the caller sets its ``status``, which stays None where no answer is given."""
    seen = {
        "method": request.method,
        "verb": request.verb,
        "path": request.path,
        "query": request.query,
        "resource": request.resource,
        "namespace": request.namespace,
        "name": request.name,
        "dry_run": request.dry_run,
        "user_agent": request.user_agent,
        "content_type": request.content_type,
        "authorization": request.authorization,
        "body": request.body.decode(errors="replace"),
        "status": None,
    }
    with cluster.store.lock:
        cluster.api.served.append(seen)
    return seen
