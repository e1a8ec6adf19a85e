"""From the flag providers of the config to the targets of flags."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.base.target import Target
from rollbackd.controller.config.flag_appconfig import AppConfigProvider
from rollbackd.controller.config.flags import FlagdProvider, FlagProviderConfig, UnleashProvider, place_of
from rollbackd.controller.wiring.flag_vendors import vendor_targets

P = TypeVar("P")
Placed: TypeAlias = tuple[str, str, P]
"""The place that its keys name, its name, and what is configured."""


def flag_targets(providers: Mapping[str, FlagProviderConfig], amazon: Aws) -> dict[str, Target]:
    """A target for each kind of flags that is configured, and for flagd. ``amazon``: what AppConfig is reached through."""
    found: dict[str, Target] = {"flagd": _flagd(_of_kind(providers, FlagdProvider))}
    if unleash := _of_kind(providers, UnleashProvider):
        found["unleash"] = _unleash(unleash)
    if profiles := _of_kind(providers, AppConfigProvider):
        found["appconfig"] = _appconfig(profiles, amazon)
    return {**found, **vendor_targets(providers)}


def _flagd(written: Sequence[Placed[FlagdProvider]]) -> Target:
    from rollbackd.adapters.flagd import Flagd, FlagFile

    return Flagd(
        {
            place: FlagFile(name, each.file, settle=each.settle, safe_states=each.safe_states, max_flags=each.max_flags)
            for place, name, each in written
        }
    )


def _unleash(written: Sequence[Placed[UnleashProvider]]) -> Target:
    from rollbackd.adapters.unleash import Project, Unleash

    return Unleash(
        {
            place: Project(
                name,
                each.url,
                each.token_file,
                each.client_token_file,
                project=each.project,
                ca_file=each.ca_file,
                timeout=each.timeout,
                settle=each.settle,
                safe_states=each.safe_states,
                max_flags=each.max_flags,
            )
            for place, name, each in written
        }
    )


def _appconfig(written: Sequence[Placed[AppConfigProvider]], amazon: Aws) -> Target:
    from rollbackd.adapters.aws.appconfig import AppConfig, Place, Profile

    return AppConfig(
        {
            place: Profile(
                name,
                Place(amazon, each.account, each.region, each.application, each.environment, each.profile, each.strategy),
                settle=each.settle,
                safe_states=each.safe_states,
                max_flags=each.max_flags,
            )
            for place, name, each in written
        }
    )


def _of_kind(providers: Mapping[str, FlagProviderConfig], kind: type[P]) -> list[Placed[P]]:
    """The providers of this kind."""
    return [(place_of(name, each), name, each) for name, each in providers.items() if isinstance(each, kind)]
