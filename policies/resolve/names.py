"""What the daemon's config offers for policies to name."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a policy may use. ``flag_providers``: name to kind; ``flag_places``: name to the place in its keys, where that is another.

    ``default_cluster``: the only cluster, None where there are several. ``tagged`` and ``with_environments``: the flag providers that
    know tags, and those that know environments. ``accounts``: name to regions. ``source_kinds``: those
    of the sources, by name.
    """

    sources: frozenset[str]
    clusters: frozenset[str]
    default_cluster: str | None
    flag_providers: Mapping[str, str] = field(default_factory=dict)
    flag_places: Mapping[str, str] = field(default_factory=dict)
    tagged: frozenset[str] = frozenset()
    with_environments: frozenset[str] = frozenset()
    commands: frozenset[str] = frozenset()
    contacts: frozenset[str] = frozenset()
    probes: frozenset[str] = frozenset()
    accounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source_kinds: Mapping[str, str] = field(default_factory=dict)
