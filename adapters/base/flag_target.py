"""The Target of every kind of feature flags: each flag to its safe state, under the prior states that the intent keeps, and back exactly.

Keys are ``KIND:PLACE/SCOPE``, or ``KIND:PLACE/ENVIRONMENT/SCOPE`` where the kind has environments.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flag_ends import Ends, held_by_dependents, restored, safe, safe_end
from rollbackd.adapters.base.flag_intent import states_of
from rollbackd.adapters.base.flags import LEAVE, FlagProvider, LastChange, Reading, Scope, State, counted, digest_of, edits, named, scope_of
from rollbackd.adapters.base.target import Intent, Interval, NothingToDo, Plan, PlanRequest, Sight, Standing, TargetState

_AT_ONCE = 4
"""So many scopes are read at the same moment: as many questions as before, but a vendor limits their rate too."""
_READS = 3
"""So often a scope is read until no change came in between."""
BUDGET = timedelta(seconds=20)
"""Nothing is sent later than this after the start of ``apply``: its claim lasts 30 s, and most providers have no fence against who comes next."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A key that was understood."""

    provider: FlagProvider
    environment: str
    scope: Scope

    def read(self, also: Sequence[str] = (), *, fresh: bool = True) -> Reading:
        return self.provider.read(self.environment, self.scope, also, fresh=fresh)


