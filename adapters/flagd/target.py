"""Feature flags in a flagd flag file: seen by scope, put at their safe state in one atomic replacement, restorable exactly.

Keys are ``flagd:PROVIDER/SCOPE``; a scope is ``all``, ``tag:NAME`` or ``flags:A,B``. A flag is never set to ``DISABLED``: readers then
fall back to the default in their code, which may well be "on".
"""

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeGuard

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused
from rollbackd.adapters.base.target import Intent, Json, NothingToDo, Plan, PlanRequest, Sight, Standing, TargetState
from rollbackd.adapters.flagd.document import Document, read_document, replace_document, with_flags

_State = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class FlagFile:
    """One provider: a flag file and what is safe in it.

    ``settle``: how long readers may take to see a write. ``safe_states``: the variant to serve, by flag.
    ``max_flags``: more than these are never written at once.
    """

    name: str
    file: Path
    settle: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    safe_states: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_flags: int = field(default=20, kw_only=True)


class Flagd:
    """The Target of every flag file, by provider name."""

    kind = "flagd"

    def __init__(self, providers: Mapping[str, FlagFile]) -> None:
        self._providers = dict(providers)
        self._writing = threading.Lock()

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """How each scope stands now. Each call reads a provider's file anew, once per key."""
        return {key: self._seen(key) for key in keys}

    def _seen(self, key: str) -> TargetState | AdapterError:
        try:
            provider, scope = self._resolve(key)
            states = _in_scope(read_document(provider.file), provider, scope)
        except AdapterError as error:
            return error
        return TargetState(key=key, revision=_digest(states), parts=dict(states))

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """A plan that puts each flag at its declared safe state, else at its variant ``off``, else back as before the change.

        Flags outside ``request.only`` are not touched. Raises Refused where a flag has none of the three, or too many would change.
        """
        provider, scope = self._resolve(request.target)
        states = _in_scope(read_document(provider.file), provider, scope)
        if _digest(states) != request.from_revision:
            raise Refused(f"{request.target} is no longer at {request.from_revision[:12]}; nothing was changed", advice="judge what is live now")
        before = {name: states[name] for name in _touched(request, states)}
        ends = {name: _end_state(provider, name, state, request.before.get(name)) for name, state in before.items()}
        after = {name: end for name, end in ends.items() if end != before[name]}
        if not after:
            return NothingToDo(f"{_count(before)} of {request.target} already at the safe state")
        if len(after) > provider.max_flags:
            raise Refused(
                f"{request.target}: {len(after)} flags would change, at most {provider.max_flags} may; nothing was changed",
                advice="narrow the scope with a tag or a list of flags",
            )
        return _plan(request, provider, states, after)

    def apply(self, plan: Plan) -> None:
        """Replace the planned flags in one rename; other flags stand as they were a moment ago.

        Raises Refused if any planned flag is not exactly as it was planned for, or the file changed during the replacement.
        """
        provider, _ = self._resolve(plan.intent.target)
        before, after = _record(plan.intent)
        with self._writing:
            document = read_document(provider.file)
            _refuse_mount(provider)
            moved = [name for name, state in before.items() if _live(document, name) != state]
            if moved:
                raise Refused(
                    f"{_names(moved)} in {provider.file} changed since the plan; nothing was changed", advice="look who changed it, then plan again"
                )
            replace_document(document, with_flags(document, after))

    def look(self, intent: Intent) -> Sight:
        """Where the intent's flags stand now; other flags of the scope do not matter."""
        provider, scope = self._resolve(intent.target)
        document = read_document(provider.file)
        before, after = _record(intent)
        revision = _digest(_selected(document, scope))
        if all(_live(document, name) == state for name, state in after.items()):
            return Sight(Standing.THERE, f"{_count(after)} at the planned state", revision)
        if all(_live(document, name) == state for name, state in before.items()):
            return Sight(Standing.BEFORE, f"{_count(before)} as before the intent", revision)
        moved = [name for name, state in after.items() if _live(document, name) != state]
        return Sight(Standing.ELSEWHERE, f"{_names(moved)} neither as before the intent nor as planned: another writer was here", revision)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """What would stop us, per key: an unreadable file, a folder that lets no one write, too many flags, a flag without a safe state."""
        found: list[str] = []
        for key in keys:
            try:
                provider, scope = self._resolve(key)
                document = read_document(provider.file)
                states = _in_scope(document, provider, scope)
                _refuse_mount(provider)
            except AdapterError as error:
                found.append(f"{key}: {error}")
                continue
            found.extend(f"{key}: {fault}" for fault in _faults(provider, document, states))
        return tuple(found)

    def _resolve(self, key: str) -> tuple[FlagFile, str]:
        kind, _, rest = key.partition(":")
        name, _, scope = rest.partition("/")
        if kind != self.kind or not scope:
            raise Permanent(f"'{key}' is no flag target; write flagd:PROVIDER/all, flagd:PROVIDER/tag:NAME or flagd:PROVIDER/flags:A,B")
        if name not in self._providers:
            known = ", ".join(sorted(self._providers)) or "none"
            raise Permanent(f"'{key}' names the flag provider '{name}', known are: {known}; add it to the daemon's config")
        return self._providers[name], scope


def _selected(document: Document, scope: str) -> Mapping[str, _State]:
    word, _, value = scope.partition(":")
    states = {name: document.flags[name].state for name in sorted(document.flags)}
    if scope == "all":
        return states
    if word == "tag" and value:
        return {name: state for name, state in states.items() if value in _tags(state)}
    if word == "flags" and value:
        wanted = {part.strip() for part in value.split(",")}
        return {name: state for name, state in states.items() if name in wanted}
    raise Permanent(f"'{scope}' is no scope of flags; write all, tag:NAME or flags:A,B")


