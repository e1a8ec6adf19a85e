"""Files of policies to the set that the daemon runs: every fault of every file at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollbackd.policies.apart import Apart
from rollbackd.policies.documents.policy import PolicyDocument
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.model.keys import cluster_of
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.resolve.policy import resolve
from rollbackd.policies.resolve.profiles import library
from rollbackd.policies.text.faults import Fault, quoted
from rollbackd.policies.text.remainder import remainder
from rollbackd.policies.text.validate import Findings, locate, validate
from rollbackd.policies.text.yaml_text import MAX_FAULTS, Document, Path, Value, parse

_STAND_INS: Mapping[Path, Value] = {
    ("metadata",): {"name": "unnamed"},
    ("spec", "target"): {"kubernetes": {"namespace": "unnamed", "deployment": "unnamed"}},
    ("spec", "rollback_when"): [{"use": "stuck-rollout"}],
}
"""In place of what every policy has, so that a fault in it hides none of the others'."""

_ELSEWHERE: Mapping[str, str] = {
    "PolicyTest": "tests belong in a folder of their own: `rollbackd test` reads them",
    "Config": "this is a daemon's config: `rollbackd check --config FILE` reads it; keep it out of the folders of policies",
}
"""Documents of ours that are no policies, and where they belong."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a set of files says. A file with a fault contributes no policy; the others do."""

    policies: tuple[Policy, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    fleets: tuple[FleetPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class _Named:
    """Where a policy's name was written first."""

    file: str
    line: int


def load_policies(texts: Mapping[str, str], names: Names | None = None) -> Loaded:
    """The policies of ``texts`` (file name to text), in the order of the names. ``names`` None: what they name is not checked.

    Whatever a person wrote, nothing is raised. A file with very many faults is not read to its end.
    """
    taken: dict[str, _Named] = {}
    apart = Apart()
    policies: list[Policy | FleetPolicy] = []
    found: list[Fault] = []
    for file in sorted(texts):
        read, faults = _load_file(texts[file], file, names, taken, apart)
        found += faults
        if not any(fault.severity == "error" for fault in faults):
            policies += read
    found.sort()
    return Loaded(
        tuple(policy for policy in policies if isinstance(policy, Policy)),
        tuple(fault for fault in found if fault.severity == "error"),
        tuple(fault for fault in found if fault.severity == "warning"),
        tuple(policy for policy in policies if isinstance(policy, FleetPolicy)),
    )


def _load_file(text: str, file: str, names: Names | None, taken: dict[str, _Named], apart: Apart) -> tuple[list[Policy | FleetPolicy], list[Fault]]:
    parsed = parse(text, file)
    faults = list(parsed.faults)
    policies: list[Policy | FleetPolicy] = []
    for document in parsed.documents:
        if len(faults) >= MAX_FAULTS:
            break
        findings = Findings(document)
        read = _read(document, names, findings)
        _claim_name(document, taken, findings)
        if names is not None:  # without a config it is not known which cluster a policy without one is for
            _claim_series(read, apart, findings)
        policies += read
        faults += findings.faults
    if not parsed.documents and not faults:
        faults.append(Fault(file, 1, 1, "file", "at least one policy", "none"))
    return policies, faults


def _read(document: Document, names: Names | None, findings: Findings) -> list[Policy | FleetPolicy]:
    """The policy that the document is; none after at least one fault."""
    kind = locate(document.root, ("kind",))[1].data
    if isinstance(kind, str) and kind in _ELSEWHERE:
        # One fault says it all: these have none of a policy's keys.
        findings.fault(("kind",), "'RollbackPolicy'", quoted(kind), _ELSEWHERE[kind])
        return []
    written = validate(document, PolicyDocument, findings)
    if written is None:
        if (rest := remainder(document, PolicyDocument, _STAND_INS)) is not None:
            sound, beside = rest
            resolve(sound, library(), names, beside)
            findings.faults += beside.faults
        return []
    policy = resolve(written, library(), names, findings)
    return [policy] if policy else []


def _claim_name(document: Document, taken: dict[str, _Named], findings: Findings) -> None:
    """A fault where another policy has the name already. A faulty policy claims its name too, so that mending it brings no new fault."""
    path, node, _ = locate(document.root, ("metadata", "name"))
    _, kind, _ = locate(document.root, ("kind",))
    if len(path) < 2 or not isinstance(node.data, str) or kind.data != "RollbackPolicy":
        return
    first = taken.setdefault(node.data, _Named(document.file, node.line))
    if first != _Named(document.file, node.line):
        findings.fault(path, "a name of its own", f"'{node.data[:63]}' again", f"first at {first.file}:{first.line}")


def _claim_series(read: Sequence[Policy | FleetPolicy], apart: Apart, findings: Findings) -> None:
    """A fault where a policy for another cluster is judged by the same series: a release would be rolled back for the other cluster's errors."""
    for policy in read:
        own = policy.template if isinstance(policy, FleetPolicy) else policy
        if (shared := apart.add(own)) is None:
            continue
        cluster = cluster_of(own.target)
        expected = f"a source with the series of cluster '{cluster}' alone"
        found = f"'{own.source}', by which {shared.policy} judges cluster '{shared.cluster}'"
        hint = f"give each cluster a source of its own: the url may be the same, with `match`, such as {{cluster: {cluster}}}"
        findings.fault(("spec", "source"), expected, found, hint)
