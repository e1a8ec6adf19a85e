"""Feature flags in flagd flag files."""

from rollbackd.adapters.flagd.target import Flagd, FlagFile

__all__ = ["FlagFile", "Flagd"]
