"""Feature flags in a flagd flag file: replaced in one atomic step.

A flag is never set to ``DISABLED``: readers then fall back to the default in their code, which may well be "on".
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State, edits, named
from rollbackd.adapters.flagd.document import Document, read_document, replace_document, with_flags, with_rules, without_rules


@dataclass(frozen=True, slots=True)
class FlagFile:
    """One provider: a flag file and what is safe in it. ``safe_states``: the variant to serve, by flag."""

    name: str
    file: Path
    settle: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    safe_states: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_flags: int = field(default=20, kw_only=True)

    @property
    def where(self) -> str:
        """The file."""
        return str(self.file)

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:  # a file has no environments
        """The flags of one read of the whole file, which is the handle."""
        document = read_document(self.file)
        inside = frozenset(name for name, flag in document.flags.items() if _is_in(scope, name, flag.state))
        states = {name: flag.state for name, flag in sorted(document.flags.items()) if name in inside or name in also}
        return Reading(states, inside, handle=document)

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """A file keeps no history."""
        return None

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The flag serving the variant ``word``, else ``off``, to everybody."""
        variants = state["variants"]
        known = variants if isinstance(variants, Mapping) else {}
        if word is not None and word not in known:
            raise Refused(
                f"flag '{name}' has no variant '{word}', its declared safe state; nothing was changed", advice="correct safe_states or the flag"
            )
        if word is None and "off" not in known:
            return None
        served = {**state, "state": "ENABLED", "defaultVariant": word or "off"}
        return {**served, "targeting": {}} if "targeting" in state else served

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """The flags are replaced in one rename, if the file's bytes are still those that were read."""
        document = reading.handle
        if not isinstance(document, Document):
            raise Permanent(f"{self.file} was not read before the write; nothing was changed")
        self._refuse_mount()
        if odd := [name for name, state in after.items() if with_rules(without_rules(state), document.rules) != state]:
            raise Refused(
                f"a shared rule in the targeting of {named(odd)} changed too, and only flags are put back; nothing was changed",
                advice=f"put '$evaluators' of {self.file} back by hand",
            )
        replace_document(document, with_flags(document, after))

    def is_atomic(self, before: Mapping[str, State], after: Mapping[str, State]) -> bool:
        """A rename is one step."""
        return True

    def unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        """Applications read the file itself."""
        return ()

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """The edits of the file."""
        return f"edit {self.file}: {'; '.join(edit for name in after for edit in edits(name, before[name], after[name]))}"

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """A mount that the kubelet overwrites, or a folder that lets no one write."""
        self._refuse_mount()
        folder = self.file.resolve().parent
        if os.access(folder, os.W_OK):
            return ()
        return (f"the folder of {self.file.resolve()} is not writable for uid {os.geteuid()}; give it the rights or move the file",)

    def _refuse_mount(self) -> None:
        # The kubelet swaps the ..data link of such a mount and would undo a write, if the mount let us write at all.
        if (self.file.parent / "..data").is_symlink():
            raise Permanent(
                f"{self.file} lies in a ConfigMap or Secret mount, which the kubelet overwrites; nothing was changed; change its source instead"
            )


class Flagd(FlagTarget):
    """The Target of every flag file, by provider name."""

    def __init__(self, providers: Mapping[str, FlagFile]) -> None:
        super().__init__("flagd", providers, has_environments=False)


def _is_in(scope: Scope, name: str, state: State) -> bool:
    match scope.word:
        case "all":
            return True
        case "tag":
            return scope.names[0] in _tags(state)
        case "flags":
            return name in scope.names


def _tags(state: State) -> frozenset[str]:
    metadata = state.get("metadata")
    if not isinstance(metadata, Mapping):
        return frozenset()
    many, one = metadata.get("tags", ()), metadata.get("tag")
    listed = many.split(",") if isinstance(many, str) else many if isinstance(many, Sequence) else ()
    return frozenset(tag.strip() for tag in (*listed, one) if isinstance(tag, str))
