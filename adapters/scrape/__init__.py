"""The embedded source: reads /metrics pages by itself and counts increases exactly."""

from rollbackd.adapters.scrape.given import Given, Shown
from rollbackd.adapters.scrape.page import Endpoint, by_name
from rollbackd.adapters.scrape.source import Scrape

__all__ = ["Endpoint", "Given", "Scrape", "Shown", "by_name"]
