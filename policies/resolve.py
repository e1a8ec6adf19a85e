"""A policy as written, the library and the config's names to one frozen Policy, or faults. Nothing in between: a faulty policy does not exist."""

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from functools import cache

from rollbackd.policies.documents import OnKubernetes, PolicyDocument, Spec
from rollbackd.policies.faults import choices, quoted
from rollbackd.policies.model import Approvals, Mode, OutsideWatch, Policy, Timing
from rollbackd.policies.names import Names
from rollbackd.policies.profiles import Library
from rollbackd.policies.resolve_conditions import Conditions
from rollbackd.policies.resolve_remedy import References
from rollbackd.policies.units import written
from rollbackd.policies.validate import Findings

__all__ = ["Names", "resolve"]

DEFAULT_EVERY = timedelta(seconds=15)
DEFAULT_WATCH = timedelta(hours=1)
DEFAULT_SOURCE = "prometheus"


def resolve(document: PolicyDocument, library: Library, names: Names | None, findings: Findings) -> Policy | None:
    """The policy; None after at least one fault. ``names`` None: what a policy names is not checked."""
    spec = document.spec
    references = References(names, findings)
    target = references.target(spec.target, ("spec", "target"))
    every = spec.every or DEFAULT_EVERY
    place = spec.target.kubernetes if isinstance(spec.target, OnKubernetes) else None
    workload = (place.namespace, place.deployment) if place else None
    conditions = Conditions(spec, every, workload, library, names, findings)
    trigger = conditions.resolve()
    mode = Mode[spec.mode.upper()]
    policy = Policy(
        name=document.metadata.name,
        file=findings.document.file,
        digest="",
        labels=tuple(sorted(document.metadata.labels.items())),
        mode=mode,
        target=target,
        source=_source(spec, names, findings),
        every=every,
        watch=_watch(spec),
        outside_watch=OutsideWatch(spec.outside_watch),
        timing=_timing(spec, findings),
        conditions=tuple(conditions.found),
        trigger=trigger,
        ladder=references.ladder(spec.remedy or (), target),
        notify=tuple(spec.notify or ()),
        approvals=Approvals(spec.approvals.count, spec.approvals.within or Approvals().within) if spec.approvals else Approvals(),
    )
    _check_remedy(spec, mode, findings)
    _check_contacts(spec, mode, names, references, findings)
    return None if findings.is_faulty else _with_digest(policy)


def _watch(spec: Spec) -> timedelta | None:
    if spec.watch == "always":
        return None
    return spec.watch if isinstance(spec.watch, timedelta) else DEFAULT_WATCH


def _source(spec: Spec, names: Names | None, findings: Findings) -> str:
    if names is None:
        return spec.source or DEFAULT_SOURCE
    only = next(iter(names.sources)) if len(names.sources) == 1 else DEFAULT_SOURCE
    source = spec.source or only
    if source not in names.sources:
        if spec.source:
            findings.fault(("spec", "source"), "a source of the daemon's config", quoted(source), choices(source, names.sources, "known"))
        else:
            findings.fault(("spec",), "the key 'source'", "none", f"the daemon's config has these: {', '.join(sorted(names.sources)) or 'none'}")
    return source


def _timing(spec: Spec, findings: Findings) -> Timing:
    said = {name: value for name, value in (spec.timing or ()) if value is not None}
    timing = Timing(**said)
    if timing.recover_for > timing.give_up:
        hint = "an incident would always be given up before it has recovered"
        expected = f"'recover_for' no longer than 'give_up' ({written(timing.give_up)})"
        findings.fault(("spec", "timing", "recover_for"), expected, written(timing.recover_for), hint)
    return timing


def _check_remedy(spec: Spec, mode: Mode, findings: Findings) -> None:
    if mode > Mode.OBSERVE and not spec.remedy:
        found = "none" if spec.remedy is None else "an empty list"
        path = ("spec",) if spec.remedy is None else ("spec", "remedy")
        findings.fault(path, f"a 'remedy' in mode {spec.mode}", found, "say what is to be done, or observe")


def _check_contacts(spec: Spec, mode: Mode, names: Names | None, references: References, findings: Findings) -> None:
    for index, contact in enumerate(spec.notify or ()):
        if names:
            references.check(contact, names.contacts, "contact", ("spec", "notify", index))
    if mode > Mode.OBSERVE and not spec.notify:
        findings.warn(("spec",), f"nobody is told in mode {spec.mode}", "name contacts under 'notify'")


def _with_digest(policy: Policy) -> Policy:
    meaning = [_meaning(getattr(policy, name)) for name, _ in _members(Policy) if name not in ("file", "digest")]
    digest = hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).hexdigest()
    object.__setattr__(policy, "digest", digest)
    return policy


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
