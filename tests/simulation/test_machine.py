"""Three replicas with one journal, driven by Hypothesis: it chooses what happens next by what it has learnt, and shrinks what breaks a promise."""

from collections.abc import Callable, Collection
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from rollbackd.controller.engine.fleet import Settings
from tests.policies.literals import T0
from tests.simulation.faults import COMMITS, WRITES
from tests.simulation.oracles import Violation
from tests.simulation.shop import EVERY
from tests.simulation.story import WIDE, Event, Story
from tests.simulation.telling import Teller, teller
from tests.simulation.test_oracles import MUTANTS

REPLICAS, SERVICES = 3, 4
STORY = Story(0, REPLICAS, Settings(limits=WIDE, orphans_after=timedelta(minutes=5)), (), SERVICES)
HOW = settings(
    max_examples=20,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)

replicas = st.integers(0, REPLICAS - 1)
services = st.integers(0, SERVICES - 1)
shares = st.sampled_from((0.06, 0.3, 1.0))
spells = st.sampled_from((3.0, 15.0, 40.0, 75.0))
commits = st.integers(0, 6)
slots = st.sampled_from((2, 1, 3, 0))


class Replicas(RuleBasedStateMachine):
    """Each rule is one thing that happens; after it so many ``slots`` of the replicas' clocks pass."""

    def __init__(self, at: Teller) -> None:
        super().__init__()
        self.world = at.world(STORY)
        self.world.begin()
        self._slot = 0
        self._is_sound = True

    @rule(missed_by=st.sets(replicas, max_size=2), slots=st.integers(1, 6))
    def time_passes(self, missed_by: set[int], slots: int) -> None:
        self._pass(slots, missed_by)

    @rule(service=services, share=shares, slots=slots)
    def a_bad_release(self, service: int, share: float, slots: int) -> None:
        self._happen("deploy-bad", service, share, slots)

    @rule(service=services, kind=st.sampled_from(("deploy-good", "reapply", "unready", "heal")), size=spells, slots=slots)
    def the_target_changes(self, service: int, kind: str, size: float, slots: int) -> None:
        self._happen(kind, service, size, slots)

    @rule(service=st.sampled_from((1, 3)), share=shares, slots=slots)
    def a_flag_is_switched_on(self, service: int, share: float, slots: int) -> None:
        self._happen("flip", service, share, slots)

    @rule(service=services, kind=st.sampled_from(("storm", "silent")), size=st.sampled_from((2.0, 3.0, 40.0)), slots=slots)
    def the_metrics_suffer(self, service: int, kind: str, size: float, slots: int) -> None:
        self._happen(kind, service, min(size, SERVICES) if kind == "storm" else size, slots)

    @rule(service=services, kind=st.sampled_from(("ack", "close", "approve")), slots=slots)
    def a_person_speaks(self, service: int, kind: str, slots: int) -> None:
        self._happen(kind, service, 0, slots)

    @rule(replica=replicas, kind=st.sampled_from(("pause", "resume")), slots=slots)
    def the_switch(self, replica: int, kind: str, slots: int) -> None:
        self._happen(kind, replica, 0, slots)

    @rule(replica=replicas, kind=st.sampled_from(COMMITS), after=commits, slots=slots)
    def a_commit_goes_wrong(self, replica: int, kind: str, after: int, slots: int) -> None:
        self._happen(kind, replica, after, slots)

    @rule(replica=replicas, kind=st.sampled_from(WRITES), size=spells, slots=slots)
    def a_write_goes_wrong(self, replica: int, kind: str, size: float, slots: int) -> None:
        self._happen(kind, replica, size, slots)

    @rule(replica=replicas, kind=st.sampled_from(("kill", "freeze", "stale", "cut", "disk-cut", "disk-full", "looks-fail")), size=spells, slots=slots)
    def a_replica_suffers(self, replica: int, kind: str, size: float, slots: int) -> None:
        self._happen(kind, replica, size, slots)

    @rule(replica=replicas, slots=slots)
    def a_replica_thaws(self, replica: int, slots: int) -> None:
        self.world.replicas[replica].frozen_until = self.world.clock.now
        self._pass(slots)

    @rule(replica=replicas, by=st.sampled_from((-60.0, -5.0, 45.0)), slots=slots)
    def a_clock_steps(self, replica: int, by: float, slots: int) -> None:
        self._happen("clock", replica, by, slots)

    @invariant()
    def every_promise_is_kept(self) -> None:
        self._soundly(self.world.oracles.look)

    def teardown(self) -> None:
        try:
            if self._is_sound:
                self.world.end()
        finally:
            self.world.stop()

    def _happen(self, kind: str, who: int, size: float, slots: int) -> None:
        self._soundly(lambda: self.world.happen(Event(0, kind, who, size)))
        self._pass(slots)

    def _pass(self, slots: int, missed_by: Collection[int] = ()) -> None:
        for _ in range(slots):
            self._slot += 1
            self.world.slot(self._slot, missed_by)
            until = T0 + self._slot * EVERY + timedelta(seconds=5)
            self._soundly(lambda until=until: self.world.clock.run(until, self.world.oracles.look))

    def _soundly(self, work: Callable[[], None]) -> None:
        self._is_sound, was = False, self._is_sound
        work()
        self._is_sound = was


def test_three_replicas_keep_every_promise() -> None:
    with teller() as at:
        run_state_machine_as_test(lambda: Replicas(at), settings=HOW)


@pytest.mark.parametrize("promise", ["I1", "I8"])
def test_the_machine_finds_a_product_that_breaks_its_promise(monkeypatch: pytest.MonkeyPatch, promise: str) -> None:
    MUTANTS[promise](monkeypatch)
    with teller() as at, pytest.raises(Violation, match=f"^{promise}"):
        run_state_machine_as_test(lambda: Replicas(at), settings=settings(HOW, phases=(Phase.generate,), report_multiple_bugs=False))
