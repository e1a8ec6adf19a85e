"""Kubernetes Deployments: seen, planned for, patched and verified through raw JSON."""

from rollbackd.adapters.kubernetes.access import ClusterAccess
from rollbackd.adapters.kubernetes.target import Kubernetes

__all__ = ["ClusterAccess", "Kubernetes"]
