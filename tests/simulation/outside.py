"""What rollbackd acts on, as it really is: workloads and flags with their preconditions, marks and other writers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import Intent
from tests.simulation.turns import Clock

ROLLOUT = timedelta(seconds=4)
"""How long a revision takes to be ready."""


@dataclass(slots=True)
class Workload:
    """A Deployment. ``number``: its revision annotation. ``mark``: the incident and end state of our last write; other writers leave it there."""

    key: str
    revision: str
    since: datetime
    ready: datetime | None
    number: int = 1
    writer: str = "deployer"
    mark: tuple[str, str] | None = None
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Send:
    """A write as it left a replica."""

    at: datetime
    replica: str
    intent: Intent


@dataclass(frozen=True, slots=True)
class Accepted:
    """A write that a target took. ``found``: the revision that it met; ``kept``: the revisions that were there to go to."""

    at: datetime
    intent: Intent
    found: str
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else's write."""

    at: datetime
    target: str
    revision: str


class Outside:
    """The cluster and the flags that all replicas share. ``seen``: the newest numbers that a survey found; ``met``: see World.

    ``on_send`` and ``on_accept`` are told before anything follows from it. ``answers_in``: seconds until it answers who plans or looks;
    ``waits``: seconds that a transaction waits for others. ``is_slow``: either takes a while.
    """

    def __init__(self, clock: Clock, met: Counter[str]) -> None:
        self.clock = clock
        self.met = met
        self.seen: dict[str, int] = {}
        self.workloads: dict[str, Workload] = {}
        self.flags: dict[str, str] = {}
        self.unready: set[str] = set()
        self.foreign: list[Foreign] = []
        self.changed: Callable[[], None] = lambda: None
        self.on_send: Callable[[Send], None] = lambda _: None
        self.on_accept: Callable[[Accepted], None] = lambda _: None
        self.answers_in: Callable[[], float] = lambda: 0.0
        self.waits: Callable[[], float] = lambda: 0.0
        self.is_slow = False
        self.has_preconditions = True

    def add(self, key: str) -> None:
        start = self.clock.now - timedelta(days=1)
        self.workloads[key] = Workload(key, "v1", start, start, kept=["v1"])  # long ago: what ran before the story is no suspect

    def deploy(self, key: str, revision: str, writer: str = "deployer") -> None:
        """Another writer puts this revision there."""
        if self.workloads[key].revision != revision:
            self._put(self.workloads[key], revision, writer)
            self.foreign.append(Foreign(self.clock.now, key, revision))

    def make_ready(self, key: str) -> None:
        """What keeps the workload's pods from serving is over."""
        self.unready.discard(key)
        self._become_ready(self.workloads[key], self.workloads[key].number)

    def flip(self, flag: str, variant: str) -> None:
        """A person switches a flag."""
        if self.flags[flag] != variant:
            self.flags[flag] = variant
            self.foreign.append(Foreign(self.clock.now, f"flagd:shop/flags:{flag}", variant))
            self.changed()

    def patch(self, intent: Intent) -> None:
        """Our write, under its precondition on the rollout that was judged. Raises Refused."""
        workload = self.workloads[intent.target]
        if self.has_preconditions and (workload.revision, workload.number) != (intent.from_revision, intent.record["number"]):
            raise Refused(f"422: {intent.target} runs {workload.revision}, rollout {workload.number}: not what was judged; nothing was changed")
        self.on_accept(Accepted(self.clock.now, intent, workload.revision, tuple(workload.kept)))
        self._put(workload, intent.to_revision, f"rollbackd:{intent.incident}")
        workload.mark = (intent.incident, intent.to_revision)

    def _put(self, workload: Workload, revision: str, writer: str) -> None:
        self.met["unseen-change"] += self.seen.get(workload.key, 1) != workload.number
        workload.revision, workload.writer, workload.since, workload.ready = revision, writer, self.clock.now, None
        workload.number += 1
        workload.kept = [*(each for each in workload.kept if each != revision), revision][-10:]
        number = workload.number
        self.clock.at(self.clock.now + ROLLOUT, lambda: self._become_ready(workload, number))
        self.changed()

    def _become_ready(self, workload: Workload, number: int) -> None:
        if workload.number == number and workload.key not in self.unready:
            workload.ready = self.clock.now
            self.changed()
