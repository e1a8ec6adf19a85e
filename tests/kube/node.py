"""The node agent: every pod is bound to one node that does not exist, fares as its image behaves, and is gone when it is to go."""

import contextlib
import json
import threading
from datetime import UTC, datetime
from typing import Any

import requests

from tests.doubles.kube.pods import Behaviour, World, status_of
from tests.kube.client import Raw, User

NODE = "node-of-the-tests"
PODS = "/api/v1/pods"
MERGE_PATCH = "application/merge-patch+json"


class Node:
    """Watches pods from ``start`` until ``stop``, in a thread of its own."""

    def __init__(self, admin: User) -> None:
        self._admin = admin.another()
        self._watcher = admin.another()
        self._world = World()
        self._known: dict[str, Raw] = {}
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node agent", daemon=True)
        self.faults: list[Exception] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It touches no pod any more; its watch ends with the server."""
        self._stopped.set()

    def image_behaves(self, image: str, behaviour: Behaviour) -> None:
        """So fares every pod with this image from now on, those that run among them."""
        with self._lock:
            self._world.images[image] = behaviour
            for pod in list(self._known.values()):
                if any(container["image"] == image for container in pod["spec"]["containers"]):
                    self._tend(pod)

    def _run(self) -> None:
        while not self._stopped.is_set():
            # The server ends every watch after some minutes; one that it cannot resume begins anew with a list.
            with contextlib.suppress(requests.RequestException, RuntimeError):
                self._watch()

    def _watch(self) -> None:
        listed = self._admin.api("GET", PODS)
        for pod in listed["items"]:
            self._seen("ADDED", pod)
        query = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        headers = {"Authorization": f"Bearer {self._watcher.token}"}
        where = {"headers": headers, "params": query, "verify": str(self._watcher.authority), "stream": True, "timeout": (10, None)}
        with self._watcher.session.get(self._watcher.url + PODS, **where) as stream:
            for line in stream.iter_lines(chunk_size=None):
                event = json.loads(line)
                if event["type"] == "ERROR" or self._stopped.is_set():
                    return
                self._seen(event["type"], event["object"])

    def _seen(self, kind: str, pod: Raw) -> None:
        with self._lock:
            if kind == "DELETED":
                self._known.pop(pod["metadata"]["uid"], None)
                return
            self._known[pod["metadata"]["uid"]] = pod
            self._tend(pod)

    def _tend(self, pod: Raw) -> None:
        """One step: bound, then faring, then gone. A pod that has moved on meanwhile is left to its next event."""
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if meta.get("deletionTimestamp"):
            gone = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
            self._send("DELETE", path, gone)
        elif not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}, "target": target}
            self._send("POST", f"{path}/binding", binding)
        else:
            status = status_of(self._world, pod, datetime.now(UTC))
            if any(pod["status"].get(key) != value for key, value in status.items()):
                self._send("PATCH", f"{path}/status", {"metadata": {"uid": meta["uid"]}, "status": status}, MERGE_PATCH)

    def _send(self, method: str, path: str, body: Any, content_type: str = "application/json") -> None:
        reply = self._admin.send(method, path, body, content_type=content_type)
        if reply.status_code not in (200, 201, 404, 409):
            self.faults.append(RuntimeError(f"{method} {path}: {reply.status_code} {reply.text}"))
