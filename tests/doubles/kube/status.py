"""Failures as the API server words them: a Status object with its HTTP code, reason and details."""

from typing import Any

GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "pods": "",
    "namespaces": "",
    "jobs": "batch",
    "selfsubjectaccessreviews": "authorization.k8s.io",
}


class ApiFailure(Exception):
    """One Status object on its way out."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def qualified(resource: str) -> str:
    """``deployments.apps``, ``pods``."""
    return f"{resource}.{GROUPS[resource]}" if GROUPS.get(resource) else resource


def about(resource: str, name: str) -> dict[str, Any]:
    """How a Status names an object."""
    named = {"name": name, "group": GROUPS.get(resource, ""), "kind": resource}
    return {key: value for key, value in named.items() if value}


def not_found(resource: str, name: str) -> ApiFailure:
    return ApiFailure(404, "NotFound", f'{qualified(resource)} "{name}" not found', about(resource, name))


def unknown_path() -> ApiFailure:
    return ApiFailure(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: str, name: str) -> ApiFailure:
    return ApiFailure(409, "AlreadyExists", f'{qualified(resource)} "{name}" already exists', about(resource, name))


def conflict(
    resource: str, name: str, why: str = "the object has been modified; please apply your changes to the latest version and try again"
) -> ApiFailure:
    return ApiFailure(409, "Conflict", f'Operation cannot be fulfilled on {qualified(resource)} "{name}": {why}', about(resource, name))


def apply_conflict(managers: list[str]) -> ApiFailure:
    """What a server-side apply without force gets where others hold what it would change; the real one names the fields too."""
    held = "; ".join(f'conflict with "{manager}"' for manager in managers)
    return ApiFailure(409, "Conflict", f"Apply failed with {len(managers)} conflicts: {held}")


def patch_rejected() -> ApiFailure:
    """What a JSON Patch that cannot be applied gets, a failing ``test`` included: generic words, no cause."""
    return ApiFailure(422, "Invalid", "the server rejected our request due to an error in our request")


def invalid(kind: str, name: str, causes: list[tuple[str, str, str]], group: str = "apps") -> ApiFailure:
    """``causes``: reason, field and message of each fault of the object."""
    faults = [f"{field}: {message}" for _, field, message in causes]
    text = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
    details = {
        **({"name": name} if name else {}),
        "group": group,
        "kind": kind,
        "causes": [{"reason": reason, "message": message, "field": field} for reason, field, message in causes],
    }
    return ApiFailure(422, "Invalid", f'{kind}.{group} "{name}" is invalid: {text}', details)


def forbidden(user: str, verb: str, resource: str, namespace: str, name: str) -> ApiFailure:
    group = GROUPS.get(resource, "")
    subject = f'{qualified(resource)} "{name}"' if name else qualified(resource)
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}" {where}'
    return ApiFailure(403, "Forbidden", message, about(resource, name))


def unauthorized() -> ApiFailure:
    return ApiFailure(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiFailure:
    return ApiFailure(400, "BadRequest", message)


def unsupported_media_type() -> ApiFailure:
    return ApiFailure(415, "UnsupportedMediaType", "415: Unsupported Media Type")


def method_not_allowed() -> ApiFailure:
    return ApiFailure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def injected(code: int, message: str, retry_after: int | None) -> ApiFailure:
    """A failure that a test asked for."""
    reasons = {403: "Forbidden", 409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
    details = {"retryAfterSeconds": retry_after} if retry_after is not None else {}
    return ApiFailure(code, reasons.get(code, "Unknown"), message or f"injected {code}", details)
