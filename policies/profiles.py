"""The shipped library, read once out of its package: the only data that policies read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

from pydantic import BaseModel

from rollbackd.policies.documents_conditions import CountSignal, GaugeSignal, LatencySignal, RateSignal, RatioSignal
from rollbackd.policies.documents_library import LibraryCondition, LibraryDocument, ProfileDocument, ProfileIdentity
from rollbackd.policies.faults import Fault
from rollbackd.policies.model import Derived, Identity
from rollbackd.policies.validate import Findings, validate
from rollbackd.policies.yaml_text import parse

M = TypeVar("M", bound=BaseModel)
WrittenSignal = RatioSignal | LatencySignal | GaugeSignal | CountSignal | RateSignal
_WORKLOAD = "workload"  # the name that a computed workload label gets


class LibraryError(Exception):
    """The shipped library has faults: the installation is broken."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class ProfileSignal:
    """A signal of a profile and the labels by which it tells workloads apart."""

    signal: WrittenSignal
    namespace: str
    workload: str
    derived: Derived | None

    def identity(self, namespace: str, workload: str) -> Identity:
        """How this workload shows up in the signal."""
        return Identity((self.namespace, self.workload), (namespace, workload), self.derived)


@dataclass(frozen=True, slots=True)
class Library:
    """Conditions with their defaults, sets of them, and for each profile its signals by condition."""

    conditions: Mapping[str, LibraryCondition]
    sets: Mapping[str, tuple[str, ...]]
    profiles: Mapping[str, Mapping[str, ProfileSignal]]


@cache
def library() -> Library:
    """The library that ships with this version. Raises LibraryError if it is broken."""
    folder = resources.files("rollbackd.policies.library")
    conditions = _read(folder.joinpath("conditions.yaml").read_text("utf-8"), "conditions.yaml", LibraryDocument).spec
    files = sorted((file for file in folder.joinpath("profiles").iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    profiles = [_read(file.read_text("utf-8"), f"profiles/{file.name}", ProfileDocument) for file in files]
    by_name = {profile.metadata.name: profile for profile in profiles}
    sets = {name: tuple(members) for name, members in conditions.sets.items()}
    return Library(conditions.conditions, sets, {name: _signals(profile, by_name) for name, profile in by_name.items()})


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


def _signals(profile: ProfileDocument, by_name: Mapping[str, ProfileDocument]) -> Mapping[str, ProfileSignal]:
    spec = profile.spec
    inherited = _signals(by_name[spec.extends], by_name) if spec.extends else {}
    return {**inherited, **{name: _signal(written, spec.identity) for name, written in spec.signals.items()}}


def _signal(written: WrittenSignal, identity: ProfileIdentity) -> ProfileSignal:
    workload = identity.workload
    if isinstance(workload, str):
        return ProfileSignal(written, identity.namespace, workload, None)
    return ProfileSignal(written, identity.namespace, _WORKLOAD, Derived(_WORKLOAD, workload.from_, workload.pattern))