class FlagTarget:
    """All flags of one kind. ``providers``: by the place that their keys name. ``budget``: see BUDGET; no write begins once half of it is over.

    ``steady``: seconds that no hand on the clock moves, and that go on while this process is stopped.
    """

    def __init__(
        self,
        kind: str,
        providers: Mapping[str, FlagProvider],
        *,
        has_environments: bool,
        budget: timedelta = BUDGET,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self._providers = dict(providers)
        self._has_environments = has_environments
        self._budget, self._steady = budget.total_seconds(), steady
        self._writing = threading.Lock()

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """How each scope stands now. Where a provider keeps a history, what is unchanged since is not read again.

        A provider that names a time to be left alone (HTTP 429) is asked for none of its scopes that are left.
        """
        if not keys:
            return {}
        resting: dict[str, Transient] = {}
        with ThreadPoolExecutor(min(len(keys), _AT_ONCE), self.kind) as pool:
            return dict(zip(keys, pool.map(lambda key: self._asked(key, resting), keys), strict=True))

    def _asked(self, key: str, resting: dict[str, Transient]) -> TargetState | AdapterError:
        place = key.partition("/")[0]
        if place in resting:
            return resting[place]
        seen = self._seen(key)
        if isinstance(seen, Transient) and seen.retry_after is not None:
            resting[place] = seen
        return seen

    def _seen(self, key: str) -> TargetState | AdapterError:
        try:
            place = self._resolve(key)
            reading, change = _with_change(place)
            states = _existing(place, reading)
        except AdapterError as error:
            return error
        revision = digest_of(states)
        if change is None:
            return TargetState(key=key, revision=revision, parts=dict(states))
        return TargetState(
            key=key,
            revision=revision,
            # Not every change of a state is in every history (a flag that entered the scope, a shared segment): the id tells those apart too.
            change_id=f"{change.id}/{revision[:6]}",
            started=Interval(change.at, change.at),
            # It serves at once, so its watch window runs from then: one from long ago is no suspect because it is first seen now.
            ready=change.at,
            parts=dict(states),
            touched=change.touched,
            writer=change.writer,
        )

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """A plan that puts each flag at its declared safe state, else at its default for off, else back as before the change.

        Flags outside ``request.only`` are not touched; with ``request.undo`` the flags go to the exact states from before that write. Raises
        Refused where a flag has no end to go to, or too many would change.
        """
        place = self._resolve(request.target)
        was, became = states_of(request.undo) if request.undo is not None else ({}, {})
        reading = place.read(tuple(was))
        states = _existing(place, reading)
        if digest_of(states) != request.from_revision:
            raise Refused(f"{request.target} is no longer at {request.from_revision[:12]}; nothing was changed", advice="judge what is live now")
        if request.undo is not None:
            ends = restored(reading, was, became)
            return _plan(request, place, reading, ends) if ends.after else _nothing_restored(request, ends)
        ends = safe(place.provider, reading, _touched(request, states), request.before)
        if not ends.after:
            return _nothing_safe(request, reading, ends)
        if len(ends.after) > place.provider.max_flags:
            raise Refused(
                f"{request.target}: {len(ends.after)} flags would change, at most {place.provider.max_flags} may; nothing was changed",
                advice="narrow the scope with a tag or a list of flags",
            )
        return _plan(request, place, reading, ends)

    def apply(self, plan: Plan) -> None:
        """Write the planned flags; other flags stand as they were a moment ago.

        Raises Refused if any planned flag is not exactly as it was planned for, or too much time has gone before anything could be sent.
        """
        began = self._steady() if plan.begun is None else plan.begun
        place = self._resolve(plan.intent.target)
        before, after = states_of(plan.intent)
        with self._in_turn(place):
            reading = place.provider.read(place.environment, Scope("flags", tuple(sorted(before))))
            moved = [name for name, state in before.items() if reading.states.get(name) != state]
            if moved:
                raise Refused(
                    f"{named(moved)} in {place.provider.where} changed since the plan; nothing was changed",
                    advice="look who changed it, then plan again",
                )
            if self._steady() - began > self._budget / 2:
                raise _too_slow(f"{place.provider.where} answers so slowly")
            place.provider.write(place.environment, reading, after, f"rollbackd:{plan.intent.incident}", began + self._budget)

    @contextmanager
    def _in_turn(self, place: _Place) -> Iterator[None]:
        if not self._writing.acquire(timeout=self._budget / 2):
            raise _too_slow(f"another write to flags of {self.kind} takes so long, and {place.provider.where} has to wait for it,")
        try:
            yield
        finally:
            self._writing.release()

    def look(self, intent: Intent) -> Sight:
        """Where the intent's flags stand now, where they are kept and where applications read them; other flags of the scope do not matter."""
        place = self._resolve(intent.target)
        before, after = states_of(intent)
        reading = place.read(tuple(after))
        revision, live = digest_of(reading.in_scope), reading.states
        done = [name for name, state in after.items() if live.get(name) == state]
        if len(done) == len(after):
            if late := place.provider.unseen(place.environment, after):
                return Sight(Standing.UNDERWAY, f"{named(late)} written, but not yet served by {place.provider.where}", revision)
            return Sight(Standing.THERE, f"{counted(after)} at the planned state", revision)
        kept = [name for name, state in before.items() if live.get(name) == state]
        if len(kept) == len(before):
            return Sight(Standing.BEFORE, f"{counted(before)} as before the intent", revision)
        if not place.provider.is_atomic(before, after) and len({*done, *kept}) == len(after):
            return Sight(Standing.UNDERWAY, f"{len(done)} of {counted(after)} at the planned state; {named(kept)} not", revision)
        moved = [name for name in after if name not in done]
        return Sight(Standing.ELSEWHERE, f"{named(moved)} neither as before the intent nor as planned: another writer was here", revision)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """What would stop us, per key: a place that cannot be read or written, too many flags, a flag without a safe state."""
        found: list[str] = []
        for key in keys:
            try:
                place = self._resolve(key)
                reading = place.read()
                _existing(place, reading)
                faults = [*place.provider.faults(place.environment, reading), *_faults(place.provider, reading)]
            except AdapterError as error:
                faults = [str(error)]
            found.extend(f"{key}: {fault}" for fault in faults)
        return tuple(found)

    def _resolve(self, key: str) -> _Place:
        kind, _, rest = key.partition(":")
        name, _, rest = rest.partition("/")
        environment, _, scope = rest.partition("/") if self._has_environments else ("", "", rest)
        if kind != self.kind or not scope or (self._has_environments and not environment):
            form = f"{self.kind}:PROVIDER/{'ENVIRONMENT/' if self._has_environments else ''}"
            raise Permanent(f"'{key}' is no flag target; write {form}all, {form}tag:NAME or {form}flags:A,B")
        if name not in self._providers:
            known = ", ".join(sorted(self._providers)) or "none"
            raise Permanent(f"'{key}' names the flag provider '{name}', known are: {known}; add it to the daemon's config")
        return _Place(self._providers[name], environment, scope_of(scope))


def _too_slow(what: str) -> Refused:
    return Refused(f"{what} that the claim on this write may end before it; nothing was changed", advice="see why it is slow, then plan again")


def _with_change(place: _Place) -> tuple[Reading, LastChange | None]:
    """The flags and the change that brought them there: two equal reads, so that no change came in between."""
    reading = place.read(fresh=False)
    for _ in range(_READS):
        change = place.provider.last_change(place.environment, reading)
        if change is None or (again := place.read(fresh=False)) == reading:
            return reading, change
        reading = again
    raise Transient(f"the flags of {place.provider.where} change faster than they can be read; nothing was changed")


def _existing(place: _Place, reading: Reading) -> Mapping[str, State]:
    """The states in scope. Raises Refused where a listed flag is missing, or none is in scope."""
    where, scope = place.provider.where, place.scope
    absent = [name for name in scope.names if name not in reading.states] if scope.word == "flags" else []
    if absent:
        raise Refused(f"{where} has no {named(absent)}; nothing was changed", advice="correct the scope's list of flags")
    if not reading.scope:
        # An empty set is never read as 'everything'.
        raise Refused(f"scope '{scope}' matches no flag in {where}; nothing was changed", advice="correct the scope, or tag the flags")
    return reading.in_scope


def _touched(request: PlanRequest, states: Mapping[str, State]) -> tuple[str, ...]:
    if request.only is None:
        return tuple(states)
    if not request.only:
        raise Refused(f"the change touched no flag of {request.target}; nothing was changed", advice="undo it where it was made")
    absent = [name for name in request.only if name not in states]
    if absent:
        raise Refused(
            f"{named(absent)} is not in {request.target} any more; nothing was changed", advice="put the flag back by hand, or widen the scope"
        )
    return tuple(sorted(set(request.only)))


def _nothing_safe(request: PlanRequest, reading: Reading, ends: Ends) -> NothingToDo:
    if ends.left:
        raise Refused(f"{'; '.join(ends.left)}; nothing was changed", advice="decide about it by hand, or declare its safe state")
    return NothingToDo(f"{counted(ends.considered)} of {request.target} already {reading.already}")


def _nothing_restored(request: PlanRequest, ends: Ends) -> NothingToDo:
    if ends.left:
        raise Refused(f"{'; '.join(ends.left)}; nothing was changed", advice="compare the flags by hand")
    return NothingToDo(f"{counted(ends.considered)} of {request.target} already as before the write")


def _plan(request: PlanRequest, place: _Place, reading: Reading, ends: Ends) -> Plan:
    after, provider, states = ends.after, place.provider, reading.in_scope
    before = {name: reading.states[name] for name in after}
    kept = [name for name in states if name not in after and name not in ends.spared]
    end = "back as before" if request.undo is not None else "to the safe state"
    return Plan(
        intent=Intent(
            request.target,
            request.incident,
            request.from_revision,
            digest_of({name: after.get(name, state) for name, state in states.items()}),
            {"before": before, "after": after},
        ),
        summary=f"set {named(list(after))} of {provider.name} {end}",
        steps=tuple(edit for name in after for edit in edits(name, before[name], after[name])),
        not_undone=(*ends.left, *((f"{named(kept)} in scope stay as they are",) if kept else ()), *_followers(reading, ends)),
        command=provider.command(place.environment, before, after),
        # Where applications are seen to be served, they may take as long as they are said to.
        deadline=max(timedelta(seconds=30), provider.settle),
        settle=provider.settle,
    )


def _followers(reading: Reading, ends: Ends) -> list[str]:
    """What is served otherwise beside the flags that are written."""
    written = [(name, [child for child in reading.dependents.get(name, ()) if child not in ends.after]) for name in ends.after]
    return [
        f"{named(each)} {'depend' if each[1:] else 'depends'} on '{name}': what is served of them changes with it" for name, each in written if each
    ]


def _faults(provider: FlagProvider, reading: Reading) -> list[str]:
    found = []
    if len(reading.scope) > provider.max_flags:
        found.append(f"{len(reading.scope)} flags in scope, at most {provider.max_flags} may change at once; narrow the scope")
    for name, state in reading.in_scope.items():
        try:
            end = safe_end(provider, name, state, state)
        except Refused as error:
            found.append(f"{error}; {error.advice}")
            continue
        if provider.safe_states.get(name) != LEAVE and (why := held_by_dependents(provider, reading, name, end)) is not None:
            found.append(f"{why}; take the dependency away, or declare that '{name}' is left")
    return found
