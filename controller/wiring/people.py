"""From the config to the cluster that knows people."""

from rollbackd.controller.api.cluster import ClusterPeople
from rollbackd.controller.config import values


def cluster_people(config: values.Config) -> ClusterPeople | None:
    """Whom the config lets prove names beside `api.people`; None where it names nobody."""
    if (rights := config.api.kubernetes) is None:
        return None
    from rollbackd.adapters.kubernetes import ClusterAccess
    from rollbackd.adapters.kubernetes.reviews import Reviews

    cluster = config.clusters[rights.cluster]
    return ClusterPeople(Reviews(rights.cluster, ClusterAccess(cluster.kubeconfig, cluster.context), rights.audience), rights.namespace)
