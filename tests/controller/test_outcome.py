"""What became of a write: looked for as long as it may take, and every end is on record with its reason. A real journal; waiting moves the clock."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.target import Intent, Sight, Standing
from rollbackd.controller.act.outcome import Outcomes
from rollbackd.controller.journal.store import Store
from rollbackd.policies.known.events import Applied, RungEnd, Settled, Stopped
from rollbackd.policies.model.policy import Timing
from tests.controller.act_samples import BEFORE, ELSEWHERE, THERE, UNDERWAY, Stop
from tests.controller.journal_samples import CHECKOUT, INTENDED, MINUTE, SECOND, T0, Clock, begin, claim
from tests.policies.literals import HOUR, POLICY

BROKEN = Sight(Standing.FAILED, "the image cannot be pulled", "rev-a")
LOST = Transient("no route to host")
WRITE = replace(INTENDED, complete_by=T0 + 5 * MINUTE)
SLOWLY = replace(POLICY, timing=Timing(settle=MINUTE))


class Standings:
    """A target that stands as these say, one look after the other, and as the last of them from then on."""

    def __init__(self, *sights):
        self._sights = list(sights)
        self.looks = 0

    def look(self, intent):
        self.looks += 1
        self.looked_for = intent
        sight = self._sights.pop(0) if len(self._sights) > 1 else self._sights[0]
        if isinstance(sight, Transient):
            raise sight
        return sight


class Jolt(Stop):
    """The wall's clock is set by hand during the first wait."""

    def __init__(self, jump, wall, steady):
        super().__init__(wall, steady)
        self._jumps = [(wall, jump)]

    def wait(self, timeout=None):
        for wall, jump in self._jumps:
            wall.move(jump)
        self._jumps = []
        return super().wait(timeout)


class Looking:
    """The outcomes of a write that began at T0, looked for each second."""

    def __init__(self, url):
        self.clock, self.journal = Clock(), Clock()
        self.store = Store.open(url, "one", self.journal)
        self.stop = Stop(self.clock)
        self.outcomes = Outcomes(self.store, self.clock, self.stop, SECOND)
        begin(self.store)
        claim(self.store)

    def explain(self, *sights, how=RungEnd.FAILED):
        """Whether it was found done, and what is on record."""
        self.target = Standings(*sights)
        return self.outcomes.explain(self.target, WRITE, "no answer", how, "look at it"), self.recorded()

    def complete(self, *sights, write=WRITE, policy=POLICY):
        self.target = Standings(*sights)
        self.outcomes.complete(self.target, write, policy)
        return self.recorded()

    def recorded(self):
        return list(self.store.events("inc-1")[2:])


@pytest.fixture
def looking(tmp_path):
    looking = Looking(f"sqlite:///{tmp_path}/journal.db")
    yield looking
    looking.store.close()


def stopped(after, how, reason, advice=""):
    return [Stopped("inc-1", T0 + after, 0, CHECKOUT, how, reason, advice)]


# --- a write without an answer ------------------------------------------------------------------------------------------------------


def test_what_is_not_seen_within_ten_seconds_is_lost(looking):
    assert looking.explain(BEFORE) == (False, stopped(10 * SECOND, RungEnd.FAILED, "no answer", "look at it"))
    assert looking.target.looks == 11


def test_what_the_journals_clock_says_shortens_no_look(looking):
    looking.journal.move(-20 * SECOND)
    assert looking.explain(BEFORE, BEFORE, THERE)[0]


def test_what_is_seen_late_was_done(looking):
    assert looking.explain(BEFORE, LOST, UNDERWAY) == (
        True,
        [Applied("inc-1", T0 + 2 * SECOND, 0, CHECKOUT, "no answer; found carrying it: 1 of 3 ready")],
    )


@pytest.mark.parametrize(("how", "ended"), [(RungEnd.FAILED, RungEnd.OVERTAKEN), (RungEnd.REFUSED, RungEnd.SUPERSEDED)])
def test_somebody_else_who_was_there_is_named(looking, how, ended):
    assert looking.explain(ELSEWHERE, how=how) == (False, stopped(timedelta(0), ended, "it stands at rev-c"))


def test_another_writer_who_is_putting_it_there_has_superseded_what_was_refused(looking):
    reason = "another writer puts rev-a there: 1 of 3 ready"
    assert looking.explain(UNDERWAY, how=RungEnd.REFUSED) == (False, stopped(timedelta(0), RungEnd.SUPERSEDED, reason))
    assert looking.store.quarantined() == frozenset()


def test_a_part_of_the_end_state_by_another_writer_leaves_a_refusal_as_it_is(looking):
    half = replace(UNDERWAY, revision="rev-c")
    assert looking.explain(half, how=RungEnd.REFUSED) == (False, stopped(timedelta(0), RungEnd.REFUSED, "no answer", "look at it"))


@pytest.mark.parametrize("sight", [UNDERWAY, THERE, BROKEN])
def test_the_same_end_without_our_mark_is_another_writers_after_a_refusal(looking, sight):
    reason = f"another writer has put rev-a there: {sight.reason}"
    assert looking.explain(replace(sight, ours=False), how=RungEnd.REFUSED) == (False, stopped(timedelta(0), RungEnd.SUPERSEDED, reason))
    assert looking.store.quarantined() == frozenset()


