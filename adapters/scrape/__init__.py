"""The embedded source: reads /metrics pages by itself and counts increases exactly."""

from rollbackd.adapters.scrape.page import Endpoint, by_name, these
from rollbackd.adapters.scrape.source import Scrape

__all__ = ["Endpoint", "Scrape", "by_name", "these"]
