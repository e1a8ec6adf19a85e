"""Which watched targets are in breach, and since when: what one policy's verdicts say to all others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.policies.blame.leaning import leans
from rollbackd.policies.decide.evaluate import Evaluation
from rollbackd.policies.judge.systemic import RECENT
from rollbackd.policies.judge.tally import proven_since
from rollbackd.policies.judge.verdict import State, Verdict, share_limit
from rollbackd.policies.known.incident import Incident, Phase
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.policy import Condition, Mode, Policy
from rollbackd.policies.watching.since import watch_of

CLOSELY = timedelta(minutes=2)
"""So long after a breach began everything else is looked at in every slot: whether the cause is common has to show before anything is done."""


@dataclass(frozen=True, slots=True)
class _Broken:
    """A breach: proven ``since``; ``began``: since when it had plainly been out of its limits then.

    ``evident``: since when it may have been: what proves it was counted from then on, or an unbroken run of looks saw it out. ``watch``: for so long
    a change may be blamed for it, the longest watch among the conditions that broke.
    """

    since: datetime
    began: datetime
    evident: datetime
    watch: timedelta


class Breaches:
    """Since when each watched target is in proven breach, and which lean towards one. Used by the engine thread only."""

    def __init__(self) -> None:
        self._broken: dict[tuple[str, str], _Broken] = {}
        self._leaning: dict[tuple[str, str], timedelta] = {}
        self._risen: dict[tuple[str, str], frozenset[str]] = {}
        self._proven: dict[tuple[str, str], datetime] = {}

    def note(self, evaluation: Evaluation) -> None:
        """A policy's newest verdicts count from now on; what is unknown leaves it where it was."""
        policy, watch, seen = evaluation.policy, evaluation.watch, evaluation.verdicts
        key = policy.target, policy.name
        states = [verdict.state for verdict in seen]
        if policy.depends_on:
            self._risen[key] = _risen(policy, seen)
        self._leaning.pop(key, None)
        if State.BREACH in states:
            # What may only observe is on trial itself: its limits keep no revision from becoming known good.
            acting = [t for c, t in zip(policy.conditions, watch.tracks, strict=True) if min(policy.mode, c.mode) > Mode.OBSERVE]
            if told := [track.last_breach for track in acting if track.last_breach is not None]:
                self._proven[key] = max(told)
            self._broken[key] = _broken(self._broken.get(key), policy, watch, seen)
        elif lean := [each[0] for each in zip(policy.conditions, watch.tracks, seen, strict=True) if leans(*each)]:
            self._leaning[key] = _longest(policy, lean)
        if State.BREACH not in states and all(track.onset is None for track in watch.tracks):
            # Proven over by what had broken: that another condition is well says nothing of it.
            self._broken.pop(key, None)

    def keep(self, policies: Iterable[Policy]) -> None:
        """Forgets policies that are no longer loaded."""
        wanted = {(policy.target, policy.name) for policy in policies}
        self._broken = {key: one for key, one in self._broken.items() if key in wanted}
        self._leaning = {key: length for key, length in self._leaning.items() if key in wanted}
        self._risen = {key: on for key, on in self._risen.items() if key in wanted}
        self._proven = {key: at for key, at in self._proven.items() if key in wanted}

    def presses(self, last: datetime, incidents: Iterable[Incident], at: datetime) -> bool:
        """True where a target that was looked at ``last`` is to be looked at now, because another one is in breach: is it that one's change?"""
        if any(incident.phase is Phase.OPEN for incident in incidents):
            return True  # no rung has begun
        newest = max([one.since for one in self._broken.values()], default=None)
        return newest is not None and (last < newest or at - newest <= CLOSELY)

    def leaning(self) -> frozenset[str]:
        """The targets that lean towards a breach and are not in one."""
        return frozenset(target for target, _ in self._leaning) - {target for target, _ in self._broken}

    def blamable(self, policy: Policy, at: datetime) -> tuple[datetime, timedelta] | None:
        """Since when the policy's target is out of its limits, and for how long after a change that may be blamed on it; None where it is not."""
        key = policy.target, policy.name
        if (one := self._broken.get(key)) is not None:
            return one.since, one.watch
        return (at, self._leaning[key]) if key in self._leaning else None

    def onsets(self) -> dict[str, datetime]:
        """Since when each target in breach is."""
        return self._earliest(lambda one: one.since)

    def began(self) -> dict[str, datetime]:
        """Since when each target in breach had been out of its limits when that was proven."""
        return self._earliest(lambda one: one.began)

    def evident(self) -> dict[str, datetime]:
        """Since when each target in breach may have been in it, before that was proven."""
        return self._earliest(lambda one: one.evident)

    def risen(self) -> frozenset[tuple[str, str]]:
        """(target, dependency) where the target uses more of it than its policy allows."""
        return frozenset((target, on) for (target, _), found in self._risen.items() for on in found)

    def proven(self) -> dict[str, datetime]:
        """When a breach of each target was last proven, by whichever policy that may do more than observe, also where it is over."""
        found: dict[str, datetime] = {}
        for (target, _), at in self._proven.items():
            found[target] = max(at, found.get(target, at))
        return found

    def recent(self, at: datetime) -> frozenset[str]:
        """Targets whose breach began within the last ten minutes."""
        return frozenset(target for (target, _), one in self._broken.items() if at - one.since <= RECENT)

    def lasting(self, at: datetime) -> frozenset[str]:
        """The other targets in breach."""
        return frozenset(target for target, _ in self._broken) - self.recent(at)

    def _earliest(self, moment: Callable[[_Broken], datetime]) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        for (target, _), one in self._broken.items():
            found[target] = min(moment(one), found.get(target, moment(one)))
        return found


def _broken(before: _Broken | None, policy: Policy, watch: Watch, verdicts: Sequence[Verdict]) -> _Broken:
    """The breach as it is known with this look, which proves it: when it began was told when it was proven first."""
    since = min(track.onset for track in watch.tracks if track.onset is not None)
    blamed = _longest(policy, [c for c, verdict in zip(policy.conditions, verdicts, strict=True) if verdict.state is State.BREACH])
    if before is not None and before.since == since:
        return replace(before, watch=max(before.watch, blamed))
    runs = [track.run.start for track in watch.tracks if track.onset is not None and track.run is not None]
    triples = zip(policy.conditions, watch.tracks, verdicts, strict=True)
    proven = [(track.tally, share_limit(condition)) for condition, track, verdict in triples if verdict.state is State.BREACH]
    counted = [proven_since(tally, limit) for tally, limit in proven if tally is not None]
    # Of few requests a single bad one is out of the limit, long before anything went wrong.
    began = min(runs, default=since)
    return _Broken(since, max(began, min(counted, default=began)), min([since, *runs, *counted]), blamed)


def _longest(policy: Policy, conditions: Iterable[Condition]) -> timedelta:
    """For so long after a change any of these conditions may blame it."""
    return max(watch_of(policy, condition) for condition in conditions)


def _risen(policy: Policy, verdicts: Sequence[Verdict]) -> frozenset[str]:
    breached = {c.name for c, verdict in zip(policy.conditions, verdicts, strict=True) if verdict.state is State.BREACH}
    return frozenset(each.on for each in policy.depends_on if each.use in breached)
