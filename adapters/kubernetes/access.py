"""How a cluster is reached, and as whom: the SDK's own configuration, authentication and TLS, loaded when first needed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollbackd.adapters.base.errors import Permanent, Transient

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Of all that a file may do, what waiting does not mend."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """A kubeconfig and a context in it; neither: the pod's own service account, else the default kubeconfig."""

    kubeconfig: Path | None = None
    context: str | None = None

    def __str__(self) -> str:
        return str(self.kubeconfig or "the service account or the default kubeconfig")


def connect(name: str, access: ClusterAccess) -> "ApiClient":
    """A client that retries nothing by itself. Reads files, asks no cluster. Raises Permanent if the configuration cannot be used, else Transient."""
    from kubernetes import client

    configuration = client.Configuration()
    # urllib3 would resend reads silently; retries have one owner, and it is not here.
    configuration.retries = False
    try:
        _load(configuration, access)
        made = client.ApiClient(configuration)
    except _faults() as fault:
        # The fault's own text may quote the file, and the file holds the credentials.
        if _may_pass(fault):
            raise Transient(f"cluster {name} cannot be reached: what {access} leads to does not answer ({type(fault).__name__}).") from fault
        faults = "is missing, unreadable or lacks the context, or names a server, a proxy or a provider of tokens that cannot be used"
        raise Permanent(f"cluster {name} cannot be reached: {access} {faults} ({type(fault).__name__}).") from fault
    made.user_agent = "rollbackd"
    return made


def _load(configuration: "Configuration", access: ClusterAccess) -> None:
    from kubernetes import config

    if access == ClusterAccess() and "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(configuration)
    else:
        path = str(access.kubeconfig) if access.kubeconfig is not None else None
        config.load_kube_config(path, access.context, configuration, False)


def credentials(name: str, access: ClusterAccess, client: "ApiClient") -> dict[str, str]:
    """The authentication headers; a token that expires is renewed by the SDK on the way. Raises Transient or Permanent."""
    try:
        settings = client.configuration.auth_settings().values()
    except _faults() as fault:
        file = f": {fault.filename}" if isinstance(fault, OSError) and fault.filename else ""
        what = f"the credentials for cluster {name}, from {access}, cannot be read or renewed ({type(fault).__name__}{file}). Nothing was sent."
        raise Transient(what) if _may_pass(fault) else Permanent(f"{what} Mend the file, or the kubeconfig's way to a token.") from fault
    found = {setting["key"]: setting["value"].strip() for setting in settings if setting["in"] == "header" and setting["value"]}
    # The HTTP library would say so too, and show the token.
    if not all(value.isascii() and value.isprintable() for value in found.values()):
        raise Permanent(f"the credentials for cluster {name}, from {access}, hold characters that no token has. Nothing was sent. Mend the token.")
    return found


def _faults() -> tuple[type[Exception], ...]:
    """What the SDK lets pass where a file, a command, a library or an issuer of tokens fails it, or a kubeconfig is not as it expects."""
    from kubernetes.config import ConfigException
    from oauthlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]  # it comes with the SDK, and without types
    from urllib3.exceptions import HTTPError
    from yaml import YAMLError

    unexpected = (ValueError, TypeError, LookupError, AttributeError)
    return ConfigException, YAMLError, OAuth2Error, HTTPError, OSError, ImportError, *unexpected


def _may_pass(fault: Exception) -> bool:
    """Whether it may be gone the next time: a connection or a disk that failed, but no address that is none."""
    from urllib3.exceptions import HTTPError

    return isinstance(fault, OSError | HTTPError) and not isinstance(fault, (*_LASTING, ValueError))
