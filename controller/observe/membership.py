"""Who belongs to each fleet: asked of the platforms beside the engine, believed or not, and turned into the policies that hold.

A platform that does not answer takes no member away. A roster that is most likely somebody's mistake adds none and takes none away.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

import structlog

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.roster import Listed, Roll
from rollbackd.policies.fleets.members import Member, members
from rollbackd.policies.fleets.policy import FleetPolicy, Selection, Workload, doubt, retold
from rollbackd.policies.model.policy import Policy

log = structlog.get_logger()

Adopt: TypeAlias = Callable[[tuple[Policy, ...], frozenset[str]], None]
"""The policies that hold from now on, and those that are missing, not gone (see PolicySet)."""
Tell: TypeAlias = Callable[[tuple["FleetStanding", ...], datetime], None]
"""How every fleet stands, after each reading; one call at a time."""


@dataclass(frozen=True, slots=True)
class FleetStanding:
    """A fleet as it stands. ``roster``: whom it is believed to be meant for; None: no answer was believed yet.

    ``found``: how many the last answer held, believed or not. ``doubt``: why it is not believed; ``fault``: why there was no answer last time.
    ``since``: when the doubt or the silence began. ``is_anew``: ``expect`` was changed, so the next answer is judged as the first.
    """

    fleet: FleetPolicy
    since: datetime
    roster: tuple[Workload, ...] | None = None
    members: tuple[Member, ...] = ()
    read_at: datetime | None = None
    found: int | None = None
    doubt: str | None = None
    fault: str | None = None
    is_anew: bool = False

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies of those who are watched."""
        return tuple(member.policy for member in self.members if member.policy is not None)


