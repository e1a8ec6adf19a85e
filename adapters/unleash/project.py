"""One project of an Unleash server as a provider of flags: read whole, switched in one transaction, seen on the path that applications use.

A flag's strategies are never written. Switching an environment off keeps them, and switching it on again is exact as long as one of them is
enabled: to a flag without any, Unleash would add one of its own.
"""

import json
import shlex
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State, goes_on, named
from rollbackd.adapters.base.json_api import JsonApi
from rollbackd.adapters.unleash.admin import Admin, Cursor, Event, Feature
from rollbackd.adapters.unleash.evaluation import Evaluation

_READS = 3
"""So often flags are read until nothing happened in between."""
_OURS = 1_000
"""So many events of ours are remembered."""
_GUARDED = ("kill-switch", "operational", "permission")
"""Types of flags that are often safe when they are on, so that nobody can know without being told."""

_EVENT_OF = {"on": "feature-environment-enabled", "off": "feature-environment-disabled"}


@dataclass(slots=True)
class _Memory:
    """What this process knows: the last reading of each question with the end of the event log then, and the events that it caused."""

    readings: dict[tuple[str, Scope], tuple[Cursor, Reading]] = field(default_factory=dict)
    ours: dict[int, str] = field(default_factory=dict)
    name: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Project:
    """One provider: a project, and what is safe in it. ``client_token_file`` None: what applications are served is not asked."""

    name: str
    url: str
    token_file: Path
    client_token_file: Path | None = None
    project: str = field(default="default", kw_only=True)
    ca_file: Path | None = field(default=None, kw_only=True)
    timeout: timedelta = field(default=timedelta(seconds=10), kw_only=True)
    settle: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    safe_states: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_flags: int = field(default=20, kw_only=True)
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    @property
    def where(self) -> str:
        """Project and host."""
        return f"project '{self.project}' of {self._admin.api.host}"

    @property
    def _admin(self) -> Admin:
        return Admin(JsonApi(self.url, self.token_file, _signed, self.timeout, self.ca_file), self.project)

    @property
    def _evaluation(self) -> Evaluation | None:
        if self.client_token_file is None:
            return None
        return Evaluation(JsonApi(self.url, self.client_token_file, _signed, self.timeout, self.ca_file), self.project)

    # --- what stands there ---------------------------------------------------------------------------------------------------------------

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:
        """The flags, with nothing that happened in between."""
        cursor = self._admin.cursor()
        with self._memory.lock:
            known = self._memory.readings.get((environment, scope))
        if not fresh and not also and known is not None and known[0] == cursor:
            return known[1]
        for _ in range(_READS):
            reading = self._read(environment, scope, also)
            before, cursor = cursor, self._admin.cursor()
            if before == cursor:
                break
        else:
            raise Transient(f"flags of {self.where} change faster than they can be read; nothing was changed")
        if not fresh and not also:
            with self._memory.lock:
                self._memory.readings[environment, scope] = (cursor, reading)
        return reading

    def _read(self, environment: str, scope: Scope, also: Collection[str]) -> Reading:
        admin = self._admin
        if scope.word == "flags":
            wanted, inside = {*scope.names, *also}, frozenset(scope.names)
        else:
            tags = admin.tags()
            inside = frozenset(name for name, tagged in tags.items() if scope.word == "all" or scope.names[0] in tagged)
            wanted = {*inside, *also}
        found = {name: feature for name in sorted(wanted) if (feature := admin.feature(name, environment)) is not None}
        children = {child for feature in found.values() for child in feature.children}
        known = found | {name: feature for name in sorted(children - found.keys()) if (feature := admin.feature(name, environment)) is not None}
        states = {name: self._stated(name, feature, environment) for name, feature in found.items()}
        guarded = {
            name: f"it is of type {feature.kind}, so it must declare what is safe" for name, feature in known.items() if feature.kind in _GUARDED
        }
        dependents = {name: on for name, feature in found.items() if (on := tuple(child for child in feature.children if _is_on(known.get(child))))}
        opposed = {name: frozenset(child for child in on if _is_opposed(known[child], name)) for name, on in dependents.items()}
        return Reading(states, inside & states.keys(), guarded, dependents, opposed)

    def _stated(self, name: str, feature: Feature, environment: str) -> State:
        if feature.state is None:
            known = ", ".join(sorted(feature.environments)) or "none"
            raise Permanent(f"flag '{name}' of {self.where} has no environment '{environment}', it has: {known}; nothing was changed")
        return feature.state

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """The newest event of these flags, with all that the same transaction changed."""
        group = _newest_group(self._admin.events(reading.scope, environment))
        if not group:
            return None
        newest = max(group, key=lambda event: event.id)
        return LastChange(str(newest.id), newest.at, tuple(sorted({event.feature for event in group})), self._writer(newest))

    def _writer(self, event: Event) -> str | None:
        with self._memory.lock:
            incident = self._memory.ours.get(event.id)
        if incident is not None:
            return incident
        # Our token's other events may be ours from before a restart, or those of whoever else was given the token.
        return event.by if self._own_name() not in (None, event.by) else None

    def _own_name(self) -> str | None:
        """Who our token is in the event log; None if it may not know."""
        if self._memory.name is None:
            try:
                found = self._admin.user()
            except Permanent:
                return None
            user = found.get("user") if isinstance(found, dict) else None
            self._memory.name = str(user.get("email") or user.get("username") or "") if isinstance(user, dict) else ""
        return self._memory.name or None

    # --- what is written -----------------------------------------------------------------------------------------------------------------

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The flag off in the environment, or on where that is declared; its strategies stay."""
        if not goes_on(name, word):
            return {**state, "enabled": False}
        if state["enabled"] is not True and not _is_exact_when_on(state):
            raise Refused(_adds_strategy([name]), advice="add the strategy that you want by hand, or declare another safe state")
        return {**state, "enabled": True}

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """The flags that go off go in one transaction, then those that go on in another."""
        off, on = _ways(reading.states, after)
        if odd := [name for name in after if {**reading.states[name], "enabled": after[name].get("enabled")} != after[name]]:
            raise Refused(
                f"{named(odd)} would need another strategy or dependency, which is not ours to write; nothing was changed",
                advice="put it back by hand",
            )
        if inexact := [name for name in on if not _is_exact_when_on(after[name])]:
            raise Refused(_adds_strategy(inexact), advice="switch it on by hand")
        if off:
            self._switch(off, environment, "off", mark)
        if on:
            if off and time.monotonic() > ends:
                raise Transient(f"{named(off)} went off, but {named(on)} did not go on: {self.where} answers too slowly; see why, then plan again")
            try:
                self._switch(on, environment, "on", mark)
            except AdapterError as error:
                if not off:
                    raise
                raise Transient(f"{named(off)} went off, but {named(on)} did not go on: {error}") from error

    def _switch(self, names: Sequence[str], environment: str, word: Literal["on", "off"], mark: str) -> None:
        self._admin.switch(names, environment, word)
        try:
            group = _newest_group(self._admin.events(names, environment))
            # Somebody else's transaction may have been faster than our look.
            is_ours = bool(group) and group[0].by == self._own_name() and {event.kind for event in group} == {_EVENT_OF[word]}
        except AdapterError:
            return  # it is written; whose event it is will be told by its revision
        if is_ours:
            with self._memory.lock:
                self._memory.ours |= {event.id: mark for event in group}
                for old in list(self._memory.ours)[:-_OURS]:
                    del self._memory.ours[old]

    def is_atomic(self, before: Mapping[str, State], after: Mapping[str, State]) -> bool:
        """One transaction switches in one direction."""
        return not all(_ways(before, after))

    def unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        """The flags that the client API serves otherwise."""
        evaluation = self._evaluation
        if evaluation is None:
            return ()
        try:
            served = evaluation.served(environment)
        except Permanent:
            return ()  # a wrong token is found by ``faults``; the metrics will tell whether the switch has helped
        return tuple(name for name, state in after.items() if served is not None and served.get(name, False) is not state["enabled"])

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """The same requests, for curl."""
        words: tuple[Literal["off", "on"], ...] = ("off", "on")
        return "; ".join(
            f'curl -X POST -H "Authorization: $(cat {shlex.quote(str(self.token_file))})" -H "Content-Type: application/json" '
            f"-d {shlex.quote(json.dumps({'features': names}))} {shlex.quote(self.url.rstrip('/') + self._admin.switch_path(environment, word))}"
            for word, names in zip(words, _ways(before, after), strict=True)
            if names
        )

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """A token without the right to switch, change requests, a client token that sees another environment."""
        admin, evaluation = self._admin, self._evaluation
        found = [] if _may_switch(admin.user(), self.project, environment) else [_no_right(self, environment)]
        if admin.change_requests(environment):
            found.append(
                f"{self.where} takes changes in '{environment}' as change requests only; "
                "give the token's user the right SKIP_CHANGE_REQUEST, or have people decide"
            )
        if evaluation is not None and (fault := evaluation.fault(environment)) is not None:
            found.append(fault)
        return tuple(found)


def _is_on(feature: Feature | None) -> bool:
    return feature is not None and (feature.state is None or feature.state["enabled"] is True)


def _is_opposed(child: Feature, parent: str) -> bool:
    """Whether the child is served only while the parent is off."""
    parents = child.state.get("dependencies") if child.state is not None else None
    each_of = parents if isinstance(parents, Sequence) else ()
    return any(isinstance(each, Mapping) and each.get("feature") == parent and each.get("enabled") is False for each in each_of)


def _signed(token: str) -> Mapping[str, str]:
    return {"Authorization": token}


def _newest_group(events: Iterable[Event]) -> list[Event]:
    """The newest event and all others of its transaction."""
    group: list[Event] = []
    for event in events:
        if group and (not event.group or event.group != group[0].group):
            break
        group.append(event)
    return group


def _is_exact_when_on(state: State) -> bool:
    strategies = state["strategies"]
    return isinstance(strategies, Sequence) and any(isinstance(each, Mapping) and not each.get("disabled") for each in strategies)


def _adds_strategy(names: Sequence[str]) -> str:
    return f"{named(names)} has no enabled strategy, and Unleash would add one when it is switched on; nothing was changed"


def _ways(before: Mapping[str, State], after: Mapping[str, State]) -> tuple[list[str], list[str]]:
    """The flags that go off, and those that go on."""
    changed = [name for name in sorted(after) if before[name].get("enabled") != after[name].get("enabled")]
    return [name for name in changed if not after[name]["enabled"]], [name for name in changed if after[name]["enabled"]]


def _may_switch(user: object, project: str, environment: str) -> bool:
    rights = user.get("permissions") if isinstance(user, dict) else None
    return not isinstance(rights, list) or any(_allows(right, project, environment) for right in rights if isinstance(right, dict))


def _allows(right: Mapping[str, object], project: str, environment: str) -> bool:
    if right.get("permission") == "ADMIN":
        return True
    in_project, in_environment = right.get("project"), right.get("environment")
    is_here = in_project in (None, "", "*", project) and in_environment in (None, "", "*", environment)
    return right.get("permission") == "UPDATE_FEATURE_ENVIRONMENT" and is_here


def _no_right(project: Project, environment: str) -> str:
    return (
        f"the token in {project.token_file} may not switch flags of {project.where} in '{environment}'; "
        "give its user the right UPDATE_FEATURE_ENVIRONMENT there"
    )
