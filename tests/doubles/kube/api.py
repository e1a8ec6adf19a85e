"""The paths of the API: what a request asks for, and the answer."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.kube import jsonpatch, selectors
from tests.doubles.kube.access import ANONYMOUS, Gate
from tests.doubles.kube.status import about, bad_request, invalid, method_not_allowed, unknown_path, unsupported_media_type
from tests.doubles.kube.store import KINDS, Object, Store

_RESOURCE = re.compile(
    r"^/(?:apis/apps/v1|apis/batch/v1|api/v1)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>deployments|replicasets|pods|jobs)(?:/(?P<name>[^/]+))?$"
)
_NAMESPACE = re.compile(r"^/api/v1/namespaces(?:/(?P<name>[^/]+))?$")
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
PATCHES = ["application/json-patch+json", "application/merge-patch+json"]
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Request:
    """One request, taken apart."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    user_agent: str
    authorization: str | None
    body: bytes
    accept: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def verb(self) -> str:
        """As RBAC names it."""
        if self.method == "GET":
            return "get" if self.name else "list"
        return {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(self.method, self.method.lower())

    @property
    def dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"

    @property
    def manager(self) -> str:
        """The field manager: as asked, else the first word of the user agent."""
        return self.query.get("fieldManager") or self.user_agent.split("/")[0] or "unknown"


def located(path: str) -> dict[str, str]:
    """Resource, namespace and name of a path; empty for a path that names none."""
    if found := _RESOURCE.match(path):
        return {key: value or "" for key, value in found.groupdict().items()}
    if found := _NAMESPACE.match(path):
        return {"resource": "namespaces", "namespace": "", "name": found["name"] or ""}
    return {"resource": "selfsubjectaccessreviews" if path == REVIEWS else "", "namespace": "", "name": ""}


@dataclass
class Api:
    """The server's side of one cluster."""

    store: Store
    gate: Gate
    served: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> tuple[int, Any]:
        """Code and body. Raises ApiFailure."""
        if request.path == "/version":
            return 200, {"major": "1", "minor": "35", "gitVersion": "v1.35.4"}
        user = self.gate.user(request.authorization)
        if request.path == REVIEWS and request.method == "POST" and user != ANONYMOUS:
            self.gate.authorize(user, request.verb, request.resource, "", "")
            return 201, self.gate.review(_json(request.body))
        if not request.resource:
            raise unknown_path()
        within = request.name if request.resource == "namespaces" else request.namespace  # as the server counts a namespace
        self.gate.authorize(user, request.verb, request.resource, within, request.name)
        if request.query.get("dryRun", "All") != "All":
            message = f'Unsupported value: ["{request.query["dryRun"]}"]: supported values: "All"'
            raise invalid("PatchOptions", "", [("FieldValueNotSupported", "dryRun", message)], "meta.k8s.io")
        return self._resource(request)

    def _resource(self, request: Request) -> tuple[int, Any]:
        store, where = self.store, (request.resource, request.namespace, request.name)
        match request.method, bool(request.name):
            case "GET", True:
                return 200, store.get(*where)
            case "GET", False:
                return 200, self._listed(request)
            case "POST", False:
                made = store.create(request.resource, request.namespace, _json(request.body), request.manager, dry_run=request.dry_run)
                return 201, made
            case "PATCH", True if _kind(request) == APPLY:
                force = request.query.get("force") == "true"
                return 200, store.apply(*where, _json(request.body), request.manager, force=force, dry_run=request.dry_run)
            case "PATCH", True:
                return 200, store.patch(*where, _change(request), request.manager, dry_run=request.dry_run)
            case "DELETE", True:
                gone = store.get(*where) if request.dry_run else store.delete(*where)
                details = {**about(request.resource, request.name), "uid": gone["metadata"]["uid"]}
                return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
            case _:
                raise method_not_allowed()

    def _listed(self, request: Request) -> dict[str, Any]:
        chosen = selectors.parse(request.query.get("labelSelector", ""))
        found = self.store.find(request.resource, request.namespace, lambda item: chosen(item["metadata"].get("labels", {})))
        start, limit = int(request.query.get("continue", "0")), int(request.query.get("limit", "0")) or len(found)
        page, rest = found[start : start + limit], len(found) - start - limit
        meta: dict[str, Any] = {"resourceVersion": self.store.version()}
        if rest > 0:
            meta |= {"continue": str(start + limit), "remainingItemCount": rest}
        api_version, kind = KINDS[request.resource]
        # Items of a list carry neither kind nor apiVersion, as the server writes them.
        items = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in page]
        if "as=PartialObjectMetadataList" in request.accept:
            kind_of = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            items = [{**kind_of, "metadata": item["metadata"]} for item in items]
            return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}
        return {"kind": f"{kind}List", "apiVersion": api_version, "metadata": meta, "items": items}


def _kind(request: Request) -> str:
    return request.content_type.split(";")[0].strip()


def _change(request: Request) -> Any:
    kind = _kind(request)
    if kind not in PATCHES:
        raise unsupported_media_type()
    try:
        patch = jsonpatch.decode(request.body)
    except ValueError as fault:
        raise bad_request(f"error decoding patch: {fault}") from fault

    if kind == PATCHES[0] and not (isinstance(patch, list) and all(isinstance(operation, dict) for operation in patch)):
        raise bad_request("error decoding patch: json: cannot unmarshal it into a list of operations")

    def change(obj: Object) -> Any:
        return jsonpatch.apply(obj, patch) if kind == PATCHES[0] else jsonpatch.merge(obj, patch)

    return change


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as fault:
        raise bad_request(f"the object provided is unrecognized: {fault}") from fault
