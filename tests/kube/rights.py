"""What the credentials under test may do: a Role in each namespace, with the rights that rollbackd asks for and no others."""

from dataclasses import dataclass, field

from tests.doubles.kube.access import Denial
from tests.kube.client import Raw, User
from tests.servers import poll

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings"
GROUPS = {"deployments": "apps", "replicasets": "apps", "pods": "", "namespaces": "", "jobs": "batch"}
WRITES = (("get", "deployments"), ("patch", "deployments"))
RIGHTS = (*WRITES, *(("list", kind) for kind in ("deployments", "replicasets", "pods", "jobs")), ("get", "namespaces"))


@dataclass
class Rights:
    """RBAC knows no denial: a right is taken by a Role without it. The server obeys a Role a moment after it has stored it, so each step waits."""

    admin: User
    user: User
    subject: Raw
    _denials: dict[str, list[Denial]] = field(default_factory=dict)

    def grant(self, namespace: str) -> None:
        """All RIGHTS in this namespace."""
        self._denials[namespace] = []
        self.admin.api("POST", ROLES.format(namespace), self._role(namespace))
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rollbackd"}
        self.admin.api("POST", BINDINGS.format(namespace), {"metadata": {"name": "rollbackd"}, "roleRef": role, "subjects": [self.subject]})
        self._wait(namespace)

    def deny(self, denial: Denial) -> None:
        """One right less."""
        namespace = denial.namespace
        self._denials[namespace].append(denial)
        self.admin.api("PUT", f"{ROLES.format(namespace)}/rollbackd", self._role(namespace))
        self._wait(namespace, denial.name)

    def _role(self, namespace: str) -> Raw:
        rules = [rule for verb, resource in RIGHTS for rule in self._rules(verb, resource, namespace)]
        return {"metadata": {"name": "rollbackd"}, "rules": rules}

    def _rules(self, verb: str, resource: str, namespace: str) -> list[Raw]:
        rule = {"apiGroups": [GROUPS[resource]], "resources": [resource], "verbs": [verb]}
        denied = {item.name for item in self._denials[namespace] if item.covers(verb, resource, namespace, "")}
        if not denied:
            return [rule]
        left = [] if "" in denied else sorted(self._names(resource, namespace) - denied)
        return [{**rule, "resourceNames": left}] if left else []

    def _names(self, resource: str, namespace: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.admin.api("GET", f"/apis/apps/v1/namespaces/{namespace}/{resource}")["items"]}

    def _wait(self, namespace: str, name: str = "") -> None:
        def is_in_force() -> bool:
            """The server decides by the new Role"""
            return all(self._may(right, namespace, name) is self._allows(right, namespace, name) for right in RIGHTS)

        poll(is_in_force, every=0.02)

    def _may(self, right: tuple[str, str], namespace: str, name: str) -> bool:
        verb, resource = right
        return self.user.may(verb, resource, namespace, name, group=GROUPS[resource])

    def _allows(self, right: tuple[str, str], namespace: str, name: str) -> bool:
        return not any(item.covers(*right, namespace, name) for item in self._denials[namespace])
