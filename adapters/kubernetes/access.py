"""How a cluster is reached: the SDK's own configuration, authentication and TLS, loaded when first needed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollbackd.adapters.base.errors import Permanent

if TYPE_CHECKING:
    from kubernetes.client import ApiClient


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """A kubeconfig and a context in it; neither: the pod's own service account, else the default kubeconfig."""

    kubeconfig: Path | None = None
    context: str | None = None


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
        where = access.kubeconfig or "the service account or the default kubeconfig"
        raise Permanent(f"cluster {name} cannot be reached: {where} is missing, unreadable or lacks the context ({type(fault).__name__}).") from fault
    made = client.ApiClient(configuration)
    made.user_agent = "rollbackd"
    return made
