"""From the flag providers of the config to the targets of flags."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from rollbackd.adapters.base.target import Target
from rollbackd.controller.config_flags import FlagdProvider, FlagProviderConfig, UnleashProvider, place_of
from rollbackd.controller.wiring_flag_vendors import vendor_targets

P = TypeVar("P")
Placed: TypeAlias = tuple[str, str, P]
"""The place that its keys name, its name, and what is configured."""


def flag_targets(providers: Mapping[str, FlagProviderConfig]) -> dict[str, Target]:
    """A target for each kind of flags that is configured, and for flagd."""
    found: dict[str, Target] = {"flagd": _flagd(_of_kind(providers, FlagdProvider))}
    if unleash := _of_kind(providers, UnleashProvider):
        found["unleash"] = _unleash(unleash)
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


def _of_kind(providers: Mapping[str, FlagProviderConfig], kind: type[P]) -> list[Placed[P]]:
    """The providers of this kind."""
    return [(place_of(name, each), name, each) for name, each in providers.items() if isinstance(each, kind)]
