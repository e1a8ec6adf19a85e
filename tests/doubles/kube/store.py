"""The objects, with what the server keeps on every write: uid, resourceVersion, generation, managedFields."""

import copy
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.doubles.kube import defaults, fields, jsonpatch
from tests.doubles.kube.status import already_exists, apply_conflict, conflict, invalid, not_found, patch_rejected

Object = dict[str, Any]

KINDS = {
    "deployments": ("apps/v1", "Deployment"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "pods": ("v1", "Pod"),
    "jobs": ("batch/v1", "Job"),
    "namespaces": ("v1", "Namespace"),
}


def stamp(moment: datetime) -> str:
    """Whole seconds, as metav1.Time is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """Every method is atomic. What goes in and what comes out are copies."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._version = 1000

    def clear(self) -> None:
        with self.lock:
            self._objects.clear()
            for name in ("default", "kube-system"):
                self.create("namespaces", "", {"metadata": {"name": name}}, "kube-apiserver")

    def version(self) -> str:
        return str(self._version)

    def get(self, resource: str, namespace: str, name: str) -> Object:
        with self.lock:
            found = self._objects.get((resource, namespace, name))
            if found is None:
                raise not_found(resource, name)
            return copy.deepcopy(found)

    def find(self, resource: str, namespace: str = "", chosen: Callable[[Object], bool] = lambda _: True) -> list[Object]:
        """Copies in the order of (namespace, name); all namespaces for ''."""
        with self.lock:
            keys = sorted(key for key in self._objects if key[0] == resource and namespace in ("", key[1]))
            return [copy.deepcopy(self._objects[key]) for key in keys if chosen(self._objects[key])]

    def create(self, resource: str, namespace: str, obj: Object, manager: str, *, dry_run: bool = False) -> Object:
        with self.lock:
            if namespace:
                self.get("namespaces", "", namespace)
            name = obj["metadata"]["name"]
            if (resource, namespace, name) in self._objects:
                raise already_exists(resource, name)
            made = self._new(resource, namespace, obj)
            at = made["metadata"]["creationTimestamp"]
            made["metadata"]["managedFields"] = fields.owned_after([], {}, made, manager, at)
            if not dry_run:
                made["metadata"]["resourceVersion"] = self._next()
                self._objects[(resource, namespace, name)] = made
            return copy.deepcopy(made)

    def _new(self, resource: str, namespace: str, obj: Object) -> Object:
        api_version, kind = KINDS[resource]
        made = jsonpatch.plain(obj)
        if resource == "deployments":
            made = defaults.with_defaults(made)
            defaults.check(made)
            made["status"] = {}
        if resource == "jobs" and not made["spec"].get("suspend"):
            made["status"] = {"startTime": stamp(datetime.now(UTC))}  # as its controller writes at once
        meta = {"namespace": namespace, **made.get("metadata", {}), "uid": str(uuid.uuid4()), "creationTimestamp": stamp(datetime.now(UTC))}
        if resource in ("deployments", "replicasets"):
            meta["generation"] = 1
        return {"apiVersion": api_version, "kind": kind, **made, "metadata": {key: value for key, value in meta.items() if value != ""}}

    def patch(self, resource: str, namespace: str, name: str, change: Callable[[Object], Any], manager: str, *, dry_run: bool = False) -> Object:
        """The object after ``change``; nothing is stored on a dry run, and nothing moves if nothing changed."""
        with self.lock:
            before = self.get(resource, namespace, name)
            try:
                after = change(copy.deepcopy(before))
            except jsonpatch.PatchFault as fault:
                raise patch_rejected() from fault
            if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
                raise patch_rejected()
            return self._update(resource, before, after, manager, dry_run=dry_run)

    def apply(self, resource: str, namespace: str, name: str, applied: Object, manager: str, *, force: bool, dry_run: bool = False) -> Object:
        """The object after a server-side apply to what is there; a list replaces a list, and what is applied no more stays."""
        with self.lock:
            before = self.get(resource, namespace, name)
            owners = fields.holders(before["metadata"]["managedFields"], fields.changed(before, applied), manager)
            if owners and not force:
                raise apply_conflict(owners)
            return self._update(resource, before, jsonpatch.merge(before, applied), manager, dry_run=dry_run, applied=applied)

    def _update(self, resource: str, before: Object, after: Object, manager: str, *, dry_run: bool, applied: Object | None = None) -> Object:
        old, new = before["metadata"], after["metadata"]
        if new.get("resourceVersion", old["resourceVersion"]) != old["resourceVersion"]:
            raise conflict(resource, old["name"])
        if new.get("uid", old["uid"]) != old["uid"]:
            raise invalid(
                KINDS[resource][1], old["name"], [("FieldValueInvalid", "metadata.uid", f'Invalid value: "{new["uid"]}": field is immutable')]
            )
        kept = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "managedFields")
        new.update({key: old[key] for key in kept if key in old})
        after["status"] = before.get("status", {})
        after["apiVersion"], after["kind"] = before["apiVersion"], before["kind"]
        if resource == "deployments":
            after = defaults.with_defaults(after)
            defaults.check(after, before)
        if after == before:
            return copy.deepcopy(before)
        self._record(before, after, manager, bump=_bumps(before, after), applied=applied)
        if not dry_run:
            self.put(resource, after)
        return copy.deepcopy(after)

    def _record(self, before: Object, after: Object, manager: str, *, bump: bool, applied: Object | None) -> None:
        meta = after["metadata"]
        if bump and "generation" in meta:
            meta["generation"] += 1
        at = stamp(datetime.now(UTC))
        entries = meta.get("managedFields", [])
        if applied is not None:
            meta["managedFields"] = fields.owned_after_apply(entries, before, applied, manager, at)
        else:
            meta["managedFields"] = fields.owned_after(entries, before, after, manager, at)

    def put(self, resource: str, obj: Object) -> None:
        """Store it as it is (a controller's status write): only the resourceVersion moves, and only if something changed."""
        with self.lock:
            meta = obj["metadata"]
            key = (resource, meta.get("namespace", ""), meta["name"])
            if self._objects.get(key) == obj:
                return
            meta["resourceVersion"] = self._next()
            self._objects[key] = copy.deepcopy(obj)

    def delete(self, resource: str, namespace: str, name: str) -> Object:
        """Gone at once, and everything that it controlled with it (background propagation, without the delay)."""
        with self.lock:
            gone = self.get(resource, namespace, name)
            del self._objects[(resource, namespace, name)]
            self._next()
            if resource == "namespaces":
                self._objects = {key: item for key, item in self._objects.items() if key[1] != name}
            for kind in ("replicasets", "pods"):
                for child in self.find(kind, namespace, lambda item: controller_uid(item) == gone["metadata"]["uid"]):
                    self.delete(kind, namespace, child["metadata"]["name"])
            return gone

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


def _bumps(before: Object, after: Object) -> bool:
    """A Deployment's generation counts changes of its spec and, by its own strategy, of its annotations."""
    same_notes = before["metadata"].get("annotations") == after["metadata"].get("annotations")
    return before.get("spec") != after.get("spec") or (before["kind"] == "Deployment" and not same_notes)


def controller_uid(obj: Object) -> str | None:
    """The uid of the owner that controls it."""
    owners = obj["metadata"].get("ownerReferences", [])
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)