@pytest.mark.parametrize(
    ("sight", "how"),
    [
        pytest.param(replace(UNDERWAY, ours=True), RungEnd.REFUSED, id="our-mark"),
        pytest.param(UNDERWAY, RungEnd.FAILED, id="an-answer-that-was-lost"),
        pytest.param(replace(THERE, ours=False), RungEnd.FAILED, id="a-mark-that-was-lost-with-it"),
    ],
)
def test_what_may_be_our_own_write_is_waited_for(looking, sight, how):
    assert looking.explain(sight, how=how) == (True, [Applied("inc-1", T0, 0, CHECKOUT, f"no answer; found carrying it: {sight.reason}")])


def test_what_a_former_claimant_may_have_sent_is_waited_for(looking):
    looking.journal.move(30 * SECOND)
    with looking.store.transaction() as tx:
        assert tx.take_over("inc-1", 0, CHECKOUT, "two")
    assert looking.explain(UNDERWAY, how=RungEnd.REFUSED)[0]


def test_what_cannot_be_read_is_left_to_the_next_claimant(looking):
    assert looking.explain(LOST) == (False, [])


# --- a write that was accepted ------------------------------------------------------------------------------------------------------


def test_its_revision_is_quarantined_unless_it_may_come_back(looking):
    looking.outcomes.applied(replace(WRITE, reverts=False), "accepted")
    assert looking.store.quarantined() == frozenset()
    looking.outcomes.applied(WRITE, "accepted")
    assert (CHECKOUT, "rev-b") in looking.store.quarantined()


def test_evidence_begins_once_it_has_settled(looking):
    write = replace(WRITE, settle_seconds=30.0)
    assert looking.complete(BEFORE, UNDERWAY, THERE, write=write, policy=SLOWLY) == [
        Settled("inc-1", T0 + 2 * SECOND, 0, CHECKOUT, T0 + 92 * SECOND, "3 of 3 ready")
    ]


def test_a_clock_that_was_set_back_makes_no_evidence_of_before_the_write_count(looking):
    looking.clock.move(-MINUTE)
    (settled,) = looking.complete(THERE)
    assert settled.evidence_from == T0 + POLICY.timing.settle


@pytest.mark.parametrize(
    ("sights", "after", "how", "reason"),
    [
        pytest.param([UNDERWAY], 300, RungEnd.FAILED, "not complete by 03:05:00: 1 of 3 ready", id="never-complete"),
        pytest.param([LOST], 300, RungEnd.FAILED, "not complete by 03:05:00: it could not be read", id="never-read"),
        pytest.param([UNDERWAY, BROKEN], 1, RungEnd.FAILED, "the image cannot be pulled", id="cannot-complete"),
        pytest.param([UNDERWAY, ELSEWHERE], 1, RungEnd.OVERTAKEN, "it stands at rev-c", id="another-writer"),
        pytest.param([BEFORE], 30, RungEnd.OVERTAKEN, "still at rev-b", id="taken-back"),
    ],
)
def test_every_other_end_says_why(looking, sights, after, how, reason):
    assert looking.complete(*sights) == stopped(after * SECOND, how, reason)


def test_without_a_time_to_complete_by_the_claim_s_end_counts(looking):
    (ended,) = looking.complete(UNDERWAY, write=replace(WRITE, complete_by=None))
    assert ended.at == INTENDED.deadline


@pytest.mark.parametrize("jump", [-MINUTE, MINUTE])
@pytest.mark.parametrize(("sight", "seconds"), [(UNDERWAY, 300), (BEFORE, 30)])
def test_a_hand_on_the_clock_makes_no_wait_shorter_or_longer(looking, sight, seconds, jump):
    began = T0 - MINUTE  # that clock counts from a moment of its own
    steady, target = Clock(began), Standings(sight)
    outcomes = Outcomes(looking.store, looking.clock, Jolt(jump, looking.clock, steady), SECOND, lambda: steady().timestamp())
    outcomes.complete(target, WRITE, POLICY)
    assert (steady() - began, target.looks) == (seconds * SECOND, seconds + 1)


@pytest.mark.parametrize(("jump", "later"), [pytest.param(-HOUR, 3 * SECOND, id="back"), pytest.param(HOUR, HOUR + 3 * SECOND, id="ahead")])
def test_a_hand_on_the_clock_while_it_completes_makes_no_evidence_of_before_its_end_count(looking, jump, later):
    steady, target = Clock(T0 - MINUTE), Standings(UNDERWAY, UNDERWAY, UNDERWAY, THERE)
    outcomes = Outcomes(looking.store, looking.clock, Jolt(jump, looking.clock, steady), SECOND, lambda: steady().timestamp())
    outcomes.complete(target, WRITE, POLICY)
    (settled,) = looking.recorded()
    assert settled.evidence_from == T0 + later + POLICY.timing.settle


def test_where_it_is_interrupted_nothing_is_on_record(looking):
    looking.stop.set()
    assert looking.complete(UNDERWAY) == []
    assert looking.complete(THERE) == []
    assert looking.explain(THERE) == (False, [])
    assert looking.target.looks == 1


def test_no_failure_is_recorded_after_another_replica_saw_it_complete(looking):
    looking.complete(THERE)
    assert [type(event) for event in looking.complete(ELSEWHERE)] == [Settled]


def test_a_claim_that_is_gone_from_the_journal_ends_the_step_and_says_where_to_look(looking):
    assert not looking.outcomes.unclaimed(WRITE)
    (ended,) = looking.recorded()
    assert (ended.how, "rollbackd audit verify" in ended.reason) == (RungEnd.OVERTAKEN, True)


def test_the_write_is_looked_for_as_the_journal_has_it(looking):
    looking.complete(THERE)
    assert looking.target.looked_for == Intent(CHECKOUT, "inc-1", "rev-b", "rev-a", {"image": "a:1"})
