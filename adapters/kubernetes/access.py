"""How a cluster is reached, and as whom: the SDK's own configuration, authentication and TLS, loaded when first needed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

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
    """A client that retries nothing by itself. Reads files, sends nothing. Raises Permanent if the configuration cannot be used."""
    import yaml
    from kubernetes import client, config

    configuration = client.Configuration()
    # urllib3 would resend reads silently; retries have one owner, and it is not here.
    configuration.retries = False
    try:
        if access == ClusterAccess() and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(configuration)
        else:
            path = str(access.kubeconfig) if access.kubeconfig is not None else None
            config.load_kube_config(path, access.context, configuration, False)
    except (config.ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as fault:
        # The fault's own text may quote the file, and the file holds the credentials.
        raise Permanent(
            f"cluster {name} cannot be reached: {access} is missing, unreadable or lacks the context ({type(fault).__name__})."
        ) from fault
    made = client.ApiClient(configuration)
    made.user_agent = "rollbackd"
    return made


def credentials(name: str, access: ClusterAccess, client: "ApiClient") -> dict[str, str]:
    """The authentication headers; a token that expires is renewed by the SDK on the way. Raises Transient or Permanent."""
    try:
        settings = client.configuration.auth_settings().values()
    except _faults() as fault:
        raise _unrenewed(name, access, fault) from fault
    found = {setting["key"]: setting["value"].strip() for setting in settings if setting["in"] == "header" and setting["value"]}
    # The HTTP library would say so too, and show the token.
    if not all(value.isascii() and value.isprintable() for value in found.values()):
        raise Permanent(f"the credentials for cluster {name}, from {access}, hold characters that no token has. Nothing was sent. Mend the token.")
    return found


def _faults() -> tuple[type[Exception], ...]:
    """What the SDK lets pass where a file, a command or an issuer of tokens fails it, or a kubeconfig is not as it expects."""
    from kubernetes.config import ConfigException
    from oauthlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]  # it comes with the SDK, and without types
    from urllib3.exceptions import HTTPError

    return ConfigException, OAuth2Error, HTTPError, OSError, ValueError, TypeError, LookupError, AttributeError


def _unrenewed(name: str, access: ClusterAccess, fault: Exception) -> AdapterError:
    from urllib3.exceptions import HTTPError

    file = f": {fault.filename}" if isinstance(fault, OSError) and fault.filename else ""
    what = f"the credentials for cluster {name}, from {access}, cannot be read or renewed ({type(fault).__name__}{file}). Nothing was sent."
    if isinstance(fault, OSError | HTTPError) and not isinstance(fault, _LASTING):
        return Transient(what)
    return Permanent(f"{what} Mend the file, or the kubeconfig's way to a token.")
