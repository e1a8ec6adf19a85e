"""The accounts of the daemon's config: which there are, and by which role each is entered. Names only; credentials come from the SDK's own chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from rollbackd.adapters.base.errors import Permanent


@dataclass(frozen=True, slots=True)
class Account:
    """One account. ``role``: the ARN of the role that is assumed there; None: the daemon's own credentials belong to it.

    ``endpoint``: where its API answers instead of at Amazon; loopback only, for tests. ``registers``: a definition that was taken out of use may
    be registered again.
    """

    name: str
    id: str
    regions: tuple[str, ...]
    role: str | None = None
    external_id: str | None = None
    endpoint: str | None = None
    registers: bool = False

    def __post_init__(self) -> None:
        """Raises Permanent for an endpoint beyond loopback: everything that is signed with our credentials would go there."""
        if self.endpoint is not None and not is_loopback(self.endpoint):
            raise Permanent(f"account {self.name}: the endpoint {self.endpoint} is not on loopback. Take the key out.")


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine by number or as localhost."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def account_of(accounts: Mapping[str, Account], name: str, region: str, asker: str) -> Account:
    """The account called ``name``, if it is used in that region. Raises Permanent with what to correct."""
    if (account := accounts.get(name)) is None:
        known = ", ".join(sorted(accounts)) or "none"
        raise Permanent(f"{asker}: there is no account {name} in the daemon's config (known: {known}). Add it or correct the key.")
    if region not in account.regions:
        known = ", ".join(account.regions)
        raise Permanent(f"{asker}: account {name} is not used in {region} (its regions: {known}). Add the region or correct the key.")
    return account
