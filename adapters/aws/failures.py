"""What Amazon answered instead of what was asked, in the three words of the adapters, with the command by which a person asks the same."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollbackd.adapters.aws.account import Account
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.wording import cut, one_line

_LONGEST = 400
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"})
_DENIED = re.compile("AccessDenied|UnauthorizedOperation|NotAuthorized|AuthFailure|OptInRequired")
_GONE = re.compile("NotFound|NoSuch|ClusterNotFoundException|ServiceNotActiveException")


class Throttled(Transient):
    """Refused for its frequency, before anything was done."""


class Denied(Permanent):
    """Our role lacks the permission."""


class Expired(Permanent):
    """Our credentials are no longer accepted."""


class Gone(Permanent):
    """What was asked about does not exist (any more): a whole answer says so, not a missing one. ``code``: the service's own word, if any."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Rejected(Permanent):
    """Refused by the service for what was asked; ``code``: its own word for it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class WrongAccount(Refused):
    """Our credentials are of another account than the one that is configured."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: where it went and what it asked."""

    account: Account
    region: str
    call: Call
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.call} in account {self.account.name} ({self.account.id}), {self.region}"

    @property
    def command(self) -> str:
        """What a person types to ask the same. Values with an inside stay out: a definition may hold secrets."""
        words = ["aws", _dashed(self.call.service), _dashed(self.call.operation), "--region", self.region]
        for name, value in self.parameters.items():
            words += _option(_dashed(name), value)
        return shlex.join(words)

    @property
    def unchanged(self) -> str:
        """What to say of the target after a definite no."""
        return " Nothing was changed." if self.call.writes else ""

    @property
    def unknown(self) -> str:
        """What to say of the target after no answer."""
        return " Whether it was done is unknown: look at the target before anything else." if self.call.writes else ""


def failure(sent: Sent, fault: Exception) -> AdapterError:
    """The failure that a fault of the SDK means."""
    from botocore import exceptions as sdk

    if isinstance(fault, sdk.ClientError):
        return _answered(sent, fault.response)
    if isinstance(fault, sdk.NoCredentialsError | sdk.PartialCredentialsError | sdk.CredentialRetrievalError | sdk.TokenRetrievalError):
        return Expired(f"there are no credentials for {sent} ({type(fault).__name__}).{sent.unchanged} Give the daemon a role or a profile.")
    if isinstance(fault, sdk.ParamValidationError | sdk.UnknownServiceError | sdk.NoRegionError | sdk.InvalidRegionError):
        return Permanent(f"{sent} cannot be asked: {_words(str(fault))}.{sent.unchanged}")
    # Everything else that the SDK raises is about a connection, or an answer that is none.
    return Transient(f"no answer to {sent} ({type(fault).__name__}).{sent.unknown} By hand: {sent.command}")


def whole(body: Any, where: str) -> bytes:
    """All of an answer that comes after its headers. Raises Transient if it is cut off."""
    from botocore.exceptions import BotoCoreError

    try:
        return bytes(body.read())
    except BotoCoreError as fault:
        broke = f"{where} broke off in the middle of an answer ({type(fault).__name__})"
        raise Transient(f"{broke}; reading it changed nothing; see the network in between") from fault


def _answered(sent: Sent, response: Mapping[str, Any]) -> AdapterError:
    error = response.get("Error", {})
    code, said = str(error.get("Code", "")), _words(str(error.get("Message") or "no message"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    by_hand = f"By hand: {sent.command}"
    if code in _THROTTLED or status == 429:
        return Throttled(f"{sent} was throttled ({code}): {said}.{sent.unchanged} {by_hand}", retry_after=_retry_after(response))
    if code in _EXPIRED:
        return Expired(f"our credentials are no longer accepted by {sent} ({code}): {said}.{sent.unchanged} Renew them. {by_hand}")
    if _DENIED.search(code):
        role = sent.account.role or "the daemon's own credentials"
        resources = ", ".join(sent.call.resources)
        return Denied(f"not allowed to {sent}: {said}.{sent.unchanged} Allow {role}: {sent.call.permission} on {resources}. {by_hand}")
    if _GONE.search(code):
        return Gone(f"{sent} found nothing ({code}): {said}.{sent.unchanged} {by_hand}", code)
    if status >= 500 or not code:
        return Transient(f"{sent} failed at Amazon's end ({status} {code}): {said}.{sent.unknown} {by_hand}", retry_after=_retry_after(response))
    return Rejected(f"{sent} was refused ({code}): {said}.{sent.unchanged} {by_hand}", code)


def _words(text: str) -> str:
    return cut(one_line(text), _LONGEST).rstrip(". ")


def _retry_after(response: Mapping[str, Any]) -> float | None:
    value = str(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", ""))
    return float(value) if value.isdecimal() and len(value) < 10 else None


def _dashed(name: str) -> str:
    from botocore import xform_name  # it knows the words that a rule does not, such as DBInstance

    found: str = xform_name(name, "-")
    return found


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):  # Amazon's command line takes no value for it
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", *_shown(value)]


def _shown(value: Any) -> list[str]:
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    return [f"<{type(value).__name__} of {len(json.dumps(value, default=str))} characters>"]
