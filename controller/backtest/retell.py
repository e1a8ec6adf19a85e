"""A journal's own past once more: the same functions over the readings of the past, with the changes and incidents that the journal has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.controller.backtest.beside import Beside
from rollbackd.controller.backtest.history import as_looked
from rollbackd.controller.backtest.journalled import Journalled, Transition
from rollbackd.controller.backtest.replay import LookBack
from rollbackd.controller.backtest.tries import Tries
from rollbackd.controller.engine.breaches import Breaches
from rollbackd.controller.observe.baselines import Baselines
from rollbackd.policies.decide.decisions import Decision, WouldAct
from rollbackd.policies.decide.evaluate import Evaluation, decide, evaluate
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import IncidentEvent, Opened
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.fold import advance, opened
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.reasons import standing_reason
from rollbackd.policies.known.watch import Watch, new_watch, take
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.since import is_due, is_watching, mended


class Retelling:
    """Some policies of one grid, slot by slot. ``start``: from this slot on the daemon looked; what lies before only fills the watches.
    ``beside`` and ``look_back`` read what the daemon read beside a slot's readings, and of the time before a change.

    ``found``: the transitions, each once. ``said``: what was thought at the slots of ``asked``, by policy, condition and slot.
    """

    def __init__(self, policies: Sequence[Policy], journal: Journalled, start: datetime, beside: Beside, look_back: LookBack) -> None:
        self.found: dict[tuple[str, str, str], Transition] = {}
        self.said: dict[tuple[str, str, datetime], str] = {}
        self._policies = policies
        self._start = start
        self._changes = journal.changes
        self._events = sorted(journal.events, key=lambda event: event.at)
        self._asked = {(told.policy, told.at): told for told in journal.transitions}
        self._incidents: dict[str, Incident] = {}
        self._watches: dict[str, Watch] = {policy.name: new_watch(policy) for policy in policies}
        self._last: dict[str, datetime] = {}
        self._breaches = Breaches()
        self._beside, self._look_back = beside, look_back
        self._baselines, self._tries = Baselines(), Tries()
        self._seen: tuple[Change, ...] = ()

    def slot(self, at: datetime, readings: Mapping[str, tuple[Reading, ...]]) -> None:
        """The slot is decided for every policy that the daemon would have looked at, with what it knew by then."""
        self._catch_up(at)
        visible = self._visible(max(at, self._start))
        if at < self._start:
            self._fill(readings, visible, at)
            return
        # A slot is read for before its survey is known; at its start the daemon has what the journal tells.
        known = self._seen if self._last else visible
        before = self._fleet(known)
        due = [policy for policy in self._policies if self._is_due(policy, known, before, at)]
        self._compare(due, known, before, at)
        fleet = self._fleet(visible)
        for policy in due:
            is_calm = not is_watching(policy, self._incident(policy), _of(known, policy), before, at)
            looked = as_looked(policy, readings, in_calm=is_calm)
            self._look(policy, self._beside.read(policy, looked, _of(known, policy), at), visible, fleet, at)
        self._seen = visible

    def _fill(self, readings: Mapping[str, tuple[Reading, ...]], visible: Sequence[Change], at: datetime) -> None:
        fleet = self._fleet(visible)
        for policy in self._policies:
            told = evaluate(policy, self._watches[policy.name], None, readings[policy.name], _of(visible, policy), fleet, at)
            self._watches[policy.name] = told.watch

    def _compare(self, due: Sequence[Policy], known: Sequence[Change], fleet: Fleet, at: datetime) -> None:
        lacking = (self._baselines.lacking(policy, self._incident(policy), _of(known, policy), fleet, at) for policy in due)
        compared = self._tries.left(one for one in lacking if one is not None)
        self._baselines.take(compared, self._look_back(compared, at) if compared else {})

    def _look(self, policy: Policy, readings: Sequence[Reading], visible: Sequence[Change], fleet: Fleet, at: datetime) -> None:
        known = self._incident(policy), _of(visible, policy), fleet, at
        watch = take(policy, self._watches[policy.name], readings)
        evaluation = decide(policy, watch, *known, self._baselines.of(policy, *known))
        self._watches[policy.name] = evaluation.watch
        self._last[policy.name] = at
        self._breaches.note(evaluation)
        self._note(policy, evaluation, at)

    def _catch_up(self, at: datetime) -> None:
        """The journal's rows from before the slot are known in it. Those of the slot itself came of it."""
        while self._events and self._events[0].at < at:
            self._take(self._events.pop(0))

    def _take(self, event: IncidentEvent) -> None:
        if isinstance(event, Opened):
            self._incidents[event.incident] = opened(event)
        elif event.incident in self._incidents:
            self._incidents[event.incident] = advance(self._incidents[event.incident], event)

    def _visible(self, at: datetime) -> tuple[Change, ...]:
        seen = (change for change in self._changes if change.first_seen <= at)
        return tuple(change if change.ready is None or change.ready <= at else replace(change, ready=None) for change in seen)

    def _fleet(self, visible: Sequence[Change]) -> Fleet:
        answered: dict[str, frozenset[str]] = {}
        for incident in self._incidents.values():
            if incident.acted:
                answered[incident.target] = answered.get(incident.target, frozenset()) | frozenset(incident.about)
        revisions = {change.target: change.revision for change in visible if not change.posted}
        return Fleet(answered=answered, revisions=revisions, mended=mended(self._incidents.values()))

    def _is_due(self, policy: Policy, visible: Sequence[Change], fleet: Fleet, at: datetime) -> bool:
        last = self._last.get(policy.name)
        if last is None or self._breaches.presses(last, self._incidents.values(), at):
            return True
        return is_due(policy, self._incident(policy), _of(visible, policy), fleet, last, at)

    def _incident(self, policy: Policy) -> Incident | None:
        return next((one for one in self._incidents.values() if one.target == policy.target and one.is_open), None)

    def _note(self, policy: Policy, evaluation: Evaluation, at: datetime) -> None:
        told = self._asked.get((policy.name, at))
        for condition, track, verdict in zip(policy.conditions, evaluation.watch.tracks, evaluation.verdicts, strict=True):
            if told is not None and told.condition == condition.name:
                self.said[policy.name, condition.name, at] = standing_reason(condition, track, verdict, at)
        for decision in evaluation.decisions:
            found = _transition(policy, evaluation, decision)
            if found is not None and found.incident not in self._incidents:
                self.found.setdefault(found.key, found)


def _transition(policy: Policy, evaluation: Evaluation, decision: Decision) -> Transition | None:
    match decision:
        case Opened():
            onset, reason = decision.onset, decision.reason
            return Transition("opened", decision.incident, policy.name, policy.target, decision.condition, decision.at, onset, reason, policy.digest)
        case WouldAct():
            incident, condition = decision.key.split(":")[1], decision.condition
            return Transition(
                "observed", incident, policy.name, policy.target, condition, decision.at, decision.onset, decision.reason, policy.digest
            )
        case _:
            return None


def _of(changes: Iterable[Change], policy: Policy) -> tuple[Change, ...]:
    # In the order of the targets, as the daemon's book gives them.
    every = tuple(changes)
    return tuple(change for target in policy.targets for change in every if change.target == target)


def memory_of(policies: Sequence[Policy]) -> timedelta:
    """How far back what a watch holds may reach, for a daemon that has long been running."""
    windows = [condition.window for policy in policies for condition in policy.conditions]
    return timedelta(hours=3) + max(windows, default=timedelta(0))
