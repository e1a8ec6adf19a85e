"""From the flag providers of the config to the targets of flags."""

from collections.abc import Mapping
from typing import TypeVar

from rollbackd.adapters.base.target import Target
from rollbackd.controller.config_flags import FlagdProvider, FlagProviderConfig, place_of

P = TypeVar("P")


def flag_targets(providers: Mapping[str, FlagProviderConfig]) -> dict[str, Target]:
    """A target for each kind of flags that is configured, and for flagd."""
    from rollbackd.adapters.flagd import Flagd, FlagFile

    files = {
        place: FlagFile(name, f.file, settle=f.settle, safe_states=f.safe_states, max_flags=f.max_flags)
        for place, name, f in _of_kind(providers, FlagdProvider)
    }
    return {"flagd": Flagd(files)}


def _of_kind(providers: Mapping[str, FlagProviderConfig], kind: type[P]) -> list[tuple[str, str, P]]:
    """Place, name and config of each provider of this kind."""
    return [(place_of(name, each), name, each) for name, each in providers.items() if isinstance(each, kind)]
