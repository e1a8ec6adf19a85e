"""Feature flags and settings in ConfigCat."""

from rollbackd.adapters.configcat.target import ConfigCat, ConfigFile, api, cdn

__all__ = ["ConfigCat", "ConfigFile", "api", "cdn"]
