"""One AppConfig profile of feature flags as a provider: what its newest deployment changed is what goes back, by the fastest way that is exact.

A version is all flags of a profile. Taking a deployment back, or deploying the version before it, is done only where that leaves every flag as it is
meant to be; where only some of them are to change, a version of our own is made of the live one.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from rollbackd.adapters.aws.appconfig.document import Document, is_served, safe_state, written
from rollbackd.adapters.aws.appconfig.history import Deployment, History
from rollbackd.adapters.aws.appconfig.place import Place
from rollbackd.adapters.aws.failures import Gone, Rejected
from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.flag_each import believed, served_otherwise
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State, named
from rollbackd.adapters.base.shape import shaped

_BACK = frozenset({"ROLLBACK_STARTED", "ROLLBACK_COMPLETED", "REVERT_COMPLETED"})
_MARK = "rollbackd:"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one read showed. ``before``: the version before the live deployment; None if there is none. ``is_way_back``: to undo that is no remedy."""

    history: History
    live: Deployment
    document: Document
    before: Document | None
    is_way_back: bool

    def restores(self, after: Mapping[str, State]) -> bool:
        """True if the version before is what the live one becomes by ``after``, flag by flag."""
        return self.before is not None and {**self.document.states, **after} == self.before.states


@dataclass(slots=True)
class _Memory:
    """What this process knows: what it saw last, which deployments are ways back, and which it took back for which incident."""

    seen: _Seen | None = None
    ways_back: dict[tuple[str, int], bool] = field(default_factory=dict)
    ours: dict[tuple[str, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider. ``safe_states``: off, on or leave, by flag; a flag that is not named goes back to the version before."""

    name: str
    place: Place
    settle: timedelta = field(default=timedelta(minutes=1), kw_only=True)
    safe_states: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_flags: int = field(default=20, kw_only=True)
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    @property
    def where(self) -> str:
        """The profile and all that it is in."""
        return str(self.place)

    # --- what stands there ---------------------------------------------------------------------------------------------------------------

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:  # one call anyway
        """The flags of the version that is in force, or will be once AppConfig is done taking a deployment back. The handle is what was seen."""
        if scope.word == "tag":
            raise Refused(f"{self.where}: flags of AppConfig have no tags; nothing was changed", advice="write a list of flags, or all")
        history = self.place.history()
        if (live := history.live) is None:
            raise Refused(f"{self.where} has no deployment that is in force; nothing was changed", advice="deploy a version first")
        seen = _Seen(history, live, self.place.document(live.version), self._former(history), self._is_way_back(history, live))
        self._memory.seen = seen
        states = seen.document.states
        inside = frozenset(states) if scope.word == "all" else frozenset(scope.names) & states.keys()
        chosen = {name: state for name, state in states.items() if name in inside or name in also}
        return Reading(chosen, inside, already=self._already(seen), handle=seen)

    def _already(self, seen: _Seen) -> str:
        """How the flags stand that need no write. One that an older deployment made bad is among them, so it is not called safe."""
        words = ["at the safe state"] if self.safe_states or seen.before is None else []
        if seen.history.taken_back:
            words.append(f"as deployment {seen.history.taken_back[0].number} left them, which was taken back")
        elif seen.is_way_back:
            words.append(f"as deployment {seen.live.number} left them, a way back itself")
        elif seen.before is not None:
            words.append(f"as before deployment {seen.live.number}, the newest; no older one is gone back behind")
        return ", or ".join(words)

    def _former(self, history: History) -> Document | None:
        """The version before the live one; None if there is none, or somebody deleted it: flags with a declared safe state can still go there."""
        try:
            return self.place.document(history.before.version) if history.before is not None else None
        except Gone:
            return None

    def _is_way_back(self, history: History, live: Deployment) -> bool:
        """True if the live deployment is ours, or of a version that had been in force before the one it replaced. Asked once for each deployment.

        To undo one of these would deploy what was taken back: the way back is not always by taking a deployment back.
        """
        known, before, key = self._memory.ways_back, history.before, self._key(live)
        if before is None:
            return False
        if key not in known:
            said = str(self.place.deployment(live.number).get("Description") or "")
            known[key] = said.startswith(_MARK) or self.place.history(whole=True).was_in_force(live.version, before.number)
        return known[key]

    def _key(self, deployment: Deployment) -> tuple[str, int]:
        """Its number, and of which environment: in one that was made anew they begin again."""
        return (self.place.ids()["EnvironmentId"], deployment.number)

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """The newest deployment, or the newest taking back of one, and the flags in scope that differ by it."""
        seen = _seen(reading)
        with shaped(self.where):
            if backs := [(each, self.place.deployment(each.number)) for each in seen.history.taken_back]:
                # The newest of these events, whichever deployment it belongs to.
                deployment, event = max(((each, _taken_back(told)) for each, told in backs), key=lambda pair: pair[1]["OccurredAt"])
                touched = _differing(self.place.document(deployment.version), seen.document, reading)
                return LastChange(f"{deployment.number}/back", event["OccurredAt"], touched, self._who_took_back(deployment, event))
            live, told = seen.live, self.place.deployment(seen.live.number)
            said = str(told.get("Description") or "")
        writer = said if said.startswith(_MARK) else "a deployment by somebody"
        return LastChange(str(live.number), live.started, _differing(seen.before, seen.document, reading), writer)

    def _who_took_back(self, deployment: Deployment, event: Mapping[str, Any]) -> str | None:
        if event.get("TriggeredBy") != "USER":
            return f"AppConfig ({event.get('TriggeredBy')})"
        # Nothing can be written beside it, so another process cannot tell whether it was ours.
        return self._memory.ours.get(self._key(deployment))

    # --- what is written -----------------------------------------------------------------------------------------------------------------

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """Off or on where that is declared, else as in the version before; a flag that is not in it goes off.

        Where a deployment was taken back since, or the live one is a way back itself, what stands there is where to go back to.
        """
        if word is not None:
            return safe_state(name, state, word)
        seen = self._memory.seen
        if seen is not None and (seen.history.taken_back or seen.is_way_back):
            return state  # what was taken back is never deployed again by itself
        if seen is None or seen.before is None:
            return None
        return seen.before.states.get(name) or safe_state(name, state, "off")

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """The live deployment is taken back, else the version before is deployed, else a version of our own."""
        seen, incident = _seen(reading), mark.removeprefix(_MARK)
        if any(each.is_running for each in seen.history.taken_back):
            raise Refused(f"{self.where} is taking a deployment back; nothing was changed", advice="look again when AppConfig is done")
        if seen.restores(after) and seen.history.is_exact and self._took_back(seen, incident, ends):
            return
        if seen.live.is_running:
            raise Refused(
                f"deployment {seen.live.number} of {self.where} is still {seen.live.state}, and it can be taken back only as a whole, "
                f"which would change other flags than {named(list(after))}; nothing was changed",
                advice=f"take it back as a whole: {self._stop_command(seen)}",
            )
        version = self._version(seen, after, incident)
        if (left := ends - time.monotonic()) < 0:
            raise Transient(f"{self.where} answers too slowly; no deployment was started")
        try:
            self.place.start(version, seen.history.newest, incident, timedelta(seconds=left))
        except Rejected as fault:
            raise _conflict(fault, "another deployment was started there or still runs") from fault

    def _took_back(self, seen: _Seen, incident: str, ends: float) -> bool:
        """False if AppConfig no longer can: 72 hours after its end it does not, and nothing was changed."""
        live = seen.live
        try:
            self.place.stop(live.number, incident, lambda: self._refuse_moved(seen), timedelta(seconds=ends - time.monotonic()))
        except Rejected:
            if live.is_running:
                raise
            return False
        self._memory.ours[self._key(live)] = f"{_MARK}{incident}"
        return True

    def _refuse_moved(self, seen: _Seen) -> None:
        """AppConfig has no lock for taking back, so what is the newest is read once more right before."""
        now = self.place.history()
        # The same deployment may have gone on meanwhile, from rolling out to baking, say.
        is_same = now.live is not None and replace(now.live, state=seen.live.state) == seen.live
        if not is_same or now.newest != seen.history.newest:
            raise Refused(f"another deployment was started in {self.where}; nothing was changed", advice="look who deploys there, then plan again")

    def _version(self, seen: _Seen, after: Mapping[str, State], incident: str) -> int:
        before = seen.history.before
        if before is not None and seen.restores(after):
            return before.version
        newest = self.place.newest_version()
        try:
            return self.place.create(written(seen.document, after), newest, incident)
        except Rejected as fault:
            raise _conflict(fault, f"somebody made a version after {newest}") from fault

    def is_atomic(self, before: Mapping[str, State], after: Mapping[str, State]) -> bool:
        """A version is all flags."""
        return True

    def unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        """The flags that are still being deployed, or served otherwise to who asks now."""
        history = self.place.history()
        if any(each.is_arriving for each in (*history.taken_back, *((history.live,) if history.live else ()))):
            return tuple(after)
        return believed(lambda: self._unserved(after))

    def _unserved(self, after: Mapping[str, State]) -> tuple[str, ...]:
        found = self.place.served()
        return tuple(name for name, state in after.items() if not is_served(found.get(name), state))

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """Amazon's command line, as far as it goes."""
        seen = self._memory.seen
        if seen is not None and seen.restores(after) and seen.history.is_exact:
            return self._stop_command(seen)
        return f"set {named(list(after))} as planned in a new version of {self.where}, and deploy it with strategy {self.place.strategy}"

    def _stop_command(self, seen: _Seen) -> str:
        ids = self.place.ids()
        place = f"--region {self.place.region} --application-id {ids['ApplicationId']} --environment-id {ids['EnvironmentId']}"
        return f"aws appconfig stop-deployment {place} --deployment-number {seen.live.number} --allow-revert"

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """A strategy that is not at once, or what applications are served cannot be seen or is otherwise."""
        with shaped(self.where):
            strategy = self.place.strategy_found()
            minutes, bake = int(strategy["DeploymentDurationInMinutes"]), int(strategy.get("FinalBakeTimeInMinutes", 0))
        found = []
        if minutes or bake:
            found.append(
                f"strategy {self.place.strategy} takes {minutes} min and bakes {bake} min, and meanwhile nothing else is deployed; make one for it: "
                "aws appconfig create-deployment-strategy --name at-once --deployment-duration-in-minutes 0 --growth-factor 100 "
                "--final-bake-time-in-minutes 0 --replicate-to NONE"
            )
        seen = _seen(reading)
        if not seen.live.is_arriving and not seen.history.taken_back:
            found += served_otherwise(self._unserved(reading.in_scope))
        return tuple(found)


def _seen(reading: Reading) -> _Seen:
    if not isinstance(reading.handle, _Seen):
        raise Permanent("the flags were not read before they are used; nothing was changed")
    return reading.handle


def _taken_back(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event by which a deployment began to be taken back."""
    events = [event for event in told["EventLog"] if event["EventType"] in _BACK]
    first: Mapping[str, Any] = min(events, key=lambda event: event["OccurredAt"])
    return first


def _differing(before: Document | None, after: Document, reading: Reading) -> tuple[str, ...]:
    """The flags in scope that one version has otherwise than the other."""
    known = before.states if before is not None else {}
    return tuple(name for name in sorted(reading.scope) if known.get(name) != after.states[name])


def _conflict(fault: Rejected, what: str) -> Rejected | Refused:
    """Refused where an optimistic lock failed."""
    if fault.code != "ConflictException":
        return fault
    return Refused(f"{what}: {fault}", advice="look who deploys there, then plan again")
