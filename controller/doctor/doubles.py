"""Series that are counted together and should not be: of one program, scraped twice, or of two clusters."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from rollbackd.adapters.base.source import Identity, RowKey
from rollbackd.controller.doctor.labels import Labels

SCRAPED_BY = ("job", "prometheus", "prometheus_replica", "scrape_job")
"""Labels that a scrape or a store adds, and no program."""
BESIDE = ("endpoint", "service")
"""Labels that a scrape may add as well, and so may a program: alone they are no sign of anything."""
LOOKED_THROUGH = 500
"""So many series are looked through, the highest: what is scraped twice has about the same value twice."""


CLUSTER = ("cluster", "k8s_cluster_name", "cluster_name", "cluster_id")
"""Labels by which stores for several clusters commonly tell them apart."""


def doubles(shown: Sequence[Labels], identity: Identity) -> Mapping[RowKey, str]:
    """Of each workload that is seen to be counted twice, by what its series differ."""
    telling = {*identity.labels, *([] if identity.derived is None else [identity.derived.source])}
    aside = {*SCRAPED_BY, *BESIDE} - telling
    alike: dict[tuple[tuple[str, str], ...], list[Labels]] = defaultdict(list)
    for labels in shown:
        alike[tuple(sorted((name, value) for name, value in labels.items() if name not in aside))].append(labels)
    found: dict[RowKey, str] = {}
    for series in alike.values():
        by = next((label for label in SCRAPED_BY if len({labels.get(label, "") for labels in series}) > 1), None)
        if by is not None and (row := _row(identity, series[0])) is not None:
            found.setdefault(row, _apart(by, series))
    return found


def clusters(shown: Sequence[Labels], identity: Identity) -> Mapping[RowKey, str]:
    """Of each workload that has series of several clusters, which those are."""
    found: dict[RowKey, str] = {}
    for by in CLUSTER:
        rows: dict[RowKey, list[Labels]] = defaultdict(list)
        for labels in shown:
            if by in labels and (row := _row(identity, labels)) is not None:
                rows[row].append(labels)
        for row, series in rows.items():
            if len({labels[by] for labels in series}) > 1:
                found.setdefault(row, _apart(by, series))
    return found


def _apart(by: str, series: Sequence[Labels]) -> str:
    return " and ".join(f'{by}="{value}"' for value in sorted({labels.get(by, "") for labels in series}))


def _row(identity: Identity, labels: Labels) -> RowKey | None:
    """The workload that these labels are of, as the identity spells it; None where they are of none."""
    known = dict(labels)
    if (derived := identity.derived) is not None and (part := re.fullmatch(derived.pattern, labels.get(derived.source, ""))) is not None:
        known[derived.label] = part[1]
    return tuple(known[label] for label in identity.labels) if all(label in known for label in identity.labels) else None
