"""A real Kubernetes control plane for the tests: etcd, kube-apiserver and kube-controller-manager on loopback ports, and a node agent of our own.

No kubelet runs here: ``node.Node`` binds pods and says how they fare, by the very rules of the double. All else is the real thing.
"""

from tests.kube.assets import missing_assets
from tests.kube.cluster import RealKube, running_cluster

__all__ = ["RealKube", "missing_assets", "running_cluster"]
