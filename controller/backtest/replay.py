"""The past slot by slot through the functions that the daemon runs. Nothing is undone: what would have been done is noted, and history goes on.

Each policy is replayed by itself, with budgets and cool-downs of its own; the others count as what a common cause shows in.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal, TypeAlias

from rollbackd.controller.backtest.cases import Alarm, Found, GivenChange, Look
from rollbackd.controller.backtest.tries import Tries
from rollbackd.controller.backtest.way import Replayed, Window, armed
from rollbackd.controller.engine.breaches import Breaches
from rollbackd.controller.engine.fleet import depends, lasting, unexplained, without_change
from rollbackd.controller.engine.usual import Turned
from rollbackd.controller.observe.baselines import Baselines, Compared
from rollbackd.policies.decide.decisions import Act, Decision, Offer, Outside, WouldAct
from rollbackd.policies.decide.evaluate import Evaluation, decide
from rollbackd.policies.judge.composite import is_met
from rollbackd.policies.judge.systemic import NOTHING_KNOWN, watched_until
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.changes import Change, suspects
from rollbackd.policies.known.events import Closed, Held, Joined, Opened, Stopped
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.fold import advance, opened
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.known.watch import Watch, new_watch, take
from rollbackd.policies.model.keys import recurs
from rollbackd.policies.model.policy import Mode, OnNoData, Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.baseline import Before
from rollbackd.policies.watching.since import is_due, is_watching, watch_of

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
LookBack: TypeAlias = Callable[[Sequence[Compared], datetime], Mapping[str, tuple[Before, ...]]]
"""Reads what was before some changes; what cannot be read is missing."""
UNLIKE = "it came after a rollback that nobody made, so what would have been before it is not known"
BEFORE = "before"
"""What ran before the first change of the file."""
TAKEN_BACK = " taken back"


@dataclass(frozen=True, slots=True)
class _Event:
    """A change begins, or people take it back."""

    at: datetime
    given: GivenChange
    is_back: bool


class Replay:
    """Some policies and the changes of their targets. Each slot is one grid's: what the others saw in theirs is known in it."""

    def __init__(
        self,
        policies: Sequence[Policy],
        given: Sequence[GivenChange],
        windows: Mapping[str, Mapping[str, Window]],
        look_back: LookBack | None = None,
    ) -> None:
        backs = [_Event(one.rolled_back_at, one, is_back=True) for one in given if one.rolled_back_at is not None]
        self._coming = sorted([*(_Event(one.began, one, is_back=False) for one in given), *backs], key=lambda event: event.at)
        self._changes: list[Change] = []
        self._ready = {one.id: one.ready for one in given if one.ready is not None}
        self._breaches = Breaches()
        self._baselines = Baselines()
        self._tries = Tries()
        self._look_back = look_back
        self._fleets: dict[str, Fleet] = {}
        self._usual, self._turned = NOTHING_KNOWN, Turned()
        self._policies = tuple(policies)
        self._depends = depends(policies)
        self._needed = sorted(frozenset().union(*self._depends.values()))
        self.ways = [Replayed(armed(policy), new_watch(policy), windows[policy.name]) for policy in policies]

    def slot(self, at: datetime, readings: Mapping[str, tuple[Reading, ...]]) -> None:
        """The slot is judged and decided for every policy of its grid, those of ``readings``, that the daemon would have looked at."""
        ways = [way for way in self.ways if way.policy.name in readings]
        due = [way for way in ways if self._is_due(way, at)]
        self._compare([way for way in due if way.incident is not None or self._changes], at)
        fresh = self._survey({target for way in ways for target in way.policy.targets}, at)
        for way in self.ways:
            self._lead_back(way, [change for change in fresh if change.target in way.policy.targets])
        befores = [(way, take(way.policy, way.watch, readings[way.policy.name])) for way in due]
        # Everybody is judged before anything is decided: a common cause shows in the others.
        for way, before in befores if len(self.ways) > 1 else []:
            judged = self._decided(way, before, at)
            way.last = at
            self._breaches.note(judged)
        for way, before in befores:
            way.last = at
            evaluation = self._decided(way, before, at)
            way.watch = evaluation.watch
            self._note(way, evaluation, at)
            for decision in evaluation.decisions:
                self._take_down(way, decision, at)
        self._learn(at)

    def _lead_back(self, way: Replayed, fresh: Sequence[Change]) -> None:
        """After a rollback that was not made, the next change is judged afresh; so is what follows once people made it themselves."""
        for change in fresh if way.is_astray else ():
            if change.ours and not _is_made(way, change):
                continue
            way.watch, way.is_astray = new_watch(way.policy), False
            if not change.ours:
                # What came after a rollback that was not made is no past of what comes next.
                way.unlike |= {one.started_early for one in fresh if not one.ours}
            return

    def _learn(self, at: datetime) -> None:
        """What turned to breach without a change says what is usual, as it would have in a daemon that began with the first slot."""
        onsets = self._breaches.onsets()
        if onsets:
            seen = Fleet(unexplained=self._unexplained(at), onsets=onsets)
            self._usual = self._turned.take(self._usual, seen)
            self._turned.settle(seen)
        self._usual = watched_until(self._usual, at)

    def _compare(self, ways: Sequence[Replayed], at: datetime) -> None:
        """What was before the changes that are known is read, as the daemon would: in the slot after the one in which they came to light."""
        if self._look_back is None:
            return
        lacking = [self._baselines.lacking(way.policy, way.incident, self.of(way.policy.targets), self._fleet(way, at), at) for way in ways]
        pairs = [(way, one) for way, one in zip(ways, lacking, strict=True) if one is not None]
        compared = self._tries.left(one for way, one in pairs if one.anchor not in way.unlike)
        self._baselines.take(compared, self._look_back(compared, at) if compared else {})
        unlike = [one for way, one in pairs if one.anchor in way.unlike]
        self._baselines.take(unlike, {one.policy.name: (Before(one.anchor, UNLIKE),) * len(one.policy.conditions) for one in unlike})

    def _decided(self, way: Replayed, watch: Watch, at: datetime) -> Evaluation:
        known = way.incident, self.of(way.policy.targets), self._fleet(way, at), at
        return decide(way.policy, watch, *known, self._baselines.of(way.policy, *known))

    def _is_due(self, way: Replayed, at: datetime) -> bool:
        if way.last is None or self._breaches.presses(way.last, [way.incident for way in self.ways if way.incident is not None], at):
            return True
        return is_due(way.policy, way.incident, self.of(way.policy.targets), Fleet(answered=_answered(way)), way.last, at)

    def in_calm(self, policies: Iterable[Policy], at: datetime) -> frozenset[str]:
        """The names of those of these policies of which nothing is watched in the slot ``at``, as far as is known before it."""
        names = {policy.name for policy in policies}
        return frozenset(way.policy.name for way in self.ways if way.policy.name in names and not self._is_watching(way, at))

    def _is_watching(self, way: Replayed, at: datetime) -> bool:
        return is_watching(way.policy, way.incident, self.of(way.policy.targets), Fleet(answered=_answered(way)), at)

    def _survey(self, targets: Collection[str], at: datetime) -> list[Change]:
        """The changes of these targets that came to light in this slot, and their replicas that serve by now: before, nobody knew that they would."""
        begun = takewhile(lambda event: event.at <= at, self._coming)
        fresh = []
        for event in [event for event in begun if event.given.target in targets]:
            self._coming.remove(event)
            fresh.append(self._change(event, at))
            self._changes.append(fresh[-1])
        for index, change in enumerate(self._changes):
            ready = self._ready.get(change.id) if change.target in targets else None
            if ready is not None and ready <= at:
                self._changes[index] = replace(change, ready=self._ready.pop(change.id))
        return fresh

    def _change(self, event: "_Event", at: datetime) -> Change:
        given = event.given
        revision = BEFORE if event.is_back else given.revision or f"of {given.at:%Y-%m-%d %H:%M:%S}"
        change_id = f"{given.id}{TAKEN_BACK}" if event.is_back else given.id
        before = next((change.id for change in reversed(self._changes) if change.target == given.target), None)
        # Of what nobody saw begin the daemon would have known at once: from the earliest moment on nothing is laid to what was before it.
        late = event.at if event.is_back else given.at
        # People's own rollback: evidence begins anew with it, and it is no suspect.
        return Change(given.target, change_id, revision, before, event.at, late, max(at, late), ours=event.is_back)

    def of(self, targets: Iterable[str]) -> tuple[Change, ...]:
        """The changes of these targets that came to light so far."""
        wanted = set(targets)
        return tuple(change for change in self._changes if change.target in wanted)

    def _fleet(self, way: Replayed, at: datetime) -> Fleet:
        revisions = dict.fromkeys(way.policy.targets, BEFORE) | {change.target: change.revision for change in self._changes}
        target, back = way.policy.target, way.policy.timing.recover_for
        recovered = [acted + back for acted in way.acted if acted + back <= at]
        return Fleet(
            watched=len({one.policy.target for one in self.ways}),
            unexplained=self._unexplained(at),
            lasting=lasting(at, self._policies, self.of, self._breaches),
            leaning=without_change(at, self._breaches.leaning(), self._policies, self.of, self._breaches),
            oldest_look=min((one.last for one in self.ways if one.last is not None), default=None),
            usual=self._usual,
            onsets=self._breaches.onsets(),
            began=self._breaches.began(),
            evident=self._breaches.evident(),
            depends=self._depends,
            shared=self.of(self._needed),
            risen=self._breaches.risen(),
            acted_in_hour=sum(acted > at - _HOUR for acted in way.acted),
            acted_in_day={target: sum(acted > at - _DAY for acted in way.acted)},
            closed={target: max(recovered)} if recovered else {},
            quarantined=frozenset(way.quarantined),
            answered=_answered(way),
            revisions=revisions,
        )

    def _unexplained(self, at: datetime) -> frozenset[str]:
        return unexplained(at, self._policies, self.of, self._breaches)

    # --- what it came to ------------------------------------------------------------------------------------------------------------------

    def _note(self, way: Replayed, evaluation: Evaluation, at: datetime) -> None:
        for change_id, window in way.windows.items():
            if window.began <= at <= window.ended:
                way.looks.setdefault(change_id, []).append(_look(way.policy, evaluation, at))

    def _take_down(self, way: Replayed, decision: Decision, at: datetime) -> None:
        match decision:
            # Beside conditions that may act the daemon only notes it, and goes on listening to them.
            case WouldAct(_, _, _, condition, _, reason) if way.policy.mode is Mode.OBSERVE:
                onset = _onset(way, condition, at)
                self._find(way, Found("rollback", condition, onset, at, reason), self._blamed(way, condition, onset))
            case Opened():
                way.incident, way.opening = opened(decision), decision
                if way.incident.phase is Phase.PROPOSED:
                    self._end(way, "held", at, f"its mode lets it be proposed and not done: {decision.reason}", "mode")
            case Joined() | Stopped() if way.incident is not None:
                way.incident = advance(way.incident, decision)
            case Act():
                self._end(way, "rollback", at, decision.reason)
            case Offer(act):
                self._end(way, "rollback", at, f"once people approve it: {act.reason}")
            case Held():
                self._end(way, "held", at, decision.reason, decision.guard)
            case Closed():
                way.incident = way.opening = None
            case Outside(key, policy, target, condition, _, _, reason):
                onset = _onset(way, condition, at)
                if not suspects(self.of(way.policy.targets), _watch(way, condition), (), onset):
                    way.alarms.setdefault(key, Alarm(policy, target, condition, onset, at, reason))
            case _:
                pass

    def _blamed(self, way: Replayed, condition: str, onset: datetime) -> tuple[str, ...]:
        """The suspects of a breach that opens no incident, as an incident would name them."""
        found = suspects(self.of(way.policy.targets), _watch(way, condition), way.answered, onset)
        return tuple(change.id for change in found)

    def _end(self, way: Replayed, word: Literal["rollback", "held"], at: datetime, reason: str, blocked_by: str | None = None) -> None:
        """The incident that was opened comes to this, and is let go of."""
        opening = way.opening
        if opening is not None:
            self._find(way, Found(word, opening.condition, opening.onset, at, reason, blocked_by), opening.suspects)

    def _find(self, way: Replayed, found: Found, blamed: Sequence[str]) -> None:
        """Noted for the newest suspect; all suspects are answered, as by an incident, and what would follow the act did not happen."""
        way.incident = way.opening = None
        if blamed[0] in way.found if blamed else _is_told(way, found):
            return
        if blamed:
            way.found[blamed[0]] = found
        else:
            way.unblamed[found.condition, found.onset] = found
        changes = [change for change in self._changes if change.id in blamed]
        way.answered |= {change.id for change in changes}
        if found.word == "rollback":
            way.is_astray = True
            way.acted.append(found.at)
            way.quarantined |= {(change.target, change.revision) for change in changes if change.id == blamed[0] and not recurs(change.target)}


