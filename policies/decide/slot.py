"""One slot of one policy: everything that a decision may draw on, and the questions that every decision asks of it."""

from dataclasses import dataclass
from datetime import datetime

from rollbackd.policies.judge.verdict import Verdict
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.reasons import Words
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.policy import Mode, Policy


@dataclass(frozen=True, slots=True)
class Slot:
    """Everything one decision may draw on. ``watch`` is already marked with ``verdicts``."""

    policy: Policy
    watch: Watch
    verdicts: tuple[Verdict, ...]
    confirmed: tuple[bool, ...]
    changes: tuple[Change, ...]
    fleet: Fleet
    at: datetime

    @property
    def ceiling(self) -> Mode:
        """What daemon, policy and the namespace of its target allow now, before any condition or rung lowers it."""
        return min(self.fleet.mode_cap, self.fleet.cap_of(self.policy.target), self.policy.mode)

    def mode(self, index: int) -> Mode:
        """The effective mode of a condition: the lowest of daemon, namespace, policy, condition and what its evidence bears."""
        return min(self.ceiling, self.policy.conditions[index].mode, self.verdicts[index].most)

    def words(self, index: int) -> Words:
        """A condition's verdict with its arithmetic and how far its confirmation is, worded when it is read."""
        return Words(self.policy.conditions[index], self.watch.tracks[index], self.verdicts[index], self.at)

    def reason(self, index: int) -> str:
        """The same, in words."""
        return str(self.words(index))
