"""Which kind of source a policy's metrics come from, and whether its profile fits that."""

from collections.abc import Container, Mapping, Sequence

from rollbackd.policies.documents.policy import FleetSpec, Spec
from rollbackd.policies.model.signals import Identity, Signal
from rollbackd.policies.resolve.dimensions import CLOUDWATCH, OF_SERVICE, DimensionError, Unmatched, located
from rollbackd.policies.resolve.profiles import Library
from rollbackd.policies.resolve.signals import library_signal
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

CUSTOM = "custom"


def reads_cloudwatch(spec: Spec | FleetSpec, library: Library, kind: str | None) -> bool:
    """Whether the policy's source is CloudWatch. ``kind``: the source's; None: not known, so that the profile says it."""
    return (library.reads.get(spec.metrics) if kind is None else kind) == CLOUDWATCH


def check_profile(spec: Spec | FleetSpec, library: Library, kind: str | None, findings: Findings) -> None:
    """Faults of a profile that is not known, or whose metrics the policy's source does not have."""
    known = {*library.profiles, CUSTOM}
    if spec.metrics not in known:
        findings.fault(("spec", "metrics"), "a known profile", quoted(spec.metrics), choices(spec.metrics, known))
    elif library.reads.get(spec.metrics) == CLOUDWATCH and kind not in (None, CLOUDWATCH):
        # An exporter may have put its numbers into Prometheus, where they are sums of periods and no counters: read as such they would lie.
        found = f"the profile '{spec.metrics}' reads cloudwatch, and the policy's source is of kind {kind}"
        hint = "name a source of kind cloudwatch, or use the metrics of the service itself, of its mesh or of its ingress"
        findings.fault(("spec", "metrics"), "", found, hint)


def fault_misread(spec: Spec | FleetSpec, library: Library, findings: Findings) -> None:
    """The fault of a library condition whose profile has no metrics of CloudWatch's."""
    fitting = ", ".join(sorted(name for name, kind in library.reads.items() if kind == CLOUDWATCH))
    path, hint = ("spec", "metrics"), f"the profiles for CloudWatch are {fitting}"
    if spec.metrics != "prometheus-client":
        findings.fault(path, "a profile that reads cloudwatch, as the policy's source does", quoted(spec.metrics), hint)
    elif not findings.was_cut(("spec", "source")):
        findings.lack(path, "the key 'metrics'", hint)


def dimensioned(signal: Signal, spec: Spec | FleetSpec, target: str, path: Path, findings: Findings) -> tuple[Signal, Identity]:
    """The signal as CloudWatch is asked, and how the workload shows up in it; what is wrong is among the findings."""
    try:
        return located(signal, _match(spec), target)
    except Unmatched as error:
        key = "join" if isinstance(spec, FleetSpec) else "match"
        if not any(findings.was_cut(("spec", needed)) for needed in (key, "target")):
            findings.fault(path, f"'{error.dimension}' under '{key}'", "none", error.hint)
    except DimensionError as error:
        findings.fault(path, error.expected, error.found, error.hint)
    return signal, Identity((), ())


def measured(
    members: Sequence[str], asked: Container[str], spec: Spec | FleetSpec, library: Library, target: str, path: Path, findings: Findings
) -> tuple[str, ...]:
    """The conditions of a set without those that CloudWatch has no metrics for here, of which a warning tells; what was ``asked`` by name stays."""
    if spec.metrics not in library.reads:
        return tuple(members)
    without = [name for name in members if name not in asked and not _is_measured(name, spec, library, target)]
    if without:
        hint = "database-failures needs the ProxyName of an RDS Proxy under 'match'" if "database-failures" in without else ""
        findings.warn(path, f"CloudWatch has no metrics here for {', '.join(without)}: left out", hint)
    return tuple(name for name in members if name not in without)


def _is_measured(name: str, spec: Spec | FleetSpec, library: Library, target: str) -> bool:
    """Whether the profile has metrics for the condition, and all of their dimensions are written, or could be looked up for a service."""
    if library.conditions[name].reads is not None:
        return True
    if (source := library.profiles[spec.metrics].get(name)) is None:
        return False
    try:
        located(library_signal(source.signal), _match(spec), target)
    except Unmatched as error:
        return error.dimension in OF_SERVICE
    return True


def _match(spec: Spec | FleetSpec) -> Mapping[str, str]:
    return (spec.join if isinstance(spec, FleetSpec) else spec.match) or {}