def _is_told(way: Replayed, found: Found) -> bool:
    """Whether this breach has been told already, of a change or without one."""
    return any((one.condition, one.onset) == (found.condition, found.onset) for one in (*way.found.values(), *way.unblamed.values()))


def _is_made(way: Replayed, back: Change) -> bool:
    """Whether people take back what would have been rolled back."""
    return any(f"{change_id}{TAKEN_BACK}" == back.id for change_id, found in way.found.items() if found.word == "rollback")


def _answered(way: Replayed) -> dict[str, frozenset[str]]:
    return {way.policy.target: frozenset(way.answered)}


def _onset(way: Replayed, condition: str, at: datetime) -> datetime:
    names = [one.name for one in way.policy.conditions]
    return way.watch.tracks[names.index(condition)].onset or at


def _watch(way: "Replayed", condition: str) -> timedelta:
    return next(watch_of(way.policy, one) for one in way.policy.conditions if one.name == condition)


def _look(policy: Policy, evaluation: Evaluation, at: datetime) -> Look:
    """``evaluation`` as a look: a known one where what was measured decides, and anything was."""
    standings: list[bool | None] = []
    seen = []
    for condition, track, verdict in zip(policy.conditions, evaluation.watch.tracks, evaluation.verdicts, strict=True):
        # What a library condition watches and the workload never had is not applicable.
        is_silent_well = verdict.state is State.NODATA and (condition.on_no_data is OnNoData.OK or (condition.from_library and not track.had_data))
        standings.append(False if verdict.state.is_known or is_silent_well else None)
        seen.append(verdict)
    is_known = is_met(policy.trigger, standings) is not None and any(verdict.state.is_known for verdict in seen)
    return Look(at, is_known, tuple(seen), evaluation.policy.conditions)
