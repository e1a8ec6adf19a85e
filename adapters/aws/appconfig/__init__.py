"""Feature flags in AppConfig."""

from rollbackd.adapters.aws.appconfig.place import Place
from rollbackd.adapters.aws.appconfig.profile import Profile
from rollbackd.adapters.aws.appconfig.target import AppConfig

__all__ = ["AppConfig", "Place", "Profile"]
