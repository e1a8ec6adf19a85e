"""Feature flags in Unleash."""

from rollbackd.adapters.unleash.project import Project
from rollbackd.adapters.unleash.target import Unleash

__all__ = ["Project", "Unleash"]
