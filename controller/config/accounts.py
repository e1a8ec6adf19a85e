"""The accounts of the daemon's config, as written and as the daemon reads them: names and numbers, never credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from rollbackd.controller.config.leaves import WebUrl
from rollbackd.policies.documents.base import Written, refuse
from rollbackd.policies.documents.targets import Region
from rollbackd.policies.text.faults import quoted
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.wording import describe_pattern

# As the daemon reads them


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """An account at Amazon. ``role`` None: the daemon's own credentials belong to it. ``endpoint``: on loopback, for tests."""

    id: str
    regions: tuple[str, ...]
    role: str | None = None
    external_id: str | None = None
    endpoint: str | None = None
    reregister: bool = False


# As written


def _loopback(url: str) -> str:
    host = urlsplit(url).hostname or ""
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise refuse("an address on loopback, for tests", quoted(host), "leave the key out: Amazon's own endpoints are used")
    return url


_ID = describe_pattern("^[0-9]{12}$", "an account id of twelve digits, in quotes")
_ROLE = describe_pattern("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,576}$", "the ARN of a role")
_EXTERNAL = describe_pattern("^[A-Za-z0-9+=,.@:/_-]+$", "an external id of 2 or more letters, digits and +=,.@:/_-")


class AccountParts(Written):
    """An account at Amazon, and how it is entered."""

    id: Annotated[str, Field(pattern=_ID)] = Field(description="Its number, in quotes: checked against our credentials before anything is changed.")
    role: Annotated[str, Field(pattern=_ROLE)] | None = Field(None, description="The role that is assumed there. Default: the daemon's own.")
    external_id: Annotated[str, Field(pattern=_EXTERNAL, min_length=2, max_length=1224)] | None = Field(
        None, description="What the role's trust policy asks for. It is no secret."
    )
    regions: Annotated[list[Region], Field(min_length=1, max_length=50)] = Field(description="The regions that are used.")
    endpoint: Annotated[WebUrl, AfterValidator(_loopback)] | None = Field(None, description="A stand-in on loopback, for tests.")
    reregister: bool = Field(
        False, description="Register a copy of a task definition that is out of use, to go back to it: needs more permissions. Default false."
    )


def read_accounts(written: Mapping[str, AccountParts], findings: Findings) -> dict[str, AccountConfig]:
    """The accounts; what is wrong between their keys is among the findings."""
    return {name: _read(name, parts, findings) for name, parts in written.items()}


def _read(name: str, parts: AccountParts, findings: Findings) -> AccountConfig:
    path = ("accounts", name)
    if parts.role is not None and parts.role.split(":")[4] != parts.id:
        findings.fault((*path, "role"), f"a role of account {parts.id}", f"one of {parts.role.split(':')[4]}", "the role is in the account it enters")
    if parts.external_id is not None and parts.role is None:
        findings.fault((*path, "external_id"), "a 'role' beside it", "none", "an external id is sent when a role is assumed", at_key=True)
    return AccountConfig(parts.id, tuple(dict.fromkeys(parts.regions)), parts.role, parts.external_id, parts.endpoint, parts.reregister)
