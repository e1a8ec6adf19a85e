"""The Prometheus source, and whatever speaks its query API. Reads only; its one public name is ``Prometheus``."""

from rollbackd.adapters.prometheus.source import Prometheus

__all__ = ["Prometheus"]
