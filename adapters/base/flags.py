"""Feature flags, whoever keeps them: the values, and what a provider must be able to do so that ``FlagTarget`` can plan, write and look.

A provider knows its own states and how to read and write them; which flags are written, and whether they may be, is not its business.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.target import Json

State: TypeAlias = Mapping[str, Json]
"""All that decides what a flag serves in one environment, as JSON; never a secret. Equal states serve alike."""

LEAVE = "leave"
"""The declared safe state of a flag that is never touched."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which flags are meant. ``names``: the one tag, or the flags, sorted; empty for all."""

    word: Literal["all", "tag", "flags"]
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.word}:{','.join(self.names)}" if self.names else self.word


def scope_of(text: str) -> Scope:
    """The scope as a key spells it: ``all``, ``tag:NAME`` or ``flags:A,B``. Raises Permanent for anything else."""
    word, _, value = text.partition(":")
    if text == "all":
        return Scope("all")
    if word == "tag" and value:
        return Scope("tag", (value,))
    names = tuple(sorted({name.strip() for name in value.split(",")} - {""}))
    if word == "flags" and names:
        return Scope("flags", names)
    raise Permanent(f"'{text}' is no scope of flags; write all, tag:NAME or flags:A,B")


@dataclass(frozen=True, slots=True)
class Reading:
    """Flags as one read showed them.

    ``states``: those in scope and those asked for by name; a flag that is not there does not exist. ``scope``: the names in scope.
    ``guarded``: flags that are left alone unless a safe state is declared for them, and why; of those in ``dependents`` too. ``dependents``: what
    else is served otherwise as soon as a flag is, by that flag: others that are on and depend on it. ``opposed``: those of them that are served only
    while the flag is off. ``already``: how flags are said to stand that need no write. ``handle``: the provider's own, such as versions.
    """

    states: Mapping[str, State]
    scope: frozenset[str]
    guarded: Mapping[str, str] = field(default_factory=dict)
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    opposed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    already: str = "at the safe state"
    handle: object = field(default=None, repr=False, compare=False)

    @property
    def in_scope(self) -> Mapping[str, State]:
        """The states of the flags in scope, by name, in the order of their names."""
        return {name: self.states[name] for name in sorted(self.scope)}


@dataclass(frozen=True, slots=True)
class LastChange:
    """The newest change of flags in scope, from the provider's own history.

    ``touched``: the flags that it changed. ``writer``: who made it; ``rollbackd:<incident>`` where it is certainly ours, None if it may be.
    """

    id: str
    at: datetime
    touched: tuple[str, ...]
    writer: str | None


class FlagProvider(Protocol):
    """One configured place that keeps flags. Every method is safe to call from several threads.

    ``environment`` is "" for a kind without environments. What is raised is Transient, Permanent or Refused, and says that nothing was changed
    unless it may have been.
    """

    @property
    def name(self) -> str:
        """Its name in the daemon's config."""
        ...

    @property
    def where(self) -> str:
        """What messages call it: a file, a host."""
        ...

    @property
    def settle(self) -> timedelta:
        """How long applications may take to see a write."""
        ...

    @property
    def safe_states(self) -> Mapping[str, str]:
        """The declared safe state, by flag: ``leave``, or a word of the provider's own."""
        ...

    @property
    def max_flags(self) -> int:
        """More than these are never written at once."""
        ...

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:
        """The flags in scope, and those of ``also`` whatever the scope. Complete or raised: a missing page is never a missing flag.

        ``fresh``: each flag is asked for anew; otherwise what was read before will do, where the provider's history says that nothing happened since.
        """
        ...

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """The newest change of the flags in scope of ``reading``; None where no history is kept, or none of it is left."""
        ...

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The flag at its safe state ``word``; without a word at its own default for off, or None if it has none.

        Raises Refused where the flag cannot have that state.
        """
        ...

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """Put the flags of ``after`` at these states, provided that they still stand as in ``reading``, where the provider can tell.

        Sent once, and nothing of it later than ``ends``, on the monotonic clock. ``mark`` goes wherever the provider lets a writer say why.
        Raises Refused or Permanent if nothing was changed, Transient if something may have been.
        """
        ...

    def is_atomic(self, before: Mapping[str, State], after: Mapping[str, State]) -> bool:
        """True if this write changes all of its flags or none."""
        ...

    def unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        """The flags that applications are not served as in ``after`` yet, asked on their path; () where the written place is that path."""
        ...

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """What a person would do to write the same by hand; without secrets."""
        ...

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """What would stop a write here, found without writing; each with what to do."""
        ...


def digest_of(states: Mapping[str, State]) -> str:
    """The revision of a scope: equal for equal flags at equal states, on every replica."""
    return hashlib.sha256(json.dumps(states, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def edits(name: str, before: State, after: State) -> tuple[str, ...]:
    """What changes in one flag, a line for each field."""
    fields = [part for part in dict.fromkeys((*before, *after)) if before.get(part) != after.get(part)]
    return tuple(f"flags.{name}.{part}: {_shown(before, part)} -> {_shown(after, part)}" for part in fields)


def _shown(state: State, part: str) -> str:
    return json.dumps(state[part], ensure_ascii=False) if part in state else "(absent)"


def goes_on(name: str, word: str | None) -> bool:
    """Whether a flag that is only off or on goes on, by ``word``, its declared safe state; without one it goes off. Raises Refused."""
    if word in (None, "off", "on"):
        return word == "on"
    raise Refused(f"flag '{name}' cannot be '{word}', its declared safe state; nothing was changed", advice="declare off, on or leave")


def named(names: Sequence[str]) -> str:
    """``flag 'a'`` or ``flags 'a', 'b' and 7 more``."""
    quoted = ", ".join(f"'{name}'" for name in names[:5])
    return f"flag{'s' * (len(names) != 1)} {quoted}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def counted(states: Collection[str]) -> str:
    """``1 flag`` or ``7 flags``."""
    return f"{len(states)} flag{'s' * (len(states) != 1)}"
