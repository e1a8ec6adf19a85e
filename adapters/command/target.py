"""Anything that two commands of the daemon's config can describe and put back: ``command:NAME``.

``describe`` prints the revision that runs; ``apply`` puts the revision there that stands in place of its argument ``{revision}``.
Argument lists come from the daemon's config, never from a policy; no shell reads them.
"""

import json
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, Interval, NothingToDo, Plan, PlanRequest, Sight, Standing, TargetState
from rollbackd.adapters.base.wording import is_fit
from rollbackd.adapters.command.process import Finished, never, run, run_guarded

_PLACE = "{revision}"
_LONGEST = 256
_YEARS = range(1970, 3000)
"""A moment is counted from in both directions, which the calendar must have room for. Year 1 is what Go prints for no time at all."""
_FIELDS = frozenset({"revision", "ready", "started", "change"})


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """How one target is seen and put back.

    ``timeout`` bounds one run of either; ``complete_within`` what follows a write, until ``describe`` says ready.
    """

    describe: tuple[str, ...]
    apply: tuple[str, ...]
    timeout: timedelta = field(default=timedelta(seconds=60), kw_only=True)
    complete_within: timedelta = field(default=timedelta(minutes=10), kw_only=True)
    settle: timedelta = field(default=timedelta(seconds=30), kw_only=True)

    def __post_init__(self) -> None:
        if not self.describe or _PLACE not in self.apply[1:]:
            raise Permanent("a command needs 'describe' and an 'apply' with '{revision}' as an argument of its own; nothing else is replaced")


class Command:
    """The Target of every command, by name."""

    kind = "command"
    advice = "run its 'describe' by hand"

    def __init__(self, commands: Mapping[str, CommandSpec]) -> None:
        self._commands = dict(commands)

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """What each ``describe`` says now, asked at the same time; as late as the slowest."""
        if len(keys) < 2:
            return {key: self.ask(key) for key in keys}
        with ThreadPoolExecutor(min(len(keys), 8), "describe") as pool:
            return dict(zip(keys, pool.map(self.ask, keys), strict=True))

    def ask(self, key: str, is_over: Callable[[], bool] = never) -> TargetState | AdapterError:
        """What ``describe`` says now. Never raises an AdapterError. Once nobody waits any more it is killed with everything it started."""
        try:
            return _describe(key, self._spec(key), "", is_over)
        except AdapterError as error:
            return error

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """A plan towards the first known-good revision that is not the judged one. Raises Refused if there is none."""
        spec = self._spec(request.target)
        to = next((revision for revision in request.candidates if revision != request.from_revision), None)
        if to is None:
            advice = f"rollbackd good {shlex.quote(request.target)} REVISION"
            raise Refused(f"no known good revision of {request.target}; nothing was changed", advice=advice)
        if not _is_revision(to):
            raise Refused(
                f"the known good revision {to[:60]!r} of {request.target} could be read as an option or as another text; nothing was changed",
                advice="declare another",
            )
        live = _describe(request.target, spec, request.incident).revision
        if live != request.from_revision:
            raise _moved(request.target, live, request.from_revision)
        command = shlex.join(_argv(spec, to))
        return Plan(
            intent=Intent(request.target, request.incident, request.from_revision, to),
            summary=f"put {request.target} back to {to}",
            steps=(f"run {command}",),
            command=command,
            apply_within=2 * spec.timeout + timedelta(seconds=10),  # a look comes before the write
            deadline=spec.complete_within,
            settle=spec.settle,
        )

    def apply(self, plan: Plan) -> None:
        """Run ``apply`` once if ``describe`` still says what was judged. Any end of it but exit code 0 leaves the outcome unknown.

        It never goes on beyond its time-out, and so not beyond ``apply_within``, even where the daemon is killed meanwhile.
        """
        intent = plan.intent
        spec = self._spec(intent.target)
        if not _is_revision(intent.to_revision):
            raise Refused(
                f"{intent.to_revision[:60]!r} could be read as an option or as another text; nothing was changed",
                advice="declare another known good revision",
            )
        live = _describe(intent.target, spec, intent.incident).revision
        if live != intent.from_revision:
            raise _moved(intent.target, live, intent.from_revision)
        if plan.begun is not None and time.monotonic() - plan.begun > spec.timeout.total_seconds():
            raise Refused(
                f"{intent.target}: so much time has gone that the claim on this write may end before it; nothing was changed",
                advice="see why it is slow, then plan again",
            )
        done = run_guarded(_argv(spec, intent.to_revision), spec.timeout.total_seconds(), intent.incident)
        if done.code != 0:
            raise Transient(f"'apply' of {intent.target} {_end(done, spec)}; it is unknown what runs now; look at what 'describe' says")

    def look(self, intent: Intent) -> Sight:
        """What ``describe`` says, relative to the intent; THERE once it also says ready, where it speaks of readiness."""
        state = _describe(intent.target, self._spec(intent.target), intent.incident)
        if state.revision == intent.to_revision and state.has_readiness and state.ready is None:
            return Sight(Standing.UNDERWAY, f"{state.revision} runs and is not ready yet", state.revision)
        if state.revision == intent.to_revision:
            return Sight(Standing.THERE, f"{state.revision} runs", state.revision)
        if state.revision == intent.from_revision:
            return Sight(Standing.BEFORE, f"{state.revision} still runs", state.revision)
        return Sight(
            Standing.ELSEWHERE, f"{state.revision} runs, neither the judged nor the planned revision: another writer was here", state.revision
        )

    def check(self, keys: Sequence[str], is_over: Callable[[], bool] = never) -> tuple[str, ...]:
        """What would stop us, per key: an unknown name, a program that is not there, a ``describe`` that does not answer before it ``is_over``."""
        return tuple(fault for key in keys for fault in self._faults(key, is_over))

    def _faults(self, key: str, is_over: Callable[[], bool]) -> list[str]:
        try:
            spec = self._spec(key)
        except AdapterError as error:
            return [f"{key}: {error}"]
        absent = [argv[0] for argv in (spec.describe, spec.apply) if shutil.which(argv[0]) is None]
        if absent:
            return [f"{key}: no program {', '.join(absent)}; install it or correct the daemon's config"]
        seen = self.ask(key, is_over)
        return [f"{key}: {seen}"] if isinstance(seen, AdapterError) else []

    def _spec(self, key: str) -> CommandSpec:
        kind, _, name = key.partition(":")
        if kind != self.kind or name not in self._commands:
            raise Permanent(f"'{key}' names no command of the daemon's config, known are: {', '.join(sorted(self._commands)) or 'none'}")
        return self._commands[name]


