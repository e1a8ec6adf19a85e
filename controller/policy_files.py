"""The policy files: read again when they change; a broken file or a set that suddenly shrinks never takes good policies away."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import structlog

from rollbackd.controller.texts import Texts
from rollbackd.policies.claims import claims, named
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.text.faults import Fault

log = structlog.get_logger()

Written: TypeAlias = Policy | FleetPolicy


@dataclass(frozen=True, slots=True)
class Reload:
    """What one reading of the files led to. ``held_back``: why the new set was not taken, though its files are sound.

    ``claimed``: targets of policies that could not be loaded, and their names: a fleet leaves them alone. ``unread``: the names of all policies that
    could not be.
    """

    at: datetime
    policies: tuple[Policy, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    held_back: str | None = None
    fleets: tuple[FleetPolicy, ...] = ()
    claimed: Mapping[str, str] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    @property
    def is_ok(self) -> bool:
        """True if the files on disk are what holds."""
        return not self.faults and self.held_back is None

    @property
    def summary(self) -> str | None:
        """What is not as the files on disk say, in a line; None if all is."""
        several = f"{len(self.faults)} faults, the first" if len(self.faults) > 1 else "1 fault"
        faults = [f"{several}: {self.faults[0]}"] if self.faults else []
        return "; ".join([*faults, *([self.held_back] if self.held_back else [])]) or None


class PolicyFiles:
    """The last good policies of each file."""

    def __init__(self, places: Sequence[Path], names: Names, now: Callable[[], datetime]) -> None:
        self._places = tuple(places)
        self._names = names
        self._now = now
        self._good: dict[str, tuple[Written, ...]] = {}
        self._digest: str | None = None
        self._to_confirm: str | None = None
        self.last: Reload | None = None

    def read(self, *, confirm: bool = False) -> Reload | None:
        """What holds now; None if the files have not changed since the last reading.

        A file with a fault keeps its last good policies. A set that shrinks by more than half is held back (a mount may be gone) until
        the same set was read twice with ``confirm``: whoever asks the second time could see what the first led to.
        """
        texts = dict(Texts(self._places))
        digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()
        is_confirmed = confirm and digest == self._to_confirm
        is_new = digest != self._digest or is_confirmed
        if is_new:
            self._digest = digest
            self.last = self._take(texts, is_confirmed)
        if is_new or confirm:
            self._to_confirm = digest if confirm and self.last is not None and self.last.held_back else None
        return self.last if is_new else None

    def _take(self, texts: Mapping[str, str], is_confirmed: bool) -> Reload:
        loaded = load_policies(texts, self._names)
        broken = {fault.file for fault in loaded.faults}
        # Of a folder that cannot be listed it is not known which files are gone.
        fresh = {file: held for file, held in self._good.items() if not broken.isdisjoint((file, str(Path(file).parent)))}
        sound: list[Written] = [*loaded.policies, *loaded.fleets]
        for policy in sound:
            fresh[policy.file] = (*fresh.get(policy.file, ()), policy)
        before, after = _count(self._good), _count(fresh)
        why = None
        if after * 2 < before and not is_confirmed:
            why = f"the set shrank from {before} to {after} policies; the old set stays until a second SIGHUP confirms (is a mount gone?)"
            log.warning("policies.held_back", before=before, after=after)
        else:
            self._good = fresh
            # Without any, all is well as far as every other line says, and nothing is watched.
            tell = log.info if after else log.warning
            tell("policies.loaded", policies=after, faults=len(loaded.faults), warnings=len(loaded.warnings))
        held = [policy for _, policies in sorted(self._good.items()) for policy in policies]
        return Reload(
            self._now(),
            tuple(policy for policy in held if isinstance(policy, Policy)),
            loaded.faults,
            loaded.warnings,
            why,
            tuple(policy for policy in held if isinstance(policy, FleetPolicy)),
            {target: name for file in broken for target, name in claims(texts[file], file, self._names).items()},
            frozenset(name for file in broken for name in named(texts[file], file)),
        )


def _count(files: Mapping[str, tuple[Written, ...]]) -> int:
    return sum(len(policies) for policies in files.values())
