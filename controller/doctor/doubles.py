"""Series that differ in nothing but who scraped them: the same events, counted once for each."""

import re
from collections import defaultdict
from collections.abc import Mapping

from rollbackd.adapters.base.source import Identity, RowKey, Selector
from rollbackd.controller.doctor.labels import Labels, Show

SCRAPED_BY = ("job", "prometheus", "prometheus_replica", "scrape_job")
"""Labels that a scrape or a store adds, and no program."""
BESIDE = ("endpoint", "service")
"""Labels that a scrape may add as well, and so may a program: alone they are no sign of anything."""
LOOKED_THROUGH = 500
"""So many series are looked through, the highest: what is scraped twice has about the same value twice."""


def doubles(show: Show, selector: Selector, identity: Identity) -> Mapping[RowKey, str]:
    """Of each workload that is seen to be counted twice, by what its series differ. Raises Transient or Permanent."""
    telling = {*identity.labels, *([] if identity.derived is None else [identity.derived.source])}
    aside = {*SCRAPED_BY, *BESIDE} - telling
    alike: dict[tuple[tuple[str, str], ...], list[Labels]] = defaultdict(list)
    for labels in show(selector, LOOKED_THROUGH):
        alike[tuple(sorted((name, value) for name, value in labels.items() if name not in aside))].append(labels)
    found: dict[RowKey, str] = {}
    for series in alike.values():
        by = next((label for label in SCRAPED_BY if len({labels.get(label, "") for labels in series}) > 1), None)
        if by is not None and (row := _row(identity, series[0])) is not None:
            found.setdefault(row, " and ".join(f'{by}="{value}"' for value in sorted({labels.get(by, "") for labels in series})))
    return found


def _row(identity: Identity, labels: Labels) -> RowKey | None:
    """The workload that these labels are of, as the identity spells it; None where they are of none."""
    known = dict(labels)
    if (derived := identity.derived) is not None and (part := re.fullmatch(derived.pattern, labels.get(derived.source, ""))) is not None:
        known[derived.label] = part[1]
    return tuple(known[label] for label in identity.labels) if all(label in known for label in identity.labels) else None
