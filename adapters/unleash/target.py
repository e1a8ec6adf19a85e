"""The Target of every Unleash project, by the place that its keys name: ``unleash:default/production/tag:checkout``."""

from collections.abc import Mapping

from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.unleash.project import Project


class Unleash(FlagTarget):
    """All flags of all configured projects."""

    def __init__(self, projects: Mapping[str, Project]) -> None:
        super().__init__("unleash", projects, has_environments=True)
