"""Who is asking and what they may do: one bearer token, and denials that a test adds."""

from dataclasses import dataclass, field
from typing import Any

from tests.doubles.kube.status import bad_request, forbidden, unauthorized

USER = "system:serviceaccount:rollbackd:rollbackd"
ANONYMOUS = "system:anonymous"


@dataclass(frozen=True)
class Denial:
    """What may not be done; '' is any."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def covers(self, verb: str, resource: str, namespace: str, name: str) -> bool:
        """Whether it speaks of this request. Who lacks one name lacks the right to all names: that is what a request without a name asks for."""
        wanted = ((self.verb, verb), (self.resource, resource), (self.namespace, namespace))
        return all(mine in ("", theirs) for mine, theirs in wanted) and (not name or self.name in ("", name))


@dataclass
class Gate:
    """The token that is accepted, and the rights that are missing."""

    token: str
    denials: list[Denial] = field(default_factory=list)

    def user(self, header: str | None) -> str:
        """Who asks. Raises the 401 for another token; who shows none at all is let in as a user without rights."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            return ANONYMOUS
        if token != self.token:
            raise unauthorized()
        return USER

    def authorize(self, user: str, verb: str, resource: str, namespace: str, name: str) -> None:
        """Raises the 403 for a right that is missing."""
        if user == ANONYMOUS or not self.allows(verb, resource, namespace, name):
            raise forbidden(user, verb, resource, namespace, name)

    def allows(self, verb: str, resource: str, namespace: str, name: str) -> bool:
        """Whether nothing denies it."""
        return not any(denial.covers(verb, resource, namespace, name) for denial in self.denials)

    def review(self, body: Any) -> dict[str, Any]:
        """The answer to a SelfSubjectAccessReview."""
        attributes = body.get("spec", {}).get("resourceAttributes") if isinstance(body, dict) else None
        if attributes is None:
            raise bad_request("spec.resourceAttributes: Required value")
        asked = tuple(attributes.get(key, "") for key in ("verb", "resource", "namespace", "name"))
        allowed = self.allows(*asked)
        status = {"allowed": True, "reason": "RBAC: allowed by RoleBinding"} if allowed else {"allowed": False}
        return {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": body["spec"], "status": status}
