"""Who a token belongs to and what they may do, by a cluster's own word: TokenReview and SubjectAccessReview."""

from typing import Any

from rollbackd.adapters.kubernetes.access import ClusterAccess
from rollbackd.adapters.kubernetes.api import Cluster


class Reviews:
    """One cluster, asked about other people's tokens. It takes the rights of the ClusterRole ``system:auth-delegator``.

    ``audience``: whom the tokens have to be made for; '' is the API server itself.
    """

    def __init__(self, name: str, access: ClusterAccess, audience: str = "", *, timeout: tuple[float, float] = (2.0, 5.0)) -> None:
        self._cluster = Cluster(name, access, timeout)
        self._audience = audience

    def allowed(self, token: str, verb: str, group: str, resource: str, namespace: str) -> tuple[str, bool] | None:
        """The token's user and whether they hold the right; None for a token that the cluster does not know. Raises Transient or Permanent."""
        spec: dict[str, Any] = {"token": token, **({"audiences": [self._audience]} if self._audience else {})}
        status = self._cluster.review("TokenReview", "tokenreviews", spec)
        user = status.get("user") or {}
        # A server that does not know of audiences answers without them, and would take a token that was made for somebody else.
        if (
            status.get("authenticated") is not True
            or not user.get("username")
            or (self._audience and self._audience not in status.get("audiences", []))
        ):
            return None
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        subject = {"user": user["username"], "groups": user.get("groups", []), "uid": user.get("uid", ""), "extra": user.get("extra") or {}}
        status = self._cluster.review("SubjectAccessReview", "subjectaccessreviews", {**subject, "resourceAttributes": asked})
        return str(user["username"]), status.get("allowed") is True
