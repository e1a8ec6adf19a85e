"""How one replica reaches the outside: the adapters' own behaviour over a line that loses, delays and repeats what it is told to."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State
from rollbackd.adapters.base.target import Intent, Interval, NothingToDo, Plan, PlanRequest, Sight, Standing, TargetState
from tests.simulation.outside import Accepted, Outside, Send, Workload
from tests.simulation.turns import Killed, Turns


class Line:
    """One replica's way to the outside. ``fate``: what becomes of the next write; ``seconds``: how late; ``blind_looks``: looks that fail."""

    def __init__(self, outside: Outside, replica: str, turns: Turns, die: Callable[[], None]) -> None:
        self.outside = outside
        self.met = outside.met
        self.replica = replica
        self.is_cut = self.is_stale = False
        self.fate = ""
        self.seconds = 0.0
        self.blind_looks = 0
        self._turns = turns
        self._die = die

    def read(self) -> None:
        """The answer took its while: others went on meanwhile. Raises Transient where nothing can be read."""
        self._turns.rest(self.outside.answers_in())
        self._reach()
        if self.blind_looks > 0:
            self.blind_looks -= 1
            self.met["looks-fail"] += 1
            raise Transient("503 from the API server")

    def write(self, intent: Intent, effect: Callable[[], None]) -> None:
        """The effect is sent once; what becomes of it, and of the answer, is the line's to say."""
        fate, self.fate = self.fate, ""
        self.outside.on_send(Send(self.outside.clock.now, self.replica, intent))
        self._reach()
        if fate:
            self.met[fate] += 1
        match fate:
            case "write-throttled":
                raise Transient("429: too many requests")
            case "write-denied":
                raise Permanent("403: deployments.apps is forbidden")
            case "kill-before-write":
                self._killed()
            case "write-late":
                self.outside.clock.after(self.seconds, lambda: _quietly(effect))
                raise Transient("the connection timed out")
            case "write-frozen":
                self._turns.rest(self.seconds)
        effect()
        if fate == "write-lost":
            raise Transient("the connection was reset before the answer came")
        if fate == "kill-after-write":
            self._killed()

    def _reach(self) -> None:
        if self.is_cut:
            self.met["cut"] += 1
            raise Transient("no route to host")

    def _killed(self) -> None:
        self._die()
        raise Killed


class Workloads:
    """Deployments, planned and looked at as the Kubernetes adapter does."""

    kind = "kubernetes"

    def __init__(self, line: Line) -> None:
        self._line = line
        self._cache: dict[str, TargetState] = {}

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        if self._line.is_cut:
            self._line.met["cut"] += 1
            return {key: Transient("no route to host") for key in keys}
        if not self._line.is_stale or not self._cache:
            self._cache = {key: _state(live) for key, live in self._line.outside.workloads.items()}
            self._line.outside.seen = {key: live.number for key, live in self._line.outside.workloads.items()}
        elif any(self._cache[key].revision != live.revision for key, live in self._line.outside.workloads.items()):
            self._line.met["stale"] += 1
        return {key: self._cache[key] for key in keys}

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        self._line.read()
        live = self._line.outside.workloads[request.target]
        if live.revision != request.from_revision:
            raise Refused(f"{request.target} runs {live.revision}, not {request.from_revision} that was judged")
        to = next((revision for revision in request.candidates if revision in live.kept and revision != live.revision), None)
        if to is None:
            raise Refused(f"{request.target} has no known good revision to go to", advice="roll forward")
        intent = Intent(request.target, request.incident, live.revision, to, {"number": live.number})
        return Plan(intent, f"revert {request.target} to {to}", deadline=timedelta(minutes=1))

    def apply(self, plan: Plan) -> None:
        self._line.write(plan.intent, lambda: self._line.outside.patch(plan.intent))

    def look(self, intent: Intent) -> Sight:
        self._line.read()
        live = self._line.outside.workloads[intent.target]
        if live.revision == intent.to_revision:
            standing = Standing.UNDERWAY if live.ready is None else Standing.THERE
            return Sight(standing, f"{live.revision} is {standing.value}", live.revision)
        is_marked = live.mark == (intent.incident, intent.to_revision)
        if live.revision != intent.from_revision or is_marked:
            return Sight(Standing.ELSEWHERE, f"another writer ({live.writer}) has put {live.revision} there", live.revision)
        return Sight(Standing.BEFORE, f"still at {live.revision}", live.revision)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        return ()


class FlagsInMemory:
    """What ``FlagTarget`` of the product asks of a provider. No history is kept, as with a flag file; a write is not marked."""

    name, where = "shop", "the shop's flags"
    settle = timedelta(0)
    safe_states: Mapping[str, str] = {}
    max_flags = 5

    def __init__(self, line: Line) -> None:
        self._line = line
        self.met: Mapping[str, str] = {}
        """The flags as the last write found them."""

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:
        self._line.read()
        flags = self._line.outside.flags
        return Reading({name: {"variant": variant} for name, variant in flags.items()}, frozenset(name for name in scope.names if name in flags))

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        return None

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        return {"variant": "off"}

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        self.met = dict(self._line.outside.flags)
        self._line.outside.flags.update({name: str(state["variant"]) for name, state in after.items()})
        self._line.outside.changed()

    def is_atomic(self, before: Mapping[str, State], after: Mapping[str, State]) -> bool:
        return True

    def unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        return ()

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        return "flip it"

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        return ()


class Flags(FlagTarget):
    """The product's flags target over this line. Its patience is of virtual time too: a process that was frozen in it knows."""

    def __init__(self, line: Line) -> None:
        self._provider = FlagsInMemory(line)
        super().__init__("flagd", {"shop": self._provider}, has_environments=False, steady=line.outside.clock.steady)
        self._line = line

    def apply(self, plan: Plan) -> None:
        self._line.write(plan.intent, lambda: self._arrive(plan.intent, lambda: super(Flags, self).apply(plan)))

    def _arrive(self, intent: Intent, send: Callable[[], None]) -> None:
        send()
        was = {name: self._provider.met[name] for name in intent.record["before"]}
        is_before = was == {name: state["variant"] for name, state in intent.record["before"].items()}
        self._line.outside.on_accept(Accepted(self._line.outside.clock.now, intent, intent.from_revision if is_before else f"{was}"))


def _state(live: Workload) -> TargetState:
    return TargetState(
        key=live.key,
        revision=live.revision,
        change_id=f"{live.key}:{live.number}",
        started=Interval(live.since, live.since),
        ready=live.ready,
        has_readiness=True,
        writer=live.writer,
    )


def _quietly(effect: Callable[[], None]) -> None:
    """A late write that the target refuses is nobody's news."""
    with contextlib.suppress(AdapterError):
        effect()
