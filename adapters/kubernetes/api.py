"""One cluster's API as raw JSON: what was stored is what is read, and what is sent is spelt as the server spells it.

The SDK gives configuration, authentication, TLS, proxies and the connection pool. Its typed methods are not used: they drop fields of a pod
template that they do not know, and their JSON escapes strings otherwise than Go does, whereupon the server, which compares the value of a JSON
Patch ``test`` byte by byte, answers 422 for every template that holds an "&" or an "é" (kubernetes-client/python issue 2148).
"""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from rollbackd.adapters.base.http_deadline import answered_within, follow
from rollbackd.adapters.kubernetes import failures
from rollbackd.adapters.kubernetes.access import ClusterAccess, connect, credentials
from rollbackd.adapters.kubernetes.failures import Call
from rollbackd.adapters.kubernetes.place import Place

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

Raw = dict[str, Any]

MANAGER = "rollbackd"
PAGE = 500
"""So many objects are asked for at a time."""
_JSON = "application/json"
# The rest of an object is left with the server: of 10,000 Deployments that is most of a hundred megabytes.
_METADATA = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{_JSON}"


class Cluster:
    """A cluster, connected when first asked. Safe to call from several threads. Every method raises Transient, Permanent or Refused.

    ``timeout``: seconds to connect, and of each silence; one answer takes no longer than both together.
    """

    def __init__(self, name: str, access: ClusterAccess, timeout: tuple[float, float], page: int = PAGE) -> None:
        self.name = name
        self._page = page
        self.access = access
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: ApiClient | None = None

    def close(self) -> None:
        """Idle connections are closed; the next call connects anew, with the credentials as they are then."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.rest_client.pool_manager.clear()

    def deployment(self, place: Place) -> Raw:
        """The Deployment as it is stored."""
        call = Call(self.name, "get", "deployments", place.namespace, place.name)
        return self._send(call, "GET", _path(call), {})

    def namespace(self, name: str) -> Raw:
        """The namespace as it is stored."""
        call = Call(self.name, "get", "namespaces", name, name)
        return self._send(call, "GET", _path(call), {})

    def find(self, resource: str, namespace: str, selector: str = "") -> list[Raw]:
        """All objects of a namespace that the label selector chooses, read page by page."""
        return [item for page in self._pages(resource, namespace, selector, _JSON) for item in page]

    def metadata(self, resource: str, namespace: str, selector: str = "") -> Iterator[Raw]:
        """The metadata of each, page by page; ``namespace`` '' is all of them."""
        return (item["metadata"] for page in self._pages(resource, namespace, selector, _METADATA) for item in page)

    def _pages(self, resource: str, namespace: str, selector: str, accept: str) -> Iterator[list[Raw]]:
        call = Call(self.name, "list", resource, namespace)
        query = {"limit": str(self._page), **({"labelSelector": selector} if selector else {})}
        while True:
            page = self._send(call, "GET", _path(call), query, accept=accept)
            yield page.get("items") or []
            if not (more := page.get("metadata", {}).get("continue")):
                return
            query["continue"] = more

    def patch(self, place: Place, operations: list[Raw], *, dry_run: bool = False) -> Raw:
        """The Deployment after one JSON Patch, sent once."""
        call = Call(self.name, "patch", "deployments", place.namespace, place.name, dry_run)
        query = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return self._send(call, "PATCH", _path(call), query, operations, "application/json-patch+json")

    def may(self, call: Call) -> bool:
        """Whether we hold the right, by the server's own word."""
        asked = {"verb": call.verb, "group": failures.GROUPS[call.resource], "resource": call.resource}
        asked |= {"namespace": call.namespace, **({"name": call.name} if call.name else {})}
        status = self.review("SelfSubjectAccessReview", "selfsubjectaccessreviews", {"resourceAttributes": asked})
        return status.get("allowed") is True

    def review(self, kind: str, resource: str, spec: Raw) -> Raw:
        """The status of a review, which the server answers and does not store."""
        call = Call(self.name, "create", resource, "")
        body = {"apiVersion": f"{failures.GROUPS[resource]}/v1", "kind": kind, "spec": spec}
        answer = self._send(call, "POST", _path(call), {}, body, "application/json")
        status = answer.get("status")
        return status if isinstance(status, dict) else {}

    def _send(self, call: Call, method: str, path: str, query: dict[str, str], body: Any = None, content_type: str = "", accept: str = _JSON) -> Raw:
        reply = self._sent(call, method, path, query, body, content_type, accept)
        if reply.status == 401:
            # Nothing was done, so asking again with credentials read afresh is safe: they may have been rotated.
            self.close()
            reply = self._sent(call, method, path, query, body, content_type, accept)
        if not 200 <= reply.status < 300:
            raise failures.of_status(call, reply.status, reply.data, reply.headers)
        answer = failures.document(reply.data)
        if str(answer.get("kind", "")).lower() not in _kinds(call):
            raise failures.not_answered(call, reply.status)
        return answer

    def _sent(self, call: Call, method: str, path: str, query: dict[str, str], body: Any, content_type: str, accept: str) -> "BaseHTTPResponse":
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        client = self._connected()
        headers = {"Accept": accept, "User-Agent": client.user_agent, **credentials(self.name, self.access, client)}
        if content_type:
            headers["Content-Type"] = content_type
        url = client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        connect_within, read_within = self._timeout
        timeout = Timeout(connect=connect_within, read=read_within)
        data = None if body is None else go_json(body)
        try:
            with answered_within(timedelta(seconds=connect_within + read_within)):
                reply: BaseHTTPResponse = client.rest_client.pool_manager.request(
                    method, url, body=data, headers=headers, timeout=timeout, retries=False, redirect=False
                )
        except (HTTPError, OSError, ValueError) as fault:  # ValueError: urllib3 trips over a chunk of a negative length
            raise failures.of_transport(call, fault) from fault
        return reply

    def _connected(self) -> "ApiClient":
        with self._lock:
            if self._client is None:
                self._client = connect(self.name, self.access)
                follow(self._client.rest_client.pool_manager)
            return self._client


def _path(call: Call) -> str:
    group = failures.GROUPS[call.resource]
    root = f"/apis/{group}/v1" if group else "/api/v1"
    name = f"/{quote(call.name, safe='')}" if call.name else ""
    within = f"/namespaces/{quote(call.namespace, safe='')}" if call.namespace and call.resource != "namespaces" else ""
    return f"{root}{within}/{call.resource}{name}"


def _kinds(call: Call) -> tuple[str, ...]:
    """What an answer to it calls itself, in small letters: a gateway's JSON would else pass for a cluster with nothing in it."""
    kind = call.resource.removesuffix("s")
    return (f"{kind}list", "partialobjectmetadatalist") if call.verb == "list" else (kind,)


def go_json(value: Any) -> bytes:
    """The JSON of ``value`` in the spelling of Go's encoder: UTF-8 as it is, but <, > and & escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()
