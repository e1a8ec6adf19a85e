"""The hosted flag services of the daemon's config: as written, and as the daemon reads them. ``KINDS`` holds every kind of flags there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from rollbackd.controller.config import flag_appconfig as config_flag_appconfig
from rollbackd.controller.config import flags as config_flags
from rollbackd.controller.config.flag_appconfig import AppConfigProvider
from rollbackd.controller.config.flags import MAX_FLAGS, SETTLE, FlagKind, FlagParts, ProjectName
from rollbackd.controller.config.leaves import FilePath, WebUrl
from rollbackd.policies.documents.base import PositiveDuration, Text

TIMEOUT = timedelta(seconds=10)
_Switch: TypeAlias = Literal["off", "on", "leave"]
_Identity: TypeAlias = Annotated[str, Field(pattern="^[A-Za-z0-9-]+$", max_length=100)]


# As the daemon reads them


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedProvider:
    """What all hosted services share. ``key_files``: by environment, the key of its SDKs; without one an environment's evaluation is not asked."""

    has_environments: ClassVar[bool] = True
    has_tags: ClassVar[bool] = True

    url: str
    token_file: Path
    ca_file: Path | None = None
    timeout: timedelta = TIMEOUT
    key_files: Mapping[str, Path] = field(default_factory=dict)
    settle: timedelta = SETTLE
    safe_states: Mapping[str, str] = field(default_factory=dict)
    max_flags: int = MAX_FLAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchDarklyProvider(HostedProvider):
    """A LaunchDarkly project."""

    kind: ClassVar[str] = "launchdarkly"

    project: str
    sdk_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagsmithProvider(HostedProvider):
    """A Flagsmith project. ``flags_url``: where its SDKs ask."""

    kind: ClassVar[str] = "flagsmith"

    number: int
    flags_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthBookProvider(HostedProvider):
    """A GrowthBook organisation. ``project``: only its features."""

    kind: ClassVar[str] = "growthbook"

    project: str | None
    sdk_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigCatProvider(HostedProvider):
    """A config of a ConfigCat product."""

    kind: ClassVar[str] = "configcat"

    product: str
    config: str
    cdn_url: str


VendorProvider: TypeAlias = LaunchDarklyProvider | FlagsmithProvider | GrowthBookProvider | ConfigCatProvider | AppConfigProvider


# As written


class HostedParts(FlagParts):
    """What all hosted services share."""

    token_file: FilePath = Field(description="A file that holds the secret of the service's management API.")
    ca_file: FilePath | None = Field(None, description="A file with the certificates to trust.")
    timeout: PositiveDuration | None = Field(None, description="The longest wait for an answer. Default 10s.")


class LaunchDarklyParts(HostedParts):
    """A LaunchDarkly project."""

    kind: Literal["launchdarkly"] = Field("launchdarkly", description="What it is. Default: its name.")
    url: WebUrl = Field("https://app.launchdarkly.com", description="The REST API, without /api. Default the commercial instance.")
    sdk_url: WebUrl = Field("https://sdk.launchdarkly.com", description="Where SDKs poll. Default the commercial instance.")
    project: ProjectName = Field(description="The project's key.")
    sdk_key_files: dict[Text, FilePath] = Field(
        default_factory=dict, description="By environment, a file with its SDK key, to see that applications are served what was written."
    )
    safe_states: dict[Text, Text] = Field(
        default_factory=dict, description="What is safe, by flag: `off`, `on`, `leave`, or the variation to serve when off. Default: off."
    )


class FlagsmithParts(HostedParts):
    """A Flagsmith project."""

    kind: Literal["flagsmith"] = Field("flagsmith", description="What it is. Default: its name.")
    url: WebUrl = Field("https://api.flagsmith.com", description="The Admin API, without /api. Default the hosted instance.")
    flags_url: WebUrl | None = Field(None, description="Where SDKs ask. Default https://edge.api.flagsmith.com for the hosted instance, else `url`.")
    project: Annotated[int, Field(ge=1)] = Field(description="The project's number, as its address shows it.")
    safe_states: dict[Text, _Switch] = Field(
        default_factory=dict, description="What is safe, by flag: `off`, `on`, or `leave`: never touched. Default: off."
    )


