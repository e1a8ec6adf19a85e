"""What the daemon asks for beside the readings of a slot, asked of the past."""

from collections.abc import Sequence
from datetime import datetime

from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.history import PastSource
from rollbackd.controller.backtest.old_pods import OldPods
from rollbackd.controller.observe.aging import aged
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.traffic import Traffics
from rollbackd.controller.observe.vanished import Absences
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading


class Beside:
    """What one source tells; what the target said then is not known. Of ``given`` the names of ReplicaSets are taken: without, old pods are not."""

    def __init__(self, source: PastSource, given: Sequence[GivenChange] = ()) -> None:
        self._source = source
        self._traffics, self._absences, self._old = Traffics(), Absences(), OldPods(source, given)

    def read(self, policy: Policy, readings: tuple[Reading, ...], changes: Sequence[Change], at: datetime) -> tuple[Reading, ...]:
        """The readings beside what they were before the change, and beside what old pods counted."""
        told = self._old.beside(policy, readings, at) if changes else readings
        known = answered(aged(policy, told, changes, self._source, at), self._source)
        compared = answered(self._traffics.beside(policy, known, changes, self._source, None, at), self._source)
        return answered(self._absences.beside(policy, compared, changes, self._source, None, at), self._source)
