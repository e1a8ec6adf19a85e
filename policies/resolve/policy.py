"""A policy as written, the library and the config's names to one frozen policy, or faults. Nothing in between: a faulty policy does not exist."""

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from functools import cache

from rollbackd.policies.documents.fleet import OwnerRouting
from rollbackd.policies.documents.policy import FleetSpec, PolicyDocument, Spec
from rollbackd.policies.documents.targets import OnKubernetes
from rollbackd.policies.fleets.policy import NAME, NAMESPACE, Expected, FleetPolicy, blanks_in
from rollbackd.policies.model.policy import Approvals, Mode, OutsideWatch, Policy, Timing
from rollbackd.policies.resolve.attribution import dependencies, migration_jobs, migration_metrics, migrations
from rollbackd.policies.resolve.conditions import Conditions
from rollbackd.policies.resolve.confirm import bounded
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.resolve.profiles import Library
from rollbackd.policies.resolve.remedy import References
from rollbackd.policies.resolve.watch import check_watches
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.units import Quantity, written
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

__all__ = ["Names", "resolve"]

DEFAULT_EVERY = timedelta(seconds=15)
DEFAULT_WATCH = timedelta(hours=1)
DEFAULT_RISK = 0.01
DEFAULT_SOURCE = "prometheus"


def resolve(document: PolicyDocument, library: Library, names: Names | None, findings: Findings) -> Policy | FleetPolicy | None:
    """The policy; None after at least one fault. ``names`` None: what a policy names is not checked."""
    spec = document.spec
    references = References(names, findings)
    policy = _policy(document, library, references)
    fleet = _fleet(spec, policy, references) if isinstance(spec, FleetSpec) else None
    _check_remedy(spec, policy.mode, findings)
    _check_contacts(spec, policy.mode, references)
    if findings.is_faulty:
        return None
    return fleet if fleet is not None else _with_digest(policy)


def _policy(document: PolicyDocument, library: Library, references: References) -> Policy:
    """The policy without its digest; that of a fleet has blanks where a member's own name and namespace stand."""
    spec, names, findings = document.spec, references.names, references.findings
    target = references.fleet_target(spec.select) if isinstance(spec, FleetSpec) else references.target(spec.target, ("spec", "target"))
    every = spec.every or DEFAULT_EVERY
    source = _source(spec, names, findings)
    kind = names.source_kinds.get(source) if names else None
    conditions = Conditions(spec, every, _workload(spec), target, kind, library, names, findings)
    trigger = conditions.resolve()
    found = bounded(conditions.found, _risk(spec))
    watch, timing = _watch(spec), _timing(spec, findings)
    check_watches(found, conditions.places, watch, timing.warmup, every, findings)
    return Policy(
        name=document.metadata.name,
        file=findings.document.file,
        digest="",
        labels=tuple(sorted(document.metadata.labels.items())),
        mode=Mode[spec.mode.upper()],
        target=target,
        source=source,
        every=every,
        watch=watch,
        outside_watch=OutsideWatch(spec.outside_watch),
        timing=timing,
        conditions=found,
        trigger=trigger,
        ladder=references.ladder(spec.remedy or (), target, is_fleet=isinstance(spec, FleetSpec)),
        notify=_notify(spec),
        depends_on=dependencies(spec.depends_on or (), target, [condition.name for condition in found], references),
        migrations=migrations(spec.reversible),
        migration_jobs=migration_jobs(spec.reversible, target, references),
        migration_metrics=migration_metrics(spec.reversible, kind, references),
        approvals=Approvals(spec.approvals.count, spec.approvals.within or Approvals().within) if spec.approvals else Approvals(),
        is_metered=conditions.on_cloudwatch,
    )


def _workload(spec: Spec | FleetSpec) -> tuple[str, str] | None:
    """Namespace and name of what is watched, as a profile's labels have them."""
    if isinstance(spec, FleetSpec):
        return NAMESPACE, NAME
    place = spec.target.kubernetes if isinstance(spec.target, OnKubernetes) else None
    return (place.namespace, place.deployment) if place else None


def _notify(spec: Spec | FleetSpec) -> tuple[str, ...]:
    return (spec.notify.fallback,) if isinstance(spec.notify, OwnerRouting) else tuple(spec.notify or ())