def _describe(key: str, spec: CommandSpec, incident: str, is_over: Callable[[], bool] = never) -> TargetState:
    done = run(spec.describe, spec.timeout.total_seconds(), incident, is_over)
    if done.code != 0:
        raise Transient(f"'describe' of {key} {_end(done, spec)}; nothing is known of it; run it by hand")
    said = done.stdout.strip()
    if not said:
        raise Transient(f"'describe' of {key} printed nothing{done.excerpt}; nothing is known of it; run it by hand")
    fields = _fields(key, said) if said.startswith("{") else {"revision": said}
    revision, change = fields["revision"], fields.get("change")
    if revision is None or not _is_revision(revision):
        raise Permanent(
            f"'describe' of {key} printed {said[:60]!r}, which is no revision: one line, at most {_LONGEST} characters, "
            "none of them invisible or half of one, no '-' in front; correct it"
        )
    if change is not None and not _is_line(change):
        raise Permanent(
            f"'describe' of {key} says change {change[:60]!r}, which names none: one line, 1 to {_LONGEST} characters, "
            "none of them invisible or half of one; correct it"
        )
    started = _moment(key, "started", fields.get("started"))
    return TargetState(
        key=key,
        revision=revision,
        change_id=change,
        started=Interval(started, started) if started else None,
        ready=_moment(key, "ready", fields.get("ready")),
        has_readiness="ready" in fields,
    )


def _is_revision(text: str) -> bool:
    """True for what arrives as one value where it is passed on as an argument: no option, and neither several lines nor a path's end."""
    return _is_line(text) and not text.startswith("-")


def _is_line(text: str) -> bool:
    """True for what the journal and every channel can hold, and people read as it is."""
    return 0 < len(text) <= _LONGEST and not text[0].isspace() and is_fit(text)


def _fields(key: str, said: str) -> Mapping[str, str | None]:
    try:
        fields = json.loads(said)
    except (ValueError, RecursionError) as error:  # the latter where it is nested deeper than the parser can follow
        raise Permanent(f"'describe' of {key} printed {said[:60]!r}, which is no JSON that can be read ({error}); correct it") from error
    if not isinstance(fields, dict) or "revision" not in fields or not set(fields) <= _FIELDS:
        raise Permanent(f"'describe' of {key} may print 'revision' (required), 'ready', 'started' and 'change', it printed {said[:60]!r}; correct it")
    if not all(value is None or isinstance(value, str) for value in fields.values()):
        raise Permanent(f"'describe' of {key} printed a field that is no string: {said[:60]!r}; correct it")
    return fields


def _moment(key: str, name: str, said: str | None) -> datetime | None:
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise Permanent(f"'describe' of {key} says {name} {said[:60]!r}, which is no RFC 3339 time; correct it") from error
    if moment.tzinfo is None:
        raise Permanent(f"'describe' of {key} says {name} {said[:60]!r} without a time zone; correct it")
    if moment.year not in _YEARS:
        raise Permanent(f"'describe' of {key} says {name} {said[:60]!r}, when nothing can have been {name}; leave out what is not known")
    return moment.astimezone(UTC)


def _argv(spec: CommandSpec, revision: str) -> tuple[str, ...]:
    return tuple(revision if part == _PLACE else part for part in spec.apply)


def _moved(key: str, live: str, judged: str) -> Refused:
    return Refused(f"{key} runs {live}, not {judged} that was judged; nothing was changed", advice="judge what is live now")


def _end(done: Finished, spec: CommandSpec) -> str:
    if done.is_over:
        return "was ended, as nobody waits for it any more"
    if done.code is None:
        return f"did not end within {spec.timeout.total_seconds():g}s and was killed{done.excerpt}"
    return f"ended with exit code {done.code}{done.excerpt}"
