"""The shipped library, read once out of its package: the only data that policies read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

from pydantic import BaseModel

from rollbackd.policies.documents.library import IdentityItem, JoinedIdentity, LibraryCondition, LibraryDocument, ProfileDocument
from rollbackd.policies.documents.signals import CountSignal, GaugeSignal, LatencySignal, RateSignal, RatioSignal, TrafficSignal, VanishedSignal
from rollbackd.policies.model.signals import Derived, Identity
from rollbackd.policies.text.faults import Fault
from rollbackd.policies.text.validate import Findings, validate
from rollbackd.policies.text.yaml_text import parse

M = TypeVar("M", bound=BaseModel)
WrittenSignal = RatioSignal | LatencySignal | GaugeSignal | CountSignal | RateSignal | TrafficSignal | VanishedSignal
_WORKLOAD = "workload"  # the name that a computed workload label gets


class LibraryError(Exception):
    """The shipped library has faults: the installation is broken."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class ProfileSignal:
    """A signal of a profile and the labels by which it tells workloads apart. ``namespace`` None: ``workload`` holds NAMESPACE/WORKLOAD.

    Neither: its selectors say themselves which of their dimensions do.
    """

    signal: WrittenSignal
    namespace: str | None = None
    workload: str = ""
    derived: Derived | None = None

    def identity(self, namespace: str, workload: str) -> Identity:
        """How this workload shows up in the signal."""
        if self.namespace is None:
            return Identity((self.workload,), (f"{namespace}/{workload}",))
        return Identity((self.namespace, self.workload), (namespace, workload), self.derived)


@dataclass(frozen=True, slots=True)
class Library:
    """Conditions with their defaults, sets of them, and for each profile its signals by condition.

    ``reads``: of the profiles that are not read from Prometheus, the kind of source that has their metrics.
    """

    conditions: Mapping[str, LibraryCondition]
    sets: Mapping[str, tuple[str, ...]]
    profiles: Mapping[str, Mapping[str, ProfileSignal]]
    reads: Mapping[str, str]


@cache
def library() -> Library:
    """The library that ships with this version. Raises LibraryError if it is broken."""
    folder = resources.files("rollbackd.policies.library")
    conditions = _read(folder.joinpath("conditions.yaml").read_text("utf-8"), "conditions.yaml", LibraryDocument).spec
    files = sorted((file for file in folder.joinpath("profiles").iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    documents = [_read(file.read_text("utf-8"), f"profiles/{file.name}", ProfileDocument) for file in files]
    by_name = {document.metadata.name: document for document in documents}
    profiles = {name: signals for document in documents for name, signals in _profiles(document, by_name).items()}
    sets = {name: tuple(members) for name, members in conditions.sets.items()}
    reads = {name: document.spec.reads for name, document in by_name.items() if document.spec.reads != "prometheus"}
    return Library(conditions.conditions, sets, profiles, reads)


def _read(text: str, file: str, model: type[M]) -> M:
    parsed = parse(text, file)
    faults = list(parsed.faults)
    for document in parsed.documents:
        findings = Findings(document)
        read = validate(document, model, findings)
        faults += findings.faults
        if read is not None and not faults:
            return read
    raise LibraryError(tuple(faults))


def _profiles(document: ProfileDocument, by_name: Mapping[str, ProfileDocument]) -> Mapping[str, Mapping[str, ProfileSignal]]:
    """The profile and its variants by name."""
    name, spec = document.metadata.name, document.spec
    if spec.identity is None:
        return {name: _signals(document, None, by_name)}
    identities = {name: spec.identity, **{f"{name}-{variant}": identity for variant, identity in spec.variants.items()}}
    return {name: _signals(document, identity, by_name) for name, identity in identities.items()}


def _signals(document: ProfileDocument, identity: IdentityItem | None, by_name: Mapping[str, ProfileDocument]) -> Mapping[str, ProfileSignal]:
    spec = document.spec
    inherited = _profiles(by_name[spec.extends], by_name)[spec.extends] if spec.extends else {}
    return {**inherited, **{name: _signal(written, identity) for name, written in spec.signals.items()}}


def _signal(written: WrittenSignal, identity: IdentityItem | None) -> ProfileSignal:
    if identity is None:
        return ProfileSignal(written)
    if isinstance(identity, JoinedIdentity):
        return ProfileSignal(written, None, identity.joined, None)
    workload = identity.workload
    if isinstance(workload, str):
        return ProfileSignal(written, identity.namespace, workload, None)
    return ProfileSignal(written, identity.namespace, _WORKLOAD, Derived(_WORKLOAD, workload.from_, workload.pattern))
