"""What happens to the other watched targets while one is in breach: a cause that they share is not its change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.policies.blame.attribution import victims
from rollbackd.policies.judge.systemic import FEWEST, RECENT, Chance, chance, share_needed
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.watching.since import watch_length

LATE = timedelta(minutes=5)
"""A breach that began so long after the change served is no longer plainly its own: then a single neighbour that breaks with it weighs more."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Other targets without a change: ``broken`` ones, and ``leaning`` ones that are out of their limits and not proven to be.

    ``brought_down``: those that the target itself explains, which are in neither. ``watched``: of so many. ``usual``: so many break by themselves
    in the time in which these did. ``late_since``: when the target's own breach began, where that was late.
    """

    broken: tuple[str, ...]
    leaning: tuple[str, ...]
    brought_down: frozenset[str]
    watched: int
    usual: Chance
    late_since: datetime | None = None

    @property
    def needed(self) -> int:
        """So many broken ones are a common cause."""
        return min(self.usual.needed, share_needed(self.watched))

    @property
    def is_common(self) -> bool:
        """Whether more are broken than chance explains."""
        return len(self.broken) >= self.needed

    @property
    def may_be_common(self) -> bool:
        """Whether that is open: with those that lean it lacks one at most, which what they share may not have reached yet."""
        return not self.is_common and len(self.broken) + len(self.leaning) >= max(1, self.needed - 1)


def neighbours(policy: Policy, suspects: Sequence[Change], fleet: Fleet) -> Neighbours:
    """The other targets as they stand now: those that broke lately, or all since this one did, whichever speaks more for a common cause."""
    began = fleet.evident.get(policy.target)
    found = [_among(policy, suspects, fleet, fleet.unexplained, RECENT)]
    if since := _together(fleet, began):
        found.append(_among(policy, suspects, fleet, fleet.unexplained | since, _span(fleet, began)))
    # The longer the time, the more of them are chance: what a shorter one says must not be lost by that.
    return next((one for one in found if one.is_common), next((one for one in found if one.may_be_common), found[-1]))


def _among(policy: Policy, suspects: Sequence[Change], fleet: Fleet, broken: frozenset[str], within: timedelta) -> Neighbours:
    broken -= {policy.target}
    out = (broken | fleet.leaning) - {policy.target}
    brought_down = victims(policy, suspects, fleet, watch_length(policy), out)
    late = late_since(policy, suspects, fleet)
    return Neighbours(
        tuple(sorted(broken - brought_down)),
        tuple(sorted(out - broken - brought_down)),
        brought_down,
        max(fleet.watched - 1, len(broken)),
        chance(fleet.usual, policy.target, FEWEST if late is None else 1, within),
        late,
    )


def _together(fleet: Fleet, began: datetime | None) -> frozenset[str]:
    """The targets that turned to breach long ago, but with this one: what has few requests is proven long after it began."""
    return frozenset() if began is None else frozenset(t for t in fleet.lasting if t in fleet.onsets and fleet.onsets[t] >= began - RECENT)


def _span(fleet: Fleet, began: datetime | None) -> timedelta:
    """How long it is in which the others may have turned to breach."""
    return RECENT if began is None or fleet.usual.at is None else max(RECENT, fleet.usual.at - began + RECENT)


def late_since(policy: Policy, suspects: Sequence[Change], fleet: Fleet) -> datetime | None:
    """When the breach of the policy's target began, if each suspect had served for long by then."""
    began = fleet.began.get(policy.target)
    served = max((change.effective for change in suspects if not change.posted), default=None)
    return began if began is not None and served is not None and began - served >= LATE else None
