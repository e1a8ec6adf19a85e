"""The Target of every AppConfig profile, by provider name: ``appconfig:shop/all``, ``appconfig:shop/flags:a,b``."""

from collections.abc import Mapping

from rollbackd.adapters.aws.appconfig.profile import Profile
from rollbackd.adapters.base.flag_target import FlagTarget


class AppConfig(FlagTarget):
    """All flags of all configured profiles. A provider is one environment, so its keys name none."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        super().__init__("appconfig", profiles, has_environments=False)
