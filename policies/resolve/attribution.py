"""``depends_on`` to keys, with what tells how much of each thing the target uses; ``reversible`` to what tells a migration."""

import re
from collections.abc import Collection, Sequence

from rollbackd.policies.documents.attribution import ByAnnotation, ByContainer, ByJob, ByMetric, DependencyItem, Unless, UsedDependency
from rollbackd.policies.model.keys import FORMS, parse_target, shared_key
from rollbackd.policies.model.policy import Dependency
from rollbackd.policies.resolve.remedy import UNCHECKED, References
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.yaml_text import Path

_BARE = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def dependencies(items: Sequence[DependencyItem], target: str, conditions: Collection[str], references: References) -> tuple[Dependency, ...]:
    """What the target depends on, in the order written. ``conditions``: the names of the policy's."""
    found: list[Dependency] = []
    for index, item in enumerate(items):
        path: Path = ("spec", "depends_on", index)
        on, use = (item.name, item.use) if isinstance(item, UsedDependency) else (item, None)
        key = _key(on, path, references)
        if key == target:
            references.findings.fault(path, "something else than the policy's target", quoted(on))
        if key in [each.on for each in found]:
            references.findings.fault(path, "each thing once", f"{quoted(on)} again")
        if use is not None and use not in conditions:
            references.findings.fault((*path, "use"), "a condition of this policy", quoted(use), choices(use, conditions, "known"))
        found.append(Dependency(key, use))
    return tuple(found)


def migrations(said: Unless | str) -> tuple[str, ...]:
    """The parts of a target whose change is a migration."""
    if isinstance(said, str):
        return ()
    return tuple(_part(mark) for mark in said.unless if isinstance(mark, ByContainer | ByAnnotation))


def _part(mark: ByContainer | ByAnnotation) -> str:
    return f"image {mark.container}" if isinstance(mark, ByContainer) else f"annotation {mark.annotation}"


def migration_jobs(said: Unless | str, target: str, references: References) -> tuple[str, ...]:
    """The names of the Jobs beside a target that are migrations."""
    if isinstance(said, str):
        return ()
    found = {index: mark.job for index, mark in enumerate(said.unless) if isinstance(mark, ByJob)}
    if not target.startswith("kubernetes:"):
        for index in found:
            path: Path = ("spec", "reversible", "unless", index, "job")
            references.findings.fault(path, "a Deployment as the target: Jobs run beside it", quoted(target))
    return tuple(found.values())


def migration_metrics(said: Unless | str, kind: str | None, references: References) -> tuple[str, ...]:
    """The expressions that tell a migration by their value. ``kind``: that of the policy's source; None: not known."""
    if isinstance(said, str):
        return ()
    found = {index: mark.metric for index, mark in enumerate(said.unless) if isinstance(mark, ByMetric)}
    for index in found if kind not in (None, "prometheus") else ():
        path: Path = ("spec", "reversible", "unless", index, "metric")
        hint = "the value now is compared with that before the change, so it takes a source that keeps history"
        references.findings.fault(path, "a policy whose source is a Prometheus", f"one of kind {kind}", hint)
    return tuple(found.values())


def _key(written: str, path: Path, references: References) -> str:
    if _BARE.fullmatch(written):
        return shared_key(written)
    cluster = references.names.default_cluster if references.names else UNCHECKED
    try:
        return parse_target(written, cluster)
    except ValueError:
        references.findings.fault(path, "the name of a shared thing, or a target", quoted(written), f"write orders-db, {FORMS}")
        return written