class Membership:
    """Safe to call from several threads. ``adopt`` is called with one set at a time, the newest last."""

    def __init__(self, roll: Roll | None, contacts: frozenset[str], now: Callable[[], datetime], adopt: Adopt, tell: Tell) -> None:
        self._roll = roll
        self._contacts = contacts
        self._now = now
        self._adopt = adopt
        self._tell = tell
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._own: tuple[Policy, ...] = ()
        self._claimed: dict[str, str] = {}
        self._unread: frozenset[str] = frozenset()
        self._standings: dict[str, FleetStanding] = {}
        self._made_of: dict[str, tuple[FleetPolicy, tuple[Workload, ...] | None, dict[str, str]]] = {}
        self._adopted: object = None
        self._to_confirm: dict[str, frozenset[tuple[str, str]]] = {}

    def standings(self) -> tuple[FleetStanding, ...]:
        """Every fleet, by name."""
        with self._lock:
            return tuple(standing for _, standing in sorted(self._standings.items()))

    def take(
        self,
        policies: Sequence[Policy],
        fleets: Sequence[FleetPolicy],
        claimed: Mapping[str, str] = MappingProxyType({}),
        unread: frozenset[str] = frozenset(),
    ) -> None:
        """The files say this now: it holds at once, with the members that are known. ``claimed``, ``unread``: see Reload."""
        with self._lock:
            self._own, self._unread = tuple(policies), unread
            self._claimed = {target: f"{name} (not loaded: its file has faults)" for target, name in claimed.items()}
            self._standings = {fleet.name: self._carried_over(fleet) for fleet in fleets}
            self._made_of = {name: made_of for name, made_of in self._made_of.items() if name in self._standings}
            self._hold()

    def refresh(self, *, confirm: bool = False) -> None:
        """Every roster was asked for; what is believed of the answers holds.

        ``confirm``: somebody asks for it who could see what stands. A roster that only shrank is believed when it is found so twice in a row.
        """
        with self._asking:
            answers = self._answers({standing.fleet.select for standing in self.standings()})
            with self._lock:
                for name, standing in self._standings.items():
                    if (answer := answers.get(standing.fleet.select)) is not None:
                        self._standings[name] = self._heard(standing, answer, confirm=confirm)
                self._hold()
            self._tell(self.standings(), self._now())

    # --- parts --------------------------------------------------------------------------------------------------------------------------------

    def _carried_over(self, fleet: FleetPolicy) -> FleetStanding:
        known = self._standings.get(fleet.name)
        if known is None or known.fleet.select != fleet.select:
            return FleetStanding(fleet, self._now())
        return replace(known, fleet=fleet, is_anew=known.is_anew or known.fleet.expect != fleet.expect)

    def _answers(self, selections: Collection[Selection]) -> dict[Selection, tuple[Workload, ...] | AdapterError]:
        """What each selector finds. A cluster that does not answer once is not asked for its other fleets: each would wait as long."""
        silent: dict[str, AdapterError] = {}
        answers: dict[Selection, tuple[Workload, ...] | AdapterError] = {}
        for select in selections:
            answer = silent.get(select.cluster) or self._ask(select)
            if isinstance(answer, Transient):
                silent[select.cluster] = answer
            answers[select] = answer
        return answers

    def _ask(self, select: Selection) -> tuple[Workload, ...] | AdapterError:
        if self._roll is None:
            return Permanent("no cluster is configured; add it under clusters:")
        try:
            return tuple(workload_of(each) for each in self._roll.workloads(select.cluster, dict(select.labels), select.namespaces))
        except AdapterError as fault:
            return fault

    def _heard(self, standing: FleetStanding, answer: tuple[Workload, ...] | AdapterError, *, confirm: bool) -> FleetStanding:
        is_well = standing.doubt is None and standing.fault is None
        now = self._now()
        if isinstance(answer, AdapterError):
            if standing.fault != str(answer):
                log.warning("roster.unread", fleet=standing.fleet.name, error=str(answer))
            return replace(standing, fault=str(answer), since=now if is_well and standing.roster is not None else standing.since)
        why = doubt(standing.fleet, None if standing.is_anew else standing.roster, answer)
        if why is None or self._is_confirmed(standing, answer, confirm=confirm):
            return replace(standing, roster=answer, read_at=now, found=len(answer), doubt=None, fault=None, is_anew=False)
        if standing.doubt is None:
            log.warning("roster.held_back", fleet=standing.fleet.name, why=why)
        since = standing.since if standing.doubt is not None else now
        # After a restart nobody knows who was watched: an empty roster would say that they are gone, and let go of their incidents.
        kept = None if standing.roster is None else retold(standing.roster, answer)
        return replace(standing, roster=kept, read_at=now, found=len(answer), doubt=why, fault=None, since=since)

    def _is_confirmed(self, standing: FleetStanding, answer: tuple[Workload, ...], *, confirm: bool) -> bool:
        """Whether a roster that shrank, and is as expected otherwise, was seen by somebody who then asked for it again."""
        fleet = standing.fleet
        if not confirm or doubt(fleet, None, answer) is not None:
            return False
        places = frozenset(workload.place for workload in answer)
        is_confirmed = self._to_confirm.pop(fleet.name, None) == places
        if not is_confirmed:
            self._to_confirm[fleet.name] = places
        return is_confirmed

    def _hold(self) -> None:
        """What the files and the rosters come to is adopted, where it is news."""
        own = self._claimed | {policy.target: policy.name for policy in self._own}
        for name, standing in self._standings.items():
            made_of = (standing.fleet, standing.roster, own)
            if made_of == self._made_of.get(name):  # of 10,000 members that is most of a second saved
                continue
            self._made_of[name] = made_of
            found = members(standing.fleet, standing.roster or (), own, self._contacts)
            self._standings[name] = replace(standing, members=found)
            _log_roster(name, found)
        policies = [*self._own, *(policy for standing in self._standings.values() for policy in standing.policies)]
        unread = frozenset([*self._unread, *(name for name, standing in self._standings.items() if standing.roster is None)])
        news = ([(policy.name, policy.digest, policy.notes) for policy in policies], unread)
        if news != self._adopted:
            self._adopted = news
            self._adopt(tuple(policies), unread)


def workload_of(listed: Listed) -> Workload:
    """A workload as policies know it."""
    return Workload(listed.namespace, listed.name, _pairs(listed.labels), _pairs(listed.notes))


def _pairs(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def _log_roster(fleet: str, found: Sequence[Member]) -> None:
    watched = sum(member.policy is not None for member in found)
    findings = [f"{member.target}: {finding}" for member in found for finding in member.findings]
    log.info("roster.changed", fleet=fleet, found=len(found), watched=watched)
    if findings:
        log.warning("roster.findings", fleet=fleet, findings=len(findings), first=findings[0])
