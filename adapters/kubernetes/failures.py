"""What the API server answered instead of what was asked, in the three words of the adapters."""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.wording import cut, one_line

GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "pods": "",
    "jobs": "batch",
    "namespaces": "",
    "tokenreviews": "authentication.k8s.io",
    "subjectaccessreviews": "authorization.k8s.io",
    "selfsubjectaccessreviews": "authorization.k8s.io",
}
"""The API group of each resource that is asked for: where it is asked, and what a rule names."""
_LONGEST = 400
_ASTRAY = "Correct the address of its API server."
_STARTING = "not yet ready to handle request"
"""A server that has just started, and has not read its webhooks and policies yet."""
# How webhooks and policies refuse, behind words that sound like RBAC's ("... is forbidden: ..."). The code is of their choice: a webhook's any from
# 400 (without a choice) on, a policy's 422 (without a choice), 403 or 413. In k8s.io/apiserver/pkg/admission/plugin: webhook/errors/statuserror.go,
# policy/validating/dispatcher.go, policy/generic/policy_dispatcher.go.
_DENIED = r"""(admission webhook "[^"]+"|(ValidatingAdmissionPolicy|policy) ['"][^'"]+['"]( with binding '[^']+')?) denied (the )?request\b"""
_ADMISSION = re.compile(f"{_DENIED}|{_STARTING}")


class Gone(Permanent):
    """The object does not exist (any more)."""


class NotAdmitted(Refused):
    """A webhook or a policy of the cluster denied a write."""


class NotDone(Transient):
    """Nothing was done, and it may be asked again: there were too many requests, or the server was not even reached."""


class Lost(Transient):
    """Whether a write was done is unknown. ``what``: why, without the advice to look."""

    def __init__(self, what: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{what} Whether the patch was applied is unknown: look at the target before anything else.", retry_after=retry_after)
        self.what = what


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
        return f'{{apiGroups: ["{GROUPS[self.resource]}"], resources: ["{self.resource}"], verbs: ["{self.verb}"]{names}}}'

    @property
    def unchanged(self) -> str:
        """What to say of the target after a definite no."""
        return " Nothing was changed." if self.verb == "patch" else ""


def of_status(call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> AdapterError:
    """The failure that an answer means."""
    message = _message_of(body)
    if (denial := _ADMISSION.search(message)) is not None:
        return _not_admitted(call, status, cut(message[denial.start() :], _LONGEST), headers)
    said = cut(message, _LONGEST)
    if status == 401:
        return Permanent(f"cluster {call.cluster} does not accept our credentials (401).{call.unchanged} Renew the token or the kubeconfig.")
    if status == 403:
        return _forbidden(call, message)
    if status == 404 and not _is_about(call, body):
        return Permanent(f"there is no way to {call} ({status}): {said}.{call.unchanged} {_ASTRAY}")
    if status == 404:
        return Gone(f"{call.resource}/{call.name} does not exist in namespace {call.namespace} of cluster {call.cluster}.{call.unchanged}")
    if status in (409, 422) and call.verb == "patch":
        return Refused(
            f"the server did not take the patch ({status}): {said}. Nothing was changed.", advice="Read the Deployment again and decide anew."
        )
    if status == 429:
        return NotDone(f"the server could not {call} ({status}): {said}.{call.unchanged}", retry_after=_seconds(headers))
    if status in (408, 410) or status >= 500:
        return _unanswered(call, f"the server could not {call} ({status}): {said}.", _seconds(headers))
    return Permanent(f"the server refused to {call} ({status}): {said}.{call.unchanged}")


def _not_admitted(call: Call, status: int, said: str, headers: Mapping[str, str]) -> AdapterError:
    """Nothing was stored, whatever the code; 429 and those from 500 on say that who was asked could not judge now."""
    what = f"the cluster's admission does not let us {call} ({status}): {said}.{call.unchanged}"
    if status == 429 or status >= 500 or said == _STARTING:
        return NotDone(what, retry_after=_seconds(headers))
    if call.verb == "patch":
        return NotAdmitted(what, advice="Rights do not help: let those who own it admit that version, then plan again.")
    return Permanent(f"{what} Let those who own it leave such requests alone.")


def _is_about(call: Call, body: bytes) -> bool:
    """Whether it speaks of what the call names: of a wrong address there is a 404 too, and of a proxy that does not know its way."""
    details = document(body).get("details")
    return isinstance(details, dict) and (details.get("kind"), details.get("name")) == (call.resource, call.name)


def _forbidden(call: Call, message: str) -> Permanent:
    """The rule that is missing, where RBAC says that one is: other plugins of the server and proxies before it answer 403 too."""
    what = f"not allowed to {call}: {cut(message, _LONGEST)}.{call.unchanged}"
    if 'User "system:anonymous"' in message:
        return Permanent(f"{what} No credentials were sent: see that the kubeconfig has some, and that a command which is to give them does so.")
    if f"cannot {call.verb} path " in message:
        return Permanent(f"{what} {_ASTRAY}")
    if f"cannot {call.verb} resource " in message:
        return Permanent(f"{what} Add to {call.role}: {call.rule}")
    return Permanent(f"{what} This is no answer of RBAC: look at the cluster's admission plugins, and at proxies on the way.")


def of_transport(call: Call, fault: Exception) -> AdapterError:
    """The failure that a broken or slow connection means, and an address to which there can be none."""
    from urllib3.exceptions import ConnectTimeoutError, LocationValueError, NewConnectionError

    if isinstance(fault, LocationValueError):
        return Permanent(f"there is no way to {call} ({type(fault).__name__}).{call.unchanged} {_ASTRAY}")
    cause = fault.args[0] if fault.args else fault
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Permanent(f"cluster {call.cluster} shows a certificate that is not trusted: {cause.verify_message}.{call.unchanged} Correct the CA.")
    if isinstance(fault, NewConnectionError | ConnectTimeoutError):
        return NotDone(f"no connection to {call} ({type(fault).__name__}).{call.unchanged}")
    return _unanswered(call, f"no answer to {call} ({type(fault).__name__}).")


def not_answered(call: Call, status: int) -> AdapterError:
    """A success that is no answer: a proxy's page, a cut body, another object."""
    return _unanswered(call, f"the answer to {call} is not the API's ({status}, not the object that was asked for).")


def document(body: bytes) -> dict[str, Any]:
    """The JSON object that the body holds; empty if it holds none."""
    try:
        held = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _message_of(body: bytes) -> str:
    """The message of a Status object, on one line, else nothing that could hold a page of somebody else's."""
    message = document(body).get("message")
    return " ".join(one_line(str(message)).split()).rstrip(".") if message else "no message"


def _unanswered(call: Call, what: str, retry_after: float | None = None) -> Transient:
    kind = Lost if call.verb == "patch" and not call.dry_run else Transient
    return kind(what, retry_after=retry_after)


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 10 else None