class GrowthBookParts(HostedParts):
    """A GrowthBook organisation."""

    kind: Literal["growthbook"] = Field("growthbook", description="What it is. Default: its name.")
    url: WebUrl = Field("https://api.growthbook.io", description="The REST API, without /api. Default GrowthBook Cloud.")
    sdk_url: WebUrl | None = Field(None, description="Where SDKs ask. Default https://cdn.growthbook.io for GrowthBook Cloud, else `url`.")
    project: ProjectName | None = Field(None, description="Only the features of this project, by its id. Default: all.")
    client_key_files: dict[Text, FilePath] = Field(
        default_factory=dict, description="By environment, a file with a client key, to see that applications are served what was written."
    )
    safe_states: dict[Text, _Switch] = Field(
        default_factory=dict, description="What is safe, by flag: `off`, `on`, or `leave`: never touched. Default: off for a boolean feature."
    )


class ConfigCatParts(HostedParts):
    """A config of a ConfigCat product."""

    kind: Literal["configcat"] = Field("configcat", description="What it is. Default: its name.")
    url: WebUrl = Field("https://api.configcat.com", description="The Public Management API.")
    cdn_url: WebUrl = Field("https://cdn-global.configcat.com", description="Where SDKs download. Default the global network; or its EU one.")
    product: _Identity = Field(description="The product's id.")
    config: _Identity = Field(description="The config's id.")
    sdk_key_files: dict[Text, FilePath] = Field(
        default_factory=dict, description="By environment, a file with its SDK key, to see that applications are served what was written."
    )
    safe_states: dict[Text, Text] = Field(
        default_factory=dict,
        description="What is safe, by flag: `off`, `on`, `leave`, or the value to serve to everybody. Default: off for a boolean flag.",
    )


def _launchdarkly(parts: LaunchDarklyParts, base: Path) -> LaunchDarklyProvider:
    return LaunchDarklyProvider(**_shared(parts, base, parts.sdk_key_files), project=parts.project, sdk_url=parts.sdk_url)


def _flagsmith(parts: FlagsmithParts, base: Path) -> FlagsmithProvider:
    hosted = parts.url.rstrip("/") == "https://api.flagsmith.com"
    flags_url = parts.flags_url or ("https://edge.api.flagsmith.com" if hosted else parts.url)
    return FlagsmithProvider(**_shared(parts, base, {}), number=parts.project, flags_url=flags_url)


def _growthbook(parts: GrowthBookParts, base: Path) -> GrowthBookProvider:
    hosted = parts.url.rstrip("/") == "https://api.growthbook.io"
    sdk_url = parts.sdk_url or ("https://cdn.growthbook.io" if hosted else parts.url)
    return GrowthBookProvider(**_shared(parts, base, parts.client_key_files), project=parts.project, sdk_url=sdk_url)


def _configcat(parts: ConfigCatParts, base: Path) -> ConfigCatProvider:
    return ConfigCatProvider(**_shared(parts, base, parts.sdk_key_files), product=parts.product, config=parts.config, cdn_url=parts.cdn_url)


def _shared(parts: Any, base: Path, key_files: Mapping[str, str]) -> dict[str, Any]:  # Any: each service's own document
    return {
        "url": parts.url,
        "token_file": base / parts.token_file,
        "ca_file": base / parts.ca_file if parts.ca_file else None,
        "timeout": parts.timeout or TIMEOUT,
        "key_files": {environment: base / file for environment, file in key_files.items()},
        "settle": parts.settle if parts.settle is not None else SETTLE,
        "safe_states": dict(parts.safe_states),
        "max_flags": parts.max_flags,
    }


KINDS: Mapping[str, FlagKind] = {
    **config_flags.KINDS,
    "launchdarkly": FlagKind(LaunchDarklyParts, _launchdarkly),
    "flagsmith": FlagKind(FlagsmithParts, _flagsmith),
    "growthbook": FlagKind(GrowthBookParts, _growthbook),
    "configcat": FlagKind(ConfigCatParts, _configcat),
    "appconfig": config_flag_appconfig.KIND,
}