def _in_scope(document: Document, provider: FlagFile, scope: str) -> Mapping[str, _State]:
    states = _selected(document, scope)
    wanted = [part.strip() for part in scope.removeprefix("flags:").split(",")] if scope.startswith("flags:") else []
    absent = [name for name in wanted if name not in states]
    if absent:
        raise Refused(f"{provider.file} has no {_names(absent)}; nothing was changed", advice="correct the scope's list of flags")
    if not states:
        # An empty set is never read as 'everything'.
        raise Refused(f"scope '{scope}' matches no flag in {provider.file}; nothing was changed", advice="correct the scope, or tag the flags")
    return states


def _tags(state: _State) -> frozenset[str]:
    metadata = state.get("metadata")
    if not isinstance(metadata, Mapping):
        return frozenset()
    many, one = metadata.get("tags", ()), metadata.get("tag")
    listed = many.split(",") if isinstance(many, str) else many if isinstance(many, Sequence) else ()
    return frozenset(tag.strip() for tag in (*listed, one) if isinstance(tag, str))


def _touched(request: PlanRequest, states: Mapping[str, _State]) -> tuple[str, ...]:
    if request.only is None:
        return tuple(states)
    if not request.only:
        raise Refused(f"the change touched no flag of {request.target}; nothing was changed", advice="undo it where it was made")
    absent = [name for name in request.only if name not in states]
    if absent:
        raise Refused(
            f"{_names(absent)} is not in {request.target} any more; nothing was changed", advice="put the flag back by hand, or widen the scope"
        )
    return tuple(sorted(set(request.only)))


def _end_state(provider: FlagFile, name: str, state: _State, before: Json) -> _State:
    variants = state["variants"]
    safe = provider.safe_states.get(name)
    if safe is not None and (not isinstance(variants, Mapping) or safe not in variants):
        raise Refused(
            f"flag '{name}' has no variant '{safe}', its declared safe state; nothing was changed", advice="correct safe_states or the flag"
        )
    if safe is None and isinstance(variants, Mapping) and "off" in variants:
        safe = "off"
    if safe is not None:
        return _serving(state, safe)
    if isinstance(before, Mapping) and isinstance(before.get("variants"), Mapping):
        return before
    raise Refused(
        f"flag '{name}' has no declared safe state, no variant 'off', and its state before the change is unknown; nothing was changed",
        advice=f"declare safe_states: {{{name}: VARIANT}} for provider {provider.name}",
    )


def _serving(state: _State, variant: str) -> _State:
    served: dict[str, Json] = {**state, "state": "ENABLED", "defaultVariant": variant}
    if "targeting" in state:
        served["targeting"] = {}
    return served


def _plan(request: PlanRequest, provider: FlagFile, states: Mapping[str, _State], after: Mapping[str, _State]) -> Plan:
    before = {name: states[name] for name in after}
    edits = tuple(edit for name in after for edit in _edits(name, before[name], after[name]))
    kept = [name for name in states if name not in after]
    return Plan(
        intent=Intent(request.target, request.incident, request.from_revision, _digest({**states, **after}), {"before": before, "after": after}),
        summary=f"set {_names(list(after))} of {provider.name} to the safe state",
        steps=edits,
        not_undone=(f"{_names(kept)} in scope stay as they are",) if kept else (),
        command=f"edit {provider.file}: {'; '.join(edits)}",
        deadline=timedelta(seconds=30),
        settle=provider.settle,
    )


def _edits(name: str, before: _State, after: _State) -> list[str]:
    fields = [part for part in dict.fromkeys((*before, *after)) if before.get(part) != after.get(part)]
    return [f"flags.{name}.{part}: {_shown(before, part)} -> {_shown(after, part)}" for part in fields]


def _shown(state: _State, part: str) -> str:
    return json.dumps(state[part], ensure_ascii=False) if part in state else "(absent)"


def _record(intent: Intent) -> tuple[Mapping[str, _State], Mapping[str, _State]]:
    before, after = intent.record.get("before"), intent.record.get("after")
    if not _is_states(before) or not _is_states(after) or set(before) != set(after):
        raise Permanent(f"the intent of {intent.incident} for {intent.target} holds no flag states; nothing was changed; compare the flags by hand")
    return before, after


def _is_states(value: Json) -> TypeGuard[Mapping[str, _State]]:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(state, Mapping) for state in value.values())


def _live(document: Document, name: str) -> _State | None:
    return document.flags[name].state if name in document.flags else None


def _faults(provider: FlagFile, document: Document, states: Mapping[str, _State]) -> list[str]:
    found = []
    if not os.access(document.path.parent, os.W_OK):
        found.append(f"the folder of {document.path} is not writable for uid {os.geteuid()}; give it the rights or move the file")
    if len(states) > provider.max_flags:
        found.append(f"{len(states)} flags in scope, at most {provider.max_flags} may change at once; narrow the scope")
    for name, state in states.items():
        try:
            _end_state(provider, name, state, state)
        except Refused as error:
            found.append(f"{error}; {error.advice}")
    return found


def _refuse_mount(provider: FlagFile) -> None:
    # The kubelet swaps the ..data link of such a mount and would undo a write, if the mount let us write at all.
    if (provider.file.parent / "..data").is_symlink():
        raise Permanent(
            f"{provider.file} lies in a ConfigMap or Secret mount, which the kubelet overwrites; nothing was changed; change its source instead"
        )


def _digest(states: Mapping[str, _State]) -> str:
    return hashlib.sha256(json.dumps(states, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _names(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names[:5])
    return f"flag{'s' * (len(names) != 1)} {quoted}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def _count(states: Mapping[str, _State]) -> str:
    return f"{len(states)} flag{'s' * (len(states) != 1)}"
