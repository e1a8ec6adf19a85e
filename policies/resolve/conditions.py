"""``rollback_when`` to conditions and the trigger that ranges over them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rollbackd.policies.documents.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    Item,
    LatencyCondition,
    Overrides,
    OwnCondition,
    UseOne,
    UseSet,
)
from rollbackd.policies.documents.library import LibraryCondition
from rollbackd.policies.documents.policy import FleetSpec, Spec
from rollbackd.policies.documents.signals import LatencySignal
from rollbackd.policies.model.policy import Bound, Condition, Group, Leaf, Limit, Trigger
from rollbackd.policies.model.signals import Identity, Latency, OfTarget, Probe, Ratio, Signal
from rollbackd.policies.resolve.confirm import BEFORE_FOR, Said, adds_little, confirmation, is_bounded, least_volume, most, said
from rollbackd.policies.resolve.metrics import CUSTOM, check_profile, dimensioned, fault_misread, measured, reads_cloudwatch
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.resolve.profiles import Library, ProfileSignal
from rollbackd.policies.resolve.signals import (
    DEFAULT_QUANTILE,
    WrittenLimit,
    check_sense,
    in_own_unit,
    is_in_milliseconds,
    library_signal,
    own_signal,
    resolve_limit,
)
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.units import written
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

_CUSTOM_NAMES = "prometheus-client"
_BASE: Path = ("spec", "rollback_when")
_NO_OVERRIDES = Overrides.model_construct()


@dataclass(slots=True)
class Conditions:
    """Collects the conditions of one policy. ``workload``: namespace and name of a Kubernetes target.

    ``kind``: that of the policy's source; None: not known. ``places``: where each condition says what is its own.
    """

    spec: Spec | FleetSpec
    every: timedelta
    workload: tuple[str, str] | None
    target: str
    kind: str | None
    library: Library
    names: Names | None
    findings: Findings
    found: list[Condition] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)
    _places: dict[str, Path] = field(default_factory=dict)
    _needs_match: list[str] = field(default_factory=list)
    _is_misread: bool = False
    _short: list[tuple[Path, str]] = field(default_factory=list)
    _boundless: list[tuple[Path, str]] = field(default_factory=list)

    def resolve(self) -> Trigger:
        """The trigger; its leaves index ``found``. Faults and warnings are among the findings."""
        check_profile(self.spec, self.library, self.kind, self.findings)
        trigger = self._any_of(self.spec.rollback_when, _BASE)
        if self._needs_match:
            self._fault_match()
        if self._is_misread:
            fault_misread(self.spec, self.library, self.findings)
        self._warn()
        return trigger

    @property
    def on_cloudwatch(self) -> bool:
        """Whether CloudWatch answers for the signals."""
        return reads_cloudwatch(self.spec, self.library, self.kind)

    def _fault_match(self) -> None:
        hint = f"it tells this workload's series apart in {', '.join(self._needs_match)}"
        key = "join" if isinstance(self.spec, FleetSpec) else "match"
        if not any(self.findings.was_cut(("spec", deciding)) for deciding in ("metrics", "source", "select")):
            self.findings.lack(("spec", key), f"the key '{key}'", hint)

    def _warn(self) -> None:
        if self._short:
            which = ", ".join(said for _, said in self._short)
            hint = "the looks share their evidence, so the wait adds little of its own"
            self.findings.warn(self._short[0][0], f"'for' is shorter than the window it looks at ({which})", hint)
        if self._boundless:
            which = ", ".join(name for _, name in self._boundless)
            hint = "'unbounded: accepted' on a condition lets it act all the same"
            self.findings.warn(self._boundless[0][0], f"no bound on false rollbacks holds for {which}: suggested at most", hint)

    def _any_of(self, items: Sequence[Item], path: Path) -> Trigger:
        return any_of([self._trigger(item, (*path, index)) for index, item in enumerate(items)])

    def _trigger(self, item: Item, path: Path) -> Trigger:
        match item:
            case UseSet():
                return self._use_set(item, path)
            case UseOne():
                return self._library(item.use, item.name or item.use, item.with_ or _NO_OVERRIDES, path, (*path, "with"))
            case AllOf():
                children = [self._trigger(child, (*path, "all_of", index)) for index, child in enumerate(item.all_of)]
                return group(children, len(children))
            case AnyOf():
                return self._any_of(item.any_of, (*path, "any_of"))
            case AtLeast():
                return self._at_least(item, (*path, "at_least"))
            case _:
                return self._own(item, path)

    def _at_least(self, item: AtLeast, path: Path) -> Trigger:
        parts = item.at_least
        children = [self._trigger(child, (*path, "of", index)) for index, child in enumerate(parts.of)]
        if parts.count > len(children) and self.findings.is_whole((*path, "of")):
            self.findings.fault((*path, "count"), f"at most {len(children)}, the number of entries", str(parts.count), "this can never be met")
        return group(children, parts.count)

    def _use_set(self, item: UseSet, path: Path) -> Trigger:
        members = self.library.sets[item.use]
        overrides = item.with_ or {}
        for name in overrides:
            if name not in members:
                self.findings.fault((*path, "with", name), f"a condition of '{item.use}'", quoted(name), choices(name, members), at_key=True)
        if self.on_cloudwatch:
            members = measured(members, overrides, self.spec, self.library, self.target, path, self.findings)
        return any_of([self._library(name, name, overrides.get(name, _NO_OVERRIDES), path, (*path, "with", name)) for name in members])

    def _library(self, use: str, name: str, over: Overrides, path: Path, with_path: Path) -> Trigger:
        base = self.library.conditions.get(use)
        if base is None:
            known = {*self.library.conditions, *self.library.sets}
            self.findings.fault((*path, "use"), "a condition of the library", quoted(use), choices(use, known))
            return Leaf(0)
        if base.reads is not None:
            return self._of_target(name, OfTarget(base.reads), said(over, base), over, path, with_path)
        if self.on_cloudwatch and self.spec.metrics not in self.library.reads:
            self._is_misread = True
            return Leaf(0)
        profile = self.library.profiles.get(_CUSTOM_NAMES if self.spec.metrics == CUSTOM else self.spec.metrics)
        if profile is None:
            return Leaf(0)
        source = profile.get(use)
        if source is None:
            self.findings.fault((*path, "use"), f"a condition that profile '{self.spec.metrics}' has metrics for", quoted(use), choices(use, profile))
            return Leaf(0)
        return self._from_library(name, base, source, over, path, with_path)

    def _of_target(self, name: str, signal: OfTarget, told: Said, over: Overrides, path: Path, with_path: Path) -> Trigger:
        for key in ("above", "below", "quantile", "except_"):
            if getattr(over, key) is not None:
                hint = "it is what the target says of itself"
                self.findings.fault((*with_path, key.rstrip("_")), "a condition with a limit", f"'{name}'", hint, at_key=True)
        return self._add(_Part(name, signal, Limit(), Identity((), ()), told, from_library=True), path, with_path)

    def _from_library(self, name: str, base: LibraryCondition, source: ProfileSignal, over: Overrides, path: Path, with_path: Path) -> Trigger:
        signal = library_signal(source.signal, over.quantile or base.quantile or DEFAULT_QUANTILE, over.except_)
        if over.quantile is not None and not isinstance(signal, Latency):
            self.findings.fault((*with_path, "quantile"), "a quantile for a latency only", f"one for '{name}'", at_key=True)
        sides = _sides(over) if _sides(over).sides else _sides(base)
        limit = resolve_limit(signal, sides, with_path, self.findings)
        if base.at_equal_age and over.below is not None:
            hint = "it is a breach only where it has risen since the change: watch for too little by a gauge of your own"
            self.findings.fault((*with_path, "below"), f"'above' of '{name}'", "'below'", hint, at_key=True)
        if limit and isinstance(source.signal, LatencySignal) and is_in_milliseconds(source.signal):
            limit = in_own_unit(limit)
        signal, identity = self._identified(name, signal, source, path)
        compares = base.at_equal_age or base.second_fact
        return self._add(_Part(name, signal, limit, identity, said(over, base), from_library=True, compares=compares), path, with_path)

    def _own(self, item: OwnCondition, path: Path) -> Trigger:
        signal = own_signal(item)
        check_sense(signal, path, self.findings)
        limit = resolve_limit(signal, _sides(item), path, self.findings)
        if limit and isinstance(item, LatencyCondition) and is_in_milliseconds(item):
            limit = in_own_unit(limit)
        signal, identity = self._identified(item.name, signal, None, path)
        told = said(item)
        self._note(item.name, signal, told, path)
        return self._add(_Part(item.name, signal, limit, identity, told, from_library=False), path, path)

    def _note(self, name: str, signal: Signal, told: Said, path: Path) -> None:
        if isinstance(signal, Probe):
            self._check_probe(signal, (*path, "probe"))
        if adds_little(told, signal):
            self._short.append(((*path, "for"), f"{name}: {written(told.hold or told.window)} of {written(told.window)}"))

    def _check_probe(self, probe: Probe, path: Path) -> None:
        if probe.name and self.names and probe.name not in self.names.probes:
            self.findings.fault(path, "a probe of the daemon's config", quoted(probe.name), choices(probe.name, self.names.probes, "known"))
        if probe.port and not self.workload:
            self.findings.fault(path, "the name of a probe of the daemon's config", "a port", "a target behind commands has no endpoints of its own")

    def _identified(self, name: str, signal: Signal, source: ProfileSignal | None, path: Path) -> tuple[Signal, Identity]:
        if isinstance(signal, Probe):
            return signal, Identity((), ())
        if self.on_cloudwatch:
            return dimensioned(signal, self.spec, self.target, path, self.findings)
        if source is not None and self.workload and self.spec.metrics != CUSTOM:
            return signal, source.identity(*self.workload)
        return signal, self._matched(name)

    def _matched(self, name: str) -> Identity:
        match = self.spec.join if isinstance(self.spec, FleetSpec) else self.spec.match
        if not match:
            self._needs_match.append(f"'{name}'")
            return Identity((), ())
        labels = tuple(sorted(match))
        return Identity(labels, tuple(match[label] for label in labels))

    def _add(self, part: "_Part", path: Path, said_path: Path) -> Trigger:
        self._check_name(part.name, path)
        signal, told = part.signal, part.told
        self._check_bound(part, path, said_path)
        limit = part.limit or Limit()
        self._check_old(limit, part.name, path)
        if limit.of_before is not None and not isinstance(signal, Ratio | Latency):
            told = replace(told, default_hold=max(told.default_hold, BEFORE_FOR))
        confirm = confirmation(told, self.every, said_path, self.findings)
        if isinstance(signal, Latency):
            signal = replace(signal, limit=limit.high or 0.0)
        self.places.append(said_path)
        self.found.append(
            Condition(
                part.name,
                signal,
                limit,
                confirm,
                part.identity,
                told.window,
                least_volume(told, signal, said_path, self.findings),
                told.on_no_data,
                most(told, signal),
                part.from_library,
                told.watch,
                Bound(1.0, told.min_volume or 0) if isinstance(signal, Ratio | Latency) else None,
                part.compares,
            )
        )
        return Leaf(len(self.found) - 1)

    def _check_bound(self, part: "_Part", path: Path, said_path: Path) -> None:
        signal, told = part.signal, part.told
        if is_bounded(signal) and told.is_accepted:
            hint = "a ratio and a latency have one: max_false_rollback"
            self.findings.fault((*said_path, "unbounded"), "a condition without a bound", f"'{part.name}'", hint, at_key=True)
        elif most(told, signal) < told.mode and not part.from_library:
            self._boundless.append((path, part.name))

    def _check_old(self, limit: Limit, name: str, path: Path) -> None:
        if limit.of_old is None:
            return
        if not self.target.startswith("kubernetes:"):
            hint = "of no other is it known which pods are of which revision"
            self.findings.fault(path, "a Deployment as the target of a limit of the old pods", quoted(self.target), hint)
        if self.spec.max_false_rollback == "none":
            self.findings.fault(path, f"a bound for '{name}'", "max_false_rollback: none", "the two sides are compared by a test that needs one")

    def _check_name(self, name: str, path: Path) -> None:
        if name in self._places:
            self.findings.fault(path, "a name of its own", f"'{name}' again", "give one of the two another 'name'")
        self._places.setdefault(name, path)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a condition is made of. ``limit`` None: it has its fault already."""

    name: str
    signal: Signal
    limit: Limit | None
    identity: Identity
    told: Said
    from_library: bool
    compares: bool = False


def _sides(said: object) -> WrittenLimit:
    return WrittenLimit(getattr(said, "above", None), getattr(said, "below", None), getattr(said, "outside", None))


def any_of(children: Sequence[Trigger]) -> Trigger:
    """Any of the children; those of a nested any_of stand on their own."""
    flat: list[Trigger] = []
    for child in children:
        flat += child.children if isinstance(child, Group) and child.needed == 1 else [child]
    return group(flat, 1)


def group(children: Sequence[Trigger], needed: int) -> Trigger:
    """So many of the children; one alone needs no group."""
    return children[0] if len(children) == 1 else Group(tuple(children), needed)
