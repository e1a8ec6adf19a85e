"""Checks of what would be put back: it is there, we may write it, nobody would undo that, and there is something to go back to."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.target import Target, TargetState
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.inspection import Look, inspected
from rollbackd.controller.observe.jobs import watch_jobs
from rollbackd.policies.model.policy import Mode, RevertRung


def targets(around: Surroundings) -> Iterator[Finding]:
    """Each target of each policy, place by place: where the first of a place gives no answer, the others are not waited for."""
    if isinstance(around.targets, AdapterError):
        yield Finding("targets", "config", Grade.FAIL, str(around.targets))
        return
    watch_jobs(around.targets, around.policies)
    acting = {key for policy in around.policies if policy.mode > Mode.OBSERVE for key in policy.targets}
    for (kind, place), keys in _by_place(key for policy in around.policies for key in policy.targets).items():
        if (target := around.targets.get(kind)) is None:
            yield Finding("targets", kind, Grade.FAIL, f"no target of kind {kind} is configured", "add it to the config")
        else:
            yield from _place(f"{kind}:{place}", target, keys, acting)


def _place(place: str, target: Target, keys: Sequence[str], acting: set[str]) -> Iterator[Finding]:
    states = _states(target, keys)
    if isinstance(first := states[keys[0]], Transient):
        others = f"; {len(keys) - 1} more there were not asked" if len(keys) > 1 else ""
        yield Finding("targets", place if others else keys[0], Grade.FAIL, f"{first}{others}", reached=False)
        return
    obstacles = _by_key(target.check(keys), keys)
    for subject, lines in obstacles.items():
        if subject not in states:
            grade = Grade.FAIL if acting.intersection(keys) else Grade.WARN
            yield from (Finding("targets", subject, grade, line, reached=True) for line in lines)
    yield from _unread(states)
    for key, state in states.items():
        yield from _target(key, state, obstacles.get(key, []), Grade.FAIL if key in acting else Grade.WARN)


def _states(target: Target, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
    """How the targets of one place stand; of the first alone where it gives no answer: the others would give none either."""
    first = target.survey(keys[:1])
    return first if len(keys) == 1 or isinstance(first[keys[0]], Transient) else {**first, **target.survey(keys[1:])}


def _by_place(keys: Iterable[str]) -> Mapping[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        kind, _, rest = key.partition(":")
        found[kind, rest.partition("/")[0]].append(key)
    return found


def _unread(states: Mapping[str, TargetState | AdapterError]) -> Iterator[Finding]:
    """What keeps targets from being read, once for all that it keeps."""
    by_fault: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for key, state in states.items():
        if isinstance(state, AdapterError):
            by_fault[str(state), not isinstance(state, Transient)].append(key)
    for (said, reached), keys in by_fault.items():
        others = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        yield Finding("targets", f"{keys[0]}{others}", Grade.FAIL, said, reached=reached)


def _by_key(lines: Sequence[str], keys: Sequence[str]) -> Mapping[str, list[str]]:
    """The lines by what they begin with: a target, or a whole namespace."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        key = next((key for key in keys if line.startswith(f"{key}: ")), None)
        subject = key if key is not None else line.partition(": ")[0]
        found[subject].append(line.removeprefix(f"{subject}: "))
    return found


def _target(key: str, state: TargetState | AdapterError, obstacles: Sequence[str], grade: Grade) -> Iterator[Finding]:
    """``grade``: of an obstacle; what no policy may act on yet need not be ready for it."""
    for line in obstacles:
        if isinstance(state, AdapterError) and line == str(state):
            continue  # said already
        yield Finding("targets", key, grade, line, reached=True)
    if isinstance(state, TargetState) and not obstacles:
        stands = f"stands at {state.revision}; nothing known stands in the way"
        stuck = Finding("targets", key, Grade.WARN, f"stands at {state.revision}; its rollout is stuck: {state.stuck}", reached=True)
        yield stuck if state.stuck else Finding("targets", key, Grade.PASS, stands, reached=True)


def known_goods(around: Surroundings) -> Iterator[Finding]:
    """Each target that may be reverted has a revision to go back to, as the journal knows it."""
    reverted = dict.fromkeys(rung.target for policy in around.policies for rung in policy.ladder if isinstance(rung, RevertRung))
    if not reverted:
        return
    live = _live(around, reverted)
    try:
        with inspected(database(around.config.store, around.config.store_password)) as look:
            found = [_known_good(target, look, around, live.get(target)) for target in reverted] if look.is_current else [_untold(len(reverted))]
    except (StoreError, OSError):  # the check of the store says why
        found = [_untold(len(reverted))]
    yield from found


def _untold(targets: int) -> Finding:
    said = f"no journal that tells: nothing is known good, a revert has nowhere to go (targets: {targets})"
    return Finding("known goods", "journal", Grade.WARN, said, "start the daemon, and let it run for `bake`, or: rollbackd good TARGET REVISION")


def _live(around: Surroundings, keys: Iterable[str]) -> Mapping[str, str]:
    """The revisions that stand there now, of those targets that say so: the journal only knows what stood there when the daemon last looked."""
    if isinstance(around.targets, AdapterError):
        return {}
    found: dict[str, str] = {}
    for (kind, _), place in _by_place(keys).items():
        if (target := around.targets.get(kind)) is not None:
            found |= {key: state.revision for key, state in _states(target, place).items() if isinstance(state, TargetState)}
    return found


def _known_good(target: str, look: Look, around: Surroundings, live: str | None) -> Finding:
    longest = around.config.limits.known_good_max_age
    good = [known.revision for known in look.reading.good(target, around.now() - longest)]
    change = look.reading.latest_changes([target]).get(target)
    seen = change.change.revision if change is not None else None
    if not good:
        said = f"; last seen at {seen}" if seen else ""
        advice = f"let it run for `bake` under the daemon, or: rollbackd good {quote(target)} {quote(live or seen or 'REVISION')}"
        return Finding("known goods", target, Grade.WARN, f"none yet{said}: a revert has nowhere to go", advice)
    if good == [live]:
        return Finding("known goods", target, Grade.PASS, f"{live}, which is live: the next release has a way back")
    return Finding("known goods", target, Grade.PASS, ", ".join(revision for revision in good if revision != live))
