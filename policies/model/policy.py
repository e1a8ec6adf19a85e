"""A policy as the engine reads it: frozen, typed, the library merged in, nothing left to look up."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, IntEnum
from typing import ClassVar, TypeAlias

from rollbackd.policies.model.signals import Identity, Signal


class Mode(IntEnum):
    """What may be done about a proven breach. Ordered: the effective mode is the lowest of all that apply."""

    OBSERVE = 0
    SUGGEST = 1
    APPROVE = 2
    AUTO = 3


@dataclass(frozen=True, slots=True)
class OfBefore:
    """So many times what the signal was before the change: breached above, or below, of it."""

    factor: float
    is_above: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """Breached above ``high``, below ``low`` (None: no such side). ``unit`` is for people: '%', 's', 'bytes', ''.

    ``of_before``: breached only where it is beyond that as well; what it comes to is known once the time before a change was read, and until then
    ``high`` and ``low`` are the least that it may come to. ``of_old``: breached only where pods of the new revision are so many times worse than
    those of the old one that run beside them. Of a limit that was reckoned so, or raised for what was there before: ``share`` of requests that may
    be slower than a latency limit, ``note`` how it was reckoned, ``lack`` why it cannot be (then nothing is proven); ``is_raised``
    for one change, since the signal was out of it before. ``unread``: why it is not known whether it was (then no breach is proven).
    """

    high: float | None = None
    low: float | None = None
    unit: str = ""
    of_before: OfBefore | None = None
    of_old: float | None = None
    share: float | None = None
    note: str = ""
    lack: str = ""
    is_raised: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True)
class For:
    """Confirmed once the breach has lasted ``duration``. Zero confirms at the first proven breach."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class Breaches:
    """Confirmed once ``at_least`` of the last ``of`` evaluations were breaches, the newest among them."""

    at_least: int
    of: int


Confirmation: TypeAlias = For | Breaches


class OnNoData(Enum):
    """What absence of data means while nothing has been done yet. There is no 'breach'; it never counts towards recovery."""

    UNPROVEN = "unproven"
    OK = "ok"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Bound:
    """A breach is proven by an anytime-valid test: while the share is within its limit it is called proven in at most ``alpha`` of all watch
    windows, however often it is looked at. ``least``: the fewest events that the policy lets prove anything.
    """

    alpha: float
    least: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """A signal with a limit and a confirmation rule. ``name`` is unique in its policy.

    ``window``: the evidence a look may draw on [5 m]; it widens to 8 times as much where ``min_volume`` events are not reached.
    ``from_library``: a library signal that the workload never had is not applicable, without a page.
    ``compares``: it acts only where the value has risen since the change at equal age, or a second fact agrees; else it suggests at most.
    ``bound``: None where a look is judged by itself, by the Wilson bound of a share or as it is.
    """

    name: str
    signal: Signal
    limit: Limit
    confirm: Confirmation
    identity: Identity
    window: timedelta
    min_volume: int
    on_no_data: OnNoData
    mode: Mode
    from_library: bool
    watch: timedelta | None = None
    bound: Bound | None = None
    compares: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """One condition, by its index in ``Policy.conditions``."""

    condition: int


@dataclass(frozen=True, slots=True)
class Group:
    """At least ``needed`` of the children: 1 is any_of, all of them is all_of (Kleene logic)."""

    children: tuple["Trigger", ...]
    needed: int


Trigger: TypeAlias = Leaf | Group


@dataclass(frozen=True, slots=True)
class Timing:
    """``warmup``: after ready, before the first verdict [60 s]. ``settle``: least wait after a rung's own settling [0].
    ``recover_for`` [5 m], ``give_up`` [15 m, from the end of settle], ``cooldown`` [None: the daemon's 30 m], ``bake`` [30 m]: a revision that
    served so long without a breach is known good.
    """

    warmup: timedelta = timedelta(seconds=60)
    settle: timedelta = timedelta(0)
    recover_for: timedelta = timedelta(minutes=5)
    give_up: timedelta = timedelta(minutes=15)
    cooldown: timedelta | None = None
    bake: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class FlagsRung:
    """Put the flags in scope of ``target`` at their safe state. ``only_changed``: just those that the suspect changes touched.

    ``with_next``: the rung after it begins at once with it, and both are verified together.
    """

    target: str
    only_changed: bool = True
    always: bool = False
    mode: Mode = Mode.AUTO
    with_next: bool = False


@dataclass(frozen=True, slots=True)
class RevertRung:
    """Put ``target`` back to its newest known-good revision. ``with_next``: as of FlagsRung."""

    target: str
    always: bool = False
    mode: Mode = Mode.AUTO
    with_next: bool = False


@dataclass(frozen=True, slots=True)
class RestoreRung:
    """Have the data of ``target`` as it was before the suspects made ready beside it, for people who take it from there. Always the last rung.

    ``mode`` is never above approve. It needs a suspect, of whichever target: when the first of them began is the moment to go back to.
    """

    always: ClassVar[bool] = False

    target: str
    mode: Mode = Mode.APPROVE
    with_next: bool = False


Rung: TypeAlias = FlagsRung | RevertRung | RestoreRung


@dataclass(frozen=True, slots=True)
class Approvals:
    """How many people have to approve a plan [1], and how soon [30 m]: later it is held."""

    count: int = 1
    within: timedelta = timedelta(minutes=30)


class OutsideWatch(Enum):
    """What a breach without a change in its watch window leads to."""

    IGNORE = "ignore"
    NOTIFY = "notify"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that the watched target needs: ``on``, the key of a target or of a shared thing. ``use``: the condition that is in breach while the
    target uses more of it than it may; None: nothing tells.
    """

    on: str
    use: str | None = None


@dataclass(frozen=True, slots=True)
class OfFleet:
    """The fleet that a policy is of. ``notify``: who is told what is not about one member, as that a signal was misspelt for all of them."""

    name: str
    digest: str
    notify: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy for one watched target. ``digest`` changes with its meaning, not with its layout.

    ``watch``: how long after a change its onset may lie; None: always. ``trigger`` ranges over ``conditions`` by index.
    ``fleet``: the fleet that it is of; ``notes``: what people should know of how it came to be, as what annotations changed.
    ``migrations``: the parts of its target whose change no revert may cross without people.
    ``migration_jobs``: the names of the Jobs beside its target that no revert may cross without people; ``*`` is any text.
    ``migration_metrics``: expressions whose highest value is another after a change that no revert may cross without people.
    ``is_metered``: its source costs money by the question.
    """

    name: str
    file: str
    digest: str
    labels: tuple[tuple[str, str], ...]
    mode: Mode
    target: str
    source: str
    every: timedelta
    watch: timedelta | None
    outside_watch: OutsideWatch
    timing: Timing
    conditions: tuple[Condition, ...]
    trigger: Trigger
    ladder: tuple[Rung, ...]
    notify: tuple[str, ...]
    approvals: Approvals = Approvals()
    fleet: OfFleet | None = None
    notes: tuple[str, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    migrations: tuple[str, ...] = ()
    migration_jobs: tuple[str, ...] = ()
    migration_metrics: tuple[str, ...] = ()
    is_metered: bool = False

    @property
    def notify_of_all(self) -> tuple[str, ...]:
        """Who is told what is not about this target alone."""
        return self.notify if self.fleet is None else self.fleet.notify

    @property
    def targets(self) -> tuple[str, ...]:
        """The watched target and every target of the ladder, without repeats, the watched one first."""
        return tuple(dict.fromkeys((self.target, *(rung.target for rung in self.ladder))))
