"""What targets say of their own rollouts: read out of the survey, and judged as what it is, a fact."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.target import Interval, Progress, TargetState
from rollbackd.controller.observe.facts import rollout, told
from rollbackd.controller.observe.readings import Observer
from rollbackd.policies.model.policy import For, Leaf, Limit, Policy
from rollbackd.policies.model.readings import Lack, Level, Told, Unknown
from rollbackd.policies.model.signals import Identity, OfTarget
from tests.policies.literals import ERRORS, MINUTE, POLICY, RELEASE, T0, TARGET, kinds, run, slots

STUCK = replace(ERRORS, name="stuck-rollout", signal=OfTarget("rollout"), limit=Limit(), identity=Identity((), ()), confirm=For(MINUTE), min_volume=0)
SAYS = 'ReplicaSet "checkout-7" has timed out progressing.'
WAITING = "1 of 3 updated, 3 ready, 3 old left"


def state(progress: Progress | None, age: timedelta = 5 * MINUTE) -> TargetState:
    return TargetState(TARGET, "bad7", "uid:7", Interval(T0 - age, T0 - age), progress=progress)


@pytest.mark.parametrize(
    ("seen", "reading"),
    [
        pytest.param(state(Progress(3, 3)), Told(T0, is_bad=False, said="complete, 3 of 3 ready"), id="complete"),
        pytest.param(state(Progress(3, 3, WAITING)), Told(T0, is_bad=None, said=f"under way: {WAITING}"), id="under-way-proves-nothing"),
        pytest.param(state(Progress(3, 0, WAITING, SAYS)), Told(T0, is_bad=True, said=SAYS), id="past-its-own-deadline"),
        pytest.param(state(Progress(0, 0)), Told(T0, is_bad=False, said="complete, 0 of 0 ready"), id="scaled-to-zero-is-no-breach"),
        pytest.param(
            state(Progress(3, 3, WAITING, allowed=12 * MINUTE), 11 * MINUTE),
            Told(T0, is_bad=None, said=f"under way: {WAITING}"),
            id="within-what-it-may-take",
        ),
        pytest.param(
            state(Progress(3, 3, WAITING, allowed=12 * MINUTE), 12 * MINUTE),
            Told(T0, is_bad=True, said=f"{WAITING} 12m0s after it began > 12m0s that it may take to come so far"),
            id="past-what-it-may-take",
        ),
        pytest.param(
            state(Progress(3, 2, allowed=12 * MINUTE), 40 * MINUTE), Told(T0, is_bad=False, said="complete, 2 of 3 ready"), id="complete-long-ago"
        ),
        pytest.param(
            state(Progress(3, 3, WAITING), 40 * MINUTE),
            Told(T0, is_bad=None, said=f"under way: {WAITING}"),
            id="somebody-else-keeps-its-deadline",
        ),
        pytest.param(
            replace(state(Progress(3, 3, WAITING, allowed=12 * MINUTE)), started=None),
            Told(T0, is_bad=None, said=f"under way: {WAITING}"),
            id="nobody-knows-since-when",
        ),
        pytest.param(state(None), Unknown(T0, Lack.NODATA, "a target of this kind says nothing of rollouts"), id="no-rollouts"),
        pytest.param(None, Unknown(T0, Lack.NODATA, "a target of this kind says nothing of rollouts"), id="not-surveyed"),
        pytest.param(Transient("no answer"), Unknown(T0, Lack.ERROR, "no answer"), id="not-read"),
    ],
)
def test_a_survey_becomes_a_reading(seen: TargetState | AdapterError | None, reading: object) -> None:
    assert rollout(seen, T0) == reading


def policy() -> Policy:
    return replace(POLICY, conditions=(ERRORS, STUCK))


def test_only_what_the_target_is_asked_for_is_replaced() -> None:
    level, unread = Level(T0, 1.0, T0), Unknown(T0, Lack.NODATA, "")
    assert told(policy(), (level, unread), state(Progress(3, 3)), T0) == (level, Told(T0, is_bad=False, said="complete, 3 of 3 ready"))


def test_no_source_is_asked_for_it() -> None:
    class Silent:
        name, delay, freshness = "prometheus", timedelta(0), MINUTE

        def block(self, every: timedelta) -> timedelta:
            return MINUTE

    only = replace(POLICY, conditions=(STUCK,))
    observer = Observer({"prometheus": Silent()}, lambda _: None)  # type: ignore[dict-item]  # a source that fails where it is asked
    (reading,) = observer.read([only], T0)["checkout"]
    assert isinstance(reading, Unknown)
    assert observer.health["prometheus"].fault is None
    assert observer.read_history([only], [T0 - MINUTE, T0]) is not None
    observer.close()


ALONE = replace(POLICY, conditions=(STUCK,), trigger=Leaf(0))
DEADLINE = T0 + 10 * MINUTE


def test_a_release_whose_pods_never_became_ready_is_put_back_at_its_deadline() -> None:
    release = (replace(RELEASE, ready=None),)
    under_way = {at: Told(at, None, "under way") for at in slots(T0, DEADLINE - 15 * timedelta(seconds=1))}
    past = {at: Told(at, True, SAYS) for at in slots(DEADLINE, DEADLINE + MINUTE)}
    result = run(ALONE, under_way | past, changes=release)
    assert kinds(result.decisions) == ["Opened", "Stopped", "Act"]
    assert result.decisions[0].reason == (  # type: ignore[union-attr]  # as its kind says
        f"stuck-rollout breach: {SAYS} since 14:10:00, breached 1m0s of 1m0s; {TARGET} revision bad7 changed by 14:00:00"
    )


def test_a_rollout_under_way_is_neither_proven_well_nor_bad() -> None:
    result = run(ALONE, {at: Told(at, None, "under way") for at in slots(T0, T0 + 5 * MINUTE)})
    assert (result.verdicts[0].state.value, result.decisions) == ("unproven", ())


def test_what_the_target_said_before_the_change_is_no_evidence_of_it() -> None:
    result = run(ALONE, {T0 + 5 * MINUTE: Told(T0 - MINUTE, True, SAYS)})
    assert result.verdicts[0].state.value == "unproven"


def test_a_rollout_that_went_well_makes_no_known_good_by_itself() -> None:
    result = run(ALONE, {at: Told(at, False, "complete") for at in slots(T0, T0 + 40 * MINUTE)})
    assert (result.verdicts[0].state.value, kinds(result.decisions)) == ("ok", [])
