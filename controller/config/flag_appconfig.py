"""AppConfig as a flag provider of the daemon's config: as written, and as the daemon reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from rollbackd.controller.config.accounts import AccountConfig
from rollbackd.controller.config.flags import MAX_FLAGS, FlagKind, FlagParts, FlagProviderConfig
from rollbackd.policies.documents.base import Duration, Text
from rollbackd.policies.documents.targets import Region
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.validate import Findings

SETTLE = timedelta(minutes=1)
_Named: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfigProvider:
    """A feature-flags profile in one environment. ``safe_states``: off, on or leave, by flag."""

    kind: ClassVar[str] = "appconfig"
    has_environments: ClassVar[bool] = False
    has_tags: ClassVar[bool] = False

    account: str
    region: str
    application: str
    environment: str
    profile: str
    strategy: str
    settle: timedelta = SETTLE
    safe_states: Mapping[str, str] = field(default_factory=dict)
    max_flags: int = MAX_FLAGS


class AppConfigParts(FlagParts):
    """A feature-flags profile of AppConfig in one environment."""

    kind: Literal["appconfig"] = Field("appconfig", description="What it is. Default: its name.")
    account: Text = Field(description="An account of `accounts`.")
    region: Region = Field(description="One of its regions.")
    application: _Named = Field(description="The application, by name.")
    environment: _Named = Field(description="The environment, by name.")
    profile: _Named = Field(description="The configuration profile, by name; of type feature flags.")
    strategy: Annotated[str, Field(pattern="^[A-Za-z0-9.]+$", max_length=64)] = Field(
        description="The id of a deployment strategy that is at once and does not bake: the one for our own deployments."
    )
    settle: Duration | None = Field(None, description="How long applications may take to see a change. Default 1m; AppConfig's agent asks every 45s.")
    safe_states: dict[Text, Literal["off", "on", "leave"]] = Field(
        default_factory=dict, description="What is safe, by flag: `off`, `on`, or `leave`: never touched. Default: as in the version before."
    )


def _read(parts: AppConfigParts, _: Path) -> AppConfigProvider:
    return AppConfigProvider(
        account=parts.account,
        region=parts.region,
        application=parts.application,
        environment=parts.environment,
        profile=parts.profile,
        strategy=parts.strategy,
        settle=parts.settle if parts.settle is not None else SETTLE,
        safe_states=dict(parts.safe_states),
        max_flags=parts.max_flags,
    )


def check_accounts(providers: Mapping[str, FlagProviderConfig], accounts: Mapping[str, AccountConfig], findings: Findings) -> None:
    """A provider of an account or a region that the config does not have is among the findings."""
    for name, provider in providers.items():
        if not isinstance(provider, AppConfigProvider):
            continue
        if (account := accounts.get(provider.account)) is None:
            findings.fault(("flags", name, "account"), "an account", quoted(provider.account), choices(provider.account, accounts, "accounts"))
        elif provider.region not in account.regions:
            findings.fault(("flags", name, "region"), f"a region of account {provider.account}", quoted(provider.region), ", ".join(account.regions))


KIND = FlagKind(AppConfigParts, _read)
