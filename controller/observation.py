"""One pass: survey the targets and read the signals of the policies that are due, and hand both to the engine."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.controller.engine import Engine
from rollbackd.controller.observe import Observer
from rollbackd.controller.schedule import Grid
from rollbackd.controller.slots import Batch
from rollbackd.controller.survey import Surveyor
from rollbackd.policies.model import Policy


class Observation:
    """What the scheduler runs at every slot. Decides nothing."""

    def __init__(self, engine: Engine, observer: Observer, surveyor: Surveyor) -> None:
        self._engine = engine
        self._observer = observer
        self._surveyor = surveyor
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="pass")

    def close(self) -> None:
        """Nothing is read after this."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._observer.close()
        self._surveyor.close()

    def observe(self, grid: Grid, at: datetime) -> None:
        """The engine has the slot ``at`` of this grid. Targets are surveyed at every slot, so that a change is known before it is judged."""
        policies = [p for p in tuple(self._engine.policies.values()) if p.source == grid.source and p.every == grid.every]
        if policies:
            self._engine.submit(
                replace(
                    self.batch(policies, self._engine.due(policies, at), at), grid=grid, meanings={policy.name: policy.digest for policy in policies}
                )
            )

    def batch(self, policies: Sequence[Policy], due: Sequence[Policy], at: datetime) -> Batch:
        """The slot as it can be seen now: all targets of ``policies``, the readings of those that are ``due``, and the past of those that are new."""
        keys = [key for policy in policies for key in policy.targets]
        survey = self._pool.submit(self._surveyor.survey, keys, at)
        new = [policy for policy in due if policy.name not in self._engine.standings]
        readings = self._observer.read(due, at)  # before the past, which may take long and much memory
        past = self._observer.read_history(new, history_slots(new, at))
        return Batch(at, survey.result(), readings, past, dict(self._observer.health))


def history_slots(policies: Sequence[Policy], at: datetime) -> list[datetime]:
    """The past slots from which watches are rebuilt: the longest evidence and confirmation of the policies, on their own grid."""
    spans = [c.window + getattr(c.confirm, "duration", timedelta(0)) for policy in policies for c in policy.conditions]
    every = policies[0].every if policies else timedelta(seconds=1)
    return [at - i * every for i in range(int(max(spans, default=timedelta(0)) / every) + 1, 0, -1)] if spans else []


def grids(policies: Iterable[Policy]) -> set[Grid]:
    """The grids that these policies need."""
    return {Grid(policy.source, policy.every) for policy in policies}
