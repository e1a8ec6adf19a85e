"""The tests' own way to the API server: one request, as one user, over TLS that is checked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

Raw = dict[str, Any]


def _session() -> requests.Session:
    session = requests.Session()
    # The environment may name a CA bundle or a proxy; neither is for loopback.
    session.trust_env = False
    return session


@dataclass(frozen=True)
class User:
    """Whoever holds ``token``."""

    url: str
    token: str = field(repr=False)
    authority: Path
    session: requests.Session = field(default_factory=_session, repr=False)

    def another(self) -> "User":
        """The same user on a connection of its own."""
        return User(self.url, self.token, self.authority)

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str) -> requests.Response:
        """The answer, whatever it is. ``body``: bytes, or what becomes JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type, "User-Agent": "test-arrangement"}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.session.request(method, self.url + path, **content, headers=headers, params=query, timeout=30, verify=str(self.authority))

    def api(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str) -> Raw:
        """The answer to a request that succeeds; raises on any failure."""
        reply = self.send(method, path, body, content_type=content_type, **query)
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text}")
        answer: Raw = reply.json()
        return answer

    def may(self, verb: str, resource: str, namespace: str, name: str = "", *, group: str = "apps") -> bool:
        """Whether the server says that this user holds the right."""
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
        answer = self.api("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return answer["status"].get("allowed") is True
