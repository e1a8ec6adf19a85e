"""Files of policy tests to cases: every fault of every file at once. A test with a fault is not run, and no verdict is made up for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rollbackd.controller.policytest.cases import Case
from rollbackd.controller.policytest.documents import STAND_INS, CaseItem, PolicyTestDocument
from rollbackd.controller.policytest.resolve import check, resolve
from rollbackd.controller.texts import Texts
from rollbackd.policies.fleets.members import members
from rollbackd.policies.fleets.notes import PREFIX
from rollbackd.policies.fleets.policy import FleetPolicy, Workload
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.text.faults import Fault, choices, nearest, quoted
from rollbackd.policies.text.remainder import remainder
from rollbackd.policies.text.validate import Findings, validate
from rollbackd.policies.text.yaml_text import Document, parse

OTHER_KINDS = ("RollbackPolicy", "MetricProfile", "ConditionLibrary", "Config")
FaultsIn: TypeAlias = Callable[[Mapping[str, str]], tuple[Fault, ...]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say. ``texts``: those that the faults point into, the policies' own included; ``files`` held tests."""

    files: tuple[str, ...]
    cases: tuple[Case, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Policies:
    """The policies that a test file names. ``is_whole``: none of their files has a fault."""

    by_name: Mapping[str, Policy | FleetPolicy]
    is_whole: bool


def load_tests(places: Sequence[Path], faults_in: FaultsIn = lambda _: ()) -> Loaded:
    """The tests below ``places``. In a folder, files that hold something else are passed over; a file that is named has to hold tests.

    ``faults_in``: what is wrong in the policies beside what their loading finds. Whatever a person wrote, nothing is raised.
    """
    reading = _Reading(faults_in)
    for place in places:
        for file, text in Texts([place]).items():
            if file not in reading.texts or file not in reading.files:
                reading.read(file, text, is_asked=not place.is_dir())
    found = sorted(set(reading.faults))
    return Loaded(
        tuple(reading.files),
        tuple(reading.cases),
        tuple(fault for fault in found if fault.severity == "error"),
        tuple(fault for fault in found if fault.severity == "warning"),
        reading.texts,
    )


@dataclass(slots=True)
class _Reading:
    """One pass over the files. Not re-usable."""

    faults_in: FaultsIn
    files: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def read(self, file: str, text: str, *, is_asked: bool) -> None:
        parsed = parse(text, file)
        if not is_asked and parsed.documents and all(_kind(document) in OTHER_KINDS for document in parsed.documents):
            return
        self.files.append(file)
        self.texts[file] = text
        self.faults += parsed.faults
        if not parsed.documents and not parsed.faults:
            self.faults.append(Fault(file, 1, 1, "file", "at least one policy test", "none"))
        for document in parsed.documents:
            findings = Findings(document)
            self._document(document, findings)
            self.faults += findings.faults

    def _document(self, document: Document, findings: Findings) -> None:
        kind = _kind(document)
        if kind in OTHER_KINDS:
            findings.fault(("kind",), "'PolicyTest'", quoted(kind), "`rollbackd check` reads policies")
            return
        written = validate(document, PolicyTestDocument, findings)
        if written is not None:
            self.cases += self._cases(written, findings)
        elif (rest := remainder(document, PolicyTestDocument, STAND_INS)) is not None:
            sound, beside = rest
            self._cases(sound, beside)  # none of them is run
            findings.faults += (fault for fault in beside.faults if fault.severity == "error")

    def _cases(self, written: PolicyTestDocument, findings: Findings) -> list[Case]:
        policies = self._policies(written.policies, findings)
        cases: list[Case] = []
        names: set[str] = set()
        for index, item in enumerate(written.tests if not findings.was_cut(("tests",)) else ()):
            case = _case(item, index, policies, findings)
            if item.name in names:
                findings.fault(("tests", index, "name"), "a name of its own", f"{quoted(item.name)} again")
            elif case is not None:
                cases.append(case)
            names.add(item.name)
        return cases

    def _policies(self, named: Iterable[str], findings: Findings) -> _Policies:
        if findings.was_cut(("policies",)):
            return _Policies({}, is_whole=False)
        texts: dict[str, str] = {}
        before = len(findings.faults)
        for index, name in enumerate(named):
            place = Path(findings.document.file).parent / name
            found, hint = _policy_texts(place)
            if not found:
                findings.fault(("policies", index), "a policy file, or a folder of them", quoted(name), hint)
            texts |= found
        loaded = load_policies(texts)
        faults = (*loaded.faults, *self.faults_in(texts))
        self.texts |= {fault.file: texts[fault.file] for fault in faults}
        self.faults += faults
        found_policies: tuple[Policy | FleetPolicy, ...] = (*loaded.policies, *loaded.fleets)
        is_whole = not faults and len(findings.faults) == before and findings.is_whole(("policies",))
        return _Policies({policy.name: policy for policy in found_policies}, is_whole)


def _policy_texts(place: Path) -> tuple[Mapping[str, str], str]:
    """The policy files at ``place``; where there are none, what may have been meant."""
    try:
        if place.exists():
            return dict(Texts([place])), "it holds no .yaml and no .yml"
        near = nearest(place.name, (file.name for file in place.parent.glob("*")))
    except OSError as fault:
        return {}, f"it cannot be read: {fault.strerror}"
    return {}, f"did you mean '{near}'?" if near else "there is no such file; paths are relative to the test file"


def _kind(document: Document) -> object:
    return document.root.data.get("kind") if isinstance(document.root.data, dict) else None


def _case(item: CaseItem, index: int, policies: _Policies, findings: Findings) -> Case | None:
    """The case; None after a fault, of it or of what it needs."""
    policy = _policy_of(item, index, policies, findings)
    if policy is None:
        check(item, index, findings)
        return None
    return resolve(item, index, policy, findings)


def _policy_of(item: CaseItem, index: int, policies: _Policies, findings: Findings) -> Policy | None:
    """The policy under test; None after a fault, or where it may stand in a file that has faults of its own."""
    known = policies.by_name
    named = next(iter(known)) if item.policy is None and len(known) == 1 and policies.is_whole else item.policy
    if named is not None and named in known:
        found = known[named]
        if (found.template if isinstance(found, FleetPolicy) else found).is_metered:
            hint = "it reads CloudWatch, and a test's series are those of a Prometheus"
            findings.fault(("tests", index), "a policy that reads a Prometheus", f"'{named}'", hint)
            return None
        return _member(item, index, found, findings) if isinstance(found, FleetPolicy) else _no_member(item, index, found, findings)
    if policies.is_whole and named is None:
        findings.fault(("tests", index), "the key 'policy'", "none", f"the files hold {', '.join(sorted(known))}")
    elif policies.is_whole:
        findings.fault(("tests", index, "policy"), "a policy of these files", quoted(named), choices(named, known, "known"))
    return None


def _no_member(item: CaseItem, index: int, policy: Policy, findings: Findings) -> Policy | None:
    if item.member is None:
        return policy
    findings.fault(
        ("tests", index, "member"), f"no 'member' for policy '{policy.name}'", "one", "it names its target; only a fleet policy has members"
    )
    return None


def _member(item: CaseItem, index: int, fleet: FleetPolicy, findings: Findings) -> Policy | None:
    """The policy of the member that the test describes."""
    if item.member is None:
        findings.fault(("tests", index), "the key 'member'", "none", f"policy '{fleet.name}' is a fleet's: say which workload it is tried on")
        return None
    notes = {key.removeprefix(PREFIX): value for key, value in item.member.annotations.items() if key.startswith(PREFIX)}
    place, labels = item.member, tuple(sorted(item.member.labels.items()))
    (member,) = members(fleet, [Workload(place.namespace, place.deployment, labels, tuple(sorted(notes.items())))], {}, None)
    for finding in member.findings:
        findings.warn(("tests", index, "member"), finding)
    if member.policy is None:
        findings.fault(("tests", index, "member"), f"a workload that fleet '{fleet.name}' watches", "one that has opted out")
    return member.policy
