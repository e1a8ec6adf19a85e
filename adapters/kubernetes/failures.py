"""What the API server answered instead of what was asked, in the three words of the adapters."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient

GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "pods": "",
    "jobs": "batch",
    "namespaces": "",
    "tokenreviews": "authentication.k8s.io",
    "subjectaccessreviews": "authorization.k8s.io",
}
_LONGEST = 400


class Gone(Permanent):
    """The object does not exist (any more)."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of whom; ``name`` '' is a whole namespace, and ``namespace`` '' all of them."""

    cluster: str
    verb: str
    resource: str
    namespace: str
    name: str = ""
    dry_run: bool = False

    def __str__(self) -> str:
        subject = f"{self.resource}/{self.name}" if self.name else self.resource
        where = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        return f"{self.verb} {subject} in {where} of cluster {self.cluster}"

    @property
    def role(self) -> str:
        """Where a rule for it belongs."""
        return f"the Role of namespace {self.namespace}" if self.namespace else "a ClusterRole"

    @property
    def rule(self) -> str:
        """The rule that its role needs for it."""
        names = f', resourceNames: ["{self.name}"]' if self.name else ""
        return f'{{apiGroups: ["{GROUPS.get(self.resource, "")}"], resources: ["{self.resource}"], verbs: ["{self.verb}"]{names}}}'

    @property
    def unchanged(self) -> str:
        """What to say of the target after a definite no."""
        return " Nothing was changed." if self.verb == "patch" else ""


def of_status(call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> AdapterError:
    """The failure that an answer means."""
    said = words_of(body)
    if status == 401:
        return Permanent(f"cluster {call.cluster} does not accept our credentials (401).{call.unchanged} Renew the token or the kubeconfig.")
    if status == 403:
        return Permanent(f"not allowed to {call}: {said}.{call.unchanged} Add to {call.role}: {call.rule}")
    if status == 404:
        return Gone(f"{call.resource}/{call.name} does not exist in namespace {call.namespace} of cluster {call.cluster}.{call.unchanged}")
    if status in (409, 422) and call.verb == "patch":
        return Refused(
            f"the server did not take the patch ({status}): {said}. Nothing was changed.", advice="Read the Deployment again and decide anew."
        )
    if status in (408, 410, 429) or status >= 500:
        return Transient(f"the server could not {call} ({status}): {said}.{_unknown(call)}", retry_after=_seconds(headers))
    return Permanent(f"the server refused to {call} ({status}): {said}.{call.unchanged}")


def of_transport(call: Call, fault: Exception) -> AdapterError:
    """The failure that a broken or slow connection means."""
    cause = fault.args[0] if fault.args else fault
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Permanent(f"cluster {call.cluster} shows a certificate that is not trusted: {cause.verify_message}.{call.unchanged} Correct the CA.")
    return Transient(f"no answer to {call} ({type(fault).__name__}).{_unknown(call)}")


def not_json(call: Call, status: int) -> AdapterError:
    """A success that is no answer: a proxy's page, a cut body."""
    return Transient(f"the answer to {call} is not the API's ({status}, no JSON object).{_unknown(call)}")


def words_of(body: bytes) -> str:
    """The message of a Status object, else nothing that could hold a page of somebody else's."""
    try:
        message = json.loads(body).get("message")
    except (ValueError, AttributeError):
        message = None
    return str(message)[:_LONGEST].rstrip(".") if message else "no message"


def _unknown(call: Call) -> str:
    if call.verb == "patch" and not call.dry_run:
        return " Whether the patch was applied is unknown: look at the target before anything else."
    return ""


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
