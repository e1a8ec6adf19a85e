"""Feature flags in LaunchDarkly."""

from rollbackd.adapters.launchdarkly.target import LaunchDarkly, Project, api

__all__ = ["LaunchDarkly", "Project", "api"]