def _fleet(spec: FleetSpec, template: Policy, references: References) -> FleetPolicy:
    _check_join(spec, references.findings)
    template = _with_digest(template)
    select, expect = references.selection(spec.select), Expected(spec.select.expect.min, spec.select.expect.max)
    owner = spec.notify.owner.label if isinstance(spec.notify, OwnerRouting) else None
    return FleetPolicy(template, select, expect, owner, _digest([template.digest, _meaning(select), _meaning(expect), owner]))


def _check_join(spec: FleetSpec, findings: Findings) -> None:
    """Series that nothing of the member's own tells apart would be everybody's evidence."""
    if spec.join is None:
        return
    blanks = {blank for value in spec.join.values() for blank in blanks_in(value)}
    if NAME not in blanks:
        findings.fault(("spec", "join"), f"a label with {NAME}", "none", "without it every member is judged by the same series")
    elif NAMESPACE not in blanks and len(spec.select.kubernetes.namespaces or ()) != 1:
        findings.warn(("spec", "join"), f"no label with {NAMESPACE}", "workloads that have one name in two namespaces are only observed")


def _risk(spec: Spec | FleetSpec) -> float | None:
    if spec.max_false_rollback == "none":
        return None
    return spec.max_false_rollback.value if isinstance(spec.max_false_rollback, Quantity) else DEFAULT_RISK


def _watch(spec: Spec | FleetSpec) -> timedelta | None:
    if spec.watch == "always":
        return None
    return spec.watch if isinstance(spec.watch, timedelta) else DEFAULT_WATCH


def _source(spec: Spec | FleetSpec, names: Names | None, findings: Findings) -> str:
    if names is None:
        return spec.source or DEFAULT_SOURCE
    only = next(iter(names.sources)) if len(names.sources) == 1 else DEFAULT_SOURCE
    source = spec.source or only
    if source not in names.sources:
        if spec.source:
            findings.fault(("spec", "source"), "a source of the daemon's config", quoted(source), choices(source, names.sources, "known"))
        else:
            findings.lack(("spec", "source"), "the key 'source'", f"the daemon's config has these: {', '.join(sorted(names.sources)) or 'none'}")
    return source


def _timing(spec: Spec | FleetSpec, findings: Findings) -> Timing:
    said = {name: value for name, value in (spec.timing or ()) if value is not None}
    timing = Timing(**said)
    if timing.recover_for > timing.give_up and not findings.was_cut(("spec", "timing", "give_up")):
        hint = "an incident would always be given up before it has recovered"
        expected = f"'recover_for' no longer than 'give_up' ({written(timing.give_up)})"
        findings.fault(("spec", "timing", "recover_for"), expected, written(timing.recover_for), hint)
    return timing


def _check_remedy(spec: Spec | FleetSpec, mode: Mode, findings: Findings) -> None:
    if mode is Mode.OBSERVE or spec.remedy:
        return
    expected, hint = f"a 'remedy' in mode {spec.mode}", "say what is to be done, or observe"
    if spec.remedy is None:
        findings.lack(("spec", "remedy"), expected, hint)
    else:
        findings.fault(("spec", "remedy"), expected, "an empty list", hint)


def _check_contacts(spec: Spec | FleetSpec, mode: Mode, references: References) -> None:
    names, findings = references.names, references.findings
    if isinstance(spec.notify, OwnerRouting):
        written: list[tuple[str, Path]] = [(spec.notify.fallback, ("spec", "notify", "fallback"))]
    else:
        written = [(contact, ("spec", "notify", index)) for index, contact in enumerate(spec.notify or ())]
    for contact, path in written:
        if names:
            references.check(contact, names.contacts, "contact", path)
    if mode > Mode.OBSERVE and not spec.notify:
        findings.warn(("spec",), f"nobody is told in mode {spec.mode}", "name contacts under 'notify'")


def _with_digest(policy: Policy) -> Policy:
    meaning = [_meaning(getattr(policy, name)) for name, _ in _members(Policy) if name not in ("file", "digest", "fleet", "notes")]
    object.__setattr__(policy, "digest", _digest(meaning))
    return policy


def _digest(meaning: object) -> str:
    return hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).hexdigest()


@cache
def _members(kind: type) -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in fields(kind))


def _meaning(value: object) -> object:
    """A value in JSON that names its kinds. What stands at its default is left out, so a field added later changes no digest."""
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, tuple):
        return [_meaning(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        said = {name: _meaning(held) for name, default in _members(type(value)) if (held := getattr(value, name)) != default or default is MISSING}
        return [type(value).__name__, said]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.name
    return value
