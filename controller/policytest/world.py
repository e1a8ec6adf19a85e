"""What a test simulates instead of the cluster, the journal and the actor. It decides nothing: whatever is decided succeeds at once."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.target import Sides
from rollbackd.controller.policytest.cases import Case, GivenChange, Start
from rollbackd.policies.decide.bake import contested
from rollbackd.policies.decide.decisions import Act, Bake, Decision, Offer
from rollbackd.policies.decide.hands import approvals_of
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Applied, Closed, Held, IncidentEvent, Intended, Joined, Offered, Opened, RungEnd, Settled, Stopped
from rollbackd.policies.known.fleet import Fleet, Flight
from rollbackd.policies.known.fold import advance, opened
from rollbackd.policies.known.incident import Incident, Phase
from rollbackd.policies.model.keys import namespace_of, recurs
from rollbackd.policies.model.policy import FlagsRung, Policy, RestoreRung, RevertRung, Rung
from rollbackd.policies.watching.since import mended

SAFE = "safe"
"""The revision of flags that were put at their safe state."""
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_NO_START = Start("initial")


class World:
    """Targets, known goods and incidents of one test. ``incidents``: all that were opened, the newest last."""

    def __init__(self, case: Case, start: datetime) -> None:
        self._policy = case.policy
        self._start = start
        self._surroundings = case.surroundings
        self._coming = list(case.changes)
        self._changes: list[Change] = []
        self._ready: dict[str, datetime | None] = {}
        self._sides: dict[str, Sides | None] = {}
        starts = {target: case.starts.get(target, _NO_START) for target in case.policy.targets}
        self._live = {target: start.running for target, start in starts.items()}
        self._seen = dict(self._live)
        self._written: list[tuple[str, str, datetime]] = []
        self._good = {target: list(start.known_good) for target, start in starts.items()}
        self._quarantined = {(case.policy.target, revision) for revision in case.surroundings.quarantined}
        self._acted: dict[str, datetime] = {}
        self.incidents: list[Incident] = []
        self.closings: dict[str, str] = {}
        """Why each incident that is over was closed."""

    # --- what is seen ---------------------------------------------------------------------------------------------------------------------

    @property
    def incident(self) -> Incident | None:
        """The open incident."""
        return self.incidents[-1] if self.incidents and self.incidents[-1].is_open else None

    def survey(self, at: datetime) -> None:
        """Every change that began by now is seen, our own of earlier slots among them, and every revision that serves by now is ready."""
        for target, revision, written in self._written:
            # As a survey sees a write of ours: at the slot after, without a word on when in between.
            own = Change(target, self._id(revision), revision, self._newest(target), written, at, at, ours=True)
            self._changes.append(own)
        self._written.clear()
        while self._coming and self._start + self._coming[0].at <= at:
            self._see(self._coming.pop(0), at)
        for index, change in enumerate(self._changes):
            ready = self._ready.get(change.id)
            if change.ready is None and ready is not None and ready <= at:
                self._changes[index] = replace(change, ready=ready)
        self._seen = dict(self._live)

    def _id(self, revision: str) -> str:
        return f"{revision}#{len(self._changes) + 1}"

    def _see(self, given: GivenChange, at: datetime) -> None:
        change = Change(
            target=given.target,
            id=self._id(given.revision),
            revision=given.revision,
            predecessor=self._newest(given.target),
            started_early=self._start + given.at,
            started_late=self._start + given.at,
            first_seen=at,
            posted=given.posted,
            irreversible=given.irreversible,
            parts=given.parts,
        )
        self._changes.append(change)
        self._ready[change.id] = None if given.ready is None else self._start + given.ready
        self._sides[change.id] = given.sides
        if not given.posted:
            self._live[given.target] = given.revision

    def _newest(self, target: str) -> str | None:
        return next((change.id for change in reversed(self._changes) if change.target == target), None)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes that were seen."""
        return tuple(self._changes)

    @property
    def sides(self) -> Sides | None:
        """Who serves beside whom, as the newest change of the policy's target says once it is ready. A revert of ours is complete at once."""
        own = (change for change in reversed(self._changes) if change.target == self._policy.target and not change.posted)
        newest = next(own, None)
        return None if newest is None or newest.ready is None else self._sides.get(newest.id)

    def fleet(self, at: datetime) -> Fleet:
        """What the guards see: this policy's own incidents, and what the test says of everything else."""
        acted = [self._acted[incident.id] for incident in self.incidents if incident.id in self._acted]
        in_flight = [i for i in self.incidents if i.acted and i.is_open and i.phase is not Phase.HELD]
        target, around = self._policy.target, self._surroundings
        closed = [incident.closed_at for incident in self.incidents if incident.acted and incident.closed_at is not None]
        suspects = {change_id for incident in self.incidents if incident.acted for change_id in incident.about}
        return Fleet(
            paused=around.paused,
            watched=1 + len(around.in_breach),
            unexplained=around.in_breach,
            flights=tuple(Flight(i.id, i.target, namespace_of(i.target)) for i in in_flight),
            acted_in_hour=sum(moment > at - _HOUR for moment in acted),
            acted_in_day={target: sum(moment > at - _DAY for moment in acted)},
            closed={target: max(closed)} if closed else {},
            quarantined=frozenset(self._quarantined),
            mended=mended(self.incidents),
            contested=contested([self.incident] if self.incident else [], self._changes),
            answered={target: frozenset(suspects)},
            revisions=dict(self._seen),
            good={target: tuple(revisions) for target, revisions in self._good.items()},
        )

    # --- what is decided ------------------------------------------------------------------------------------------------------------------

    def carry_out(self, decisions: Iterable[Decision], at: datetime) -> bool:
        """The decisions are on record and what they order has happened; True where an incident is not as it was."""
        before = list(self.incidents)
        for decision in decisions:
            match decision:
                case Opened():
                    if decision.incident in {incident.id for incident in self.incidents}:
                        break  # one ever per target and change: the journal takes no second one
                    self.incidents.append(opened(decision))
                case Joined() | Stopped() | Held() | Closed():
                    self._record(decision)
                case Act():
                    self._act(decision, at)
                case Offer(act):
                    self._offer(act, at)
                case Bake():
                    for target, revision in decision.targets:
                        self._good[target] = [revision, *(other for other in self._good.get(target, []) if other != revision)]
                case _:
                    pass
        self._settle(at)
        return self.incidents != before

    def _settle(self, at: datetime) -> None:
        """What was written is complete at once, and with it what began with it."""
        for write in self.incidents[-1].writes if self.incidents else ():
            if write.rung in self.incidents[-1].unsettled:
                self._record(Settled(write.incident, at, write.rung, write.target, at + self._policy.timing.settle, "complete"))

    def _record(self, *events: IncidentEvent) -> None:
        for event in events:
            self.incidents[-1] = advance(self.incidents[-1], event)
            if isinstance(event, Closed):
                self.closings[event.incident] = event.reason

    def _destination(self, act: Act) -> str | Stopped:
        """Where the rung leads to; why it ends where it leads nowhere."""
        target = act.remedy.target
        if isinstance(act.remedy, FlagsRung):
            if self._live[target] != SAFE:
                return SAFE
            return _stopped(act, RungEnd.NOTHING, "the flags are at their safe states already")
        if isinstance(act.remedy, RestoreRung):
            return f"a copy beside {self._live[target]}"
        fit = (good for good in self._good[target] if good != act.from_revision and (target, good) not in self._quarantined)
        found = next(fit, None)
        if found is None:
            return _stopped(act, RungEnd.REFUSED, f"no other revision of {target} is known good")
        if found == self._live[target]:
            return _stopped(act, RungEnd.NOTHING, f"{target} is at {found} already")
        return found

    def _act(self, act: Act, at: datetime) -> None:
        to = self._destination(act)
        if isinstance(to, Stopped):
            self._record(to)
            return
        target, left = act.remedy.target, self._live[act.remedy.target]
        reverts = isinstance(act.remedy, RevertRung) and not recurs(target)
        intended = Intended(
            incident=act.incident,
            at=at,
            rung=act.rung,
            target=target,
            from_revision=left,
            to_revision=to,
            plan_digest="simulated",
            evidence_digest=act.evidence_digest,
            deadline=at,
            summary=f"put {target} at {to}",
            reverts=reverts,
        )
        self._record(intended, Applied(act.incident, at, act.rung, target, "accepted"))
        self._acted.setdefault(act.incident, at)
        self._quarantined |= {(target, left)} if reverts else set()
        self._live[target] = to
        self._written.append((target, to, at))

    def _offer(self, act: Act, at: datetime) -> None:
        to = self._destination(act)
        if isinstance(to, Stopped):
            self._record(to)
            return
        target, asked = act.remedy.target, approvals_of(self._policy, act.remedy)
        offered = Offered(
            incident=act.incident,
            at=at,
            rung=act.rung,
            target=target,
            from_revision=self._live[target],
            to_revision=to,
            plan_digest="simulated",
            evidence_digest=act.evidence_digest,
            needed=asked.count,
            expires_at=at + asked.within,
            summary=f"put {target} at {to}",
            reason=act.reason,
        )
        self._record(offered)


def _stopped(act: Act, how: RungEnd, reason: str) -> Stopped:
    return Stopped(act.incident, act.at, act.rung, act.remedy.target, how, reason)


def rung_of(policy: Policy, incident: Incident) -> tuple[Rung, str] | None:
    """The rung that the incident tried last, or puts to people, and where it leads to."""
    step = incident.offer or incident.intent
    return None if step is None else (policy.ladder[step.rung], step.to_revision)
