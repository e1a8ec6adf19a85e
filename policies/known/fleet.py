"""What the guards need to know about everything else at the same slot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollbackd.policies.judge.systemic import NOTHING_KNOWN, Usual
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.freeze import Freeze
from rollbackd.policies.known.incident import Mended
from rollbackd.policies.model.keys import namespace_of
from rollbackd.policies.model.policy import Mode


@dataclass(frozen=True, slots=True)
class Limits:
    """The daemon's guard table. ``cooldown_floor``: a policy's own cool-down may not be shorter (None: it may)."""

    in_flight_per_namespace: int = 1
    in_flight: int = 3
    per_hour: int = 10
    per_target_per_day: int = 2
    cooldown: timedelta = timedelta(minutes=30)
    cooldown_floor: timedelta | None = None
    known_good_max_age: timedelta = timedelta(days=7)
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True, slots=True)
class Flight:
    """An open incident that has acted and is neither held nor closed."""

    incident: str
    target: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """One slot's view of all watched targets and of the budgets left.

    ``unexplained``: targets that turned BREACH within 10 minutes and had no change in their watch window; ``lasting``: those that turned before that
    and still are. ``acted_in_day`` and ``closed`` by target; ``healthy_since`` by (target, policy, condition): since when it is proven OK, None
    while it is not. ``revisions``: what runs now. ``answered``: by watched target, the ids of the changes that incidents of that target have
    answered: what another target's incident named is answered there only. ``quarantined``: (target, revision) pairs. ``oldest_look``: when the
    target that was looked at longest ago was; None where nothing was. ``usual``: how many turn to breach without a change by chance.

    ``onsets``: since when the targets in breach are; ``began``: since when they had been out of their limits when that was proven; ``evident``: since
    when they may have been in it. ``proven``: when a policy of a target that may do more than observe last proved a breach of it, over or not.
    ``contested``: (target, revision) pairs that an open incident is about.
    ``mended``: when evidence began anew by what the newest incident of a target did, closed or open.
    ``unread``: of each target whose newest look failed, by what may pass, the slot of the last one that did not.
    ``depends``: what each watched target depends on; ``shared``: the changes of all that.
    ``leaning``: targets without a change that are out of a limit and not proven to be.
    ``risen``: (target, dependency) where the target uses more of it than its policy allows. ``good``: the known goods of what may have to
    be reverted, newest first.
    """

    mode_cap: Mode = Mode.AUTO
    namespace_caps: Mapping[str, Mode] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    paused: str | None = None
    watched: int = 1
    unexplained: frozenset[str] = frozenset()
    lasting: frozenset[str] = frozenset()
    leaning: frozenset[str] = frozenset()
    flights: tuple[Flight, ...] = ()
    acted_in_hour: int = 0
    acted_in_day: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[str, datetime] = field(default_factory=dict)
    quarantined: frozenset[tuple[str, str]] = frozenset()
    answered: Mapping[str, frozenset[str]] = field(default_factory=dict)
    healthy_since: Mapping[tuple[str, str, str], datetime | None] = field(default_factory=dict)
    revisions: Mapping[str, str] = field(default_factory=dict)
    oldest_look: datetime | None = None
    usual: Usual = NOTHING_KNOWN
    onsets: Mapping[str, datetime] = field(default_factory=dict)
    began: Mapping[str, datetime] = field(default_factory=dict)
    evident: Mapping[str, datetime] = field(default_factory=dict)
    proven: Mapping[str, datetime] = field(default_factory=dict)
    mended: Mapping[str, Mended] = field(default_factory=dict)
    unread: Mapping[str, datetime] = field(default_factory=dict)
    contested: frozenset[tuple[str, str]] = frozenset()
    depends: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shared: tuple[Change, ...] = ()
    risen: frozenset[tuple[str, str]] = frozenset()
    good: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def answered_on(self, target: str) -> frozenset[str]:
        """The ids of the changes that incidents of this watched target have answered."""
        return self.answered.get(target, frozenset())

    def cap_of(self, target: str) -> Mode:
        """The most that may be done to the target in its namespace."""
        return self.namespace_caps.get(namespace_of(target), Mode.AUTO)
