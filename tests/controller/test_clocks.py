"""Our clock beside the sources': one page where they part, and nothing proven by what cannot be dated."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.clocks import Clocks
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Counts, Lack, Reading, Unknown
from rollbackd.policies.model.signals import Probe
from tests.controller.world import World
from tests.policies.literals import ERRORS, MINUTE, POLICY, SECOND, T0

READ = Counts(T0 - MINUTE, T0, 3.0, 3.0, 60.0, T0)


class Clock:
    """A source's clock, which tests set."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.is_reached = True

    def clock_skew(self, now: datetime) -> timedelta:
        if not self.is_reached:
            raise Transient("prometheus: gone")
        return self.ahead


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, replace(POLICY, notify=("oncall",)), patience=0.2 * SECOND)
    yield world
    world.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def clocks(world, clock):
    return made(world, clock)


def made(world: World, clock: Clock) -> Clocks:
    """As a start makes them."""
    return Clocks({"prometheus": clock}, world.store, lambda: world.at, lambda: tuple(world.engine.policies.values()))


@pytest.mark.parametrize("seconds", [31, -31])
def test_clocks_more_than_30_seconds_apart_are_paged_once(world, clock, clocks, seconds):
    clock.ahead = timedelta(seconds=seconds)
    clocks.check()
    clocks.check()
    apart = "31 s ahead of" if seconds > 0 else "31 s behind"
    assert world.titles() == [f"the clock of source prometheus is {apart} that of test-0"]


def test_30_seconds_are_no_finding(world, clock, clocks):
    clock.ahead = 30 * SECOND
    clocks.check()
    assert (world.titles(), clocks.skews()) == ([], {"prometheus": 30 * SECOND})


def test_it_is_over_once_the_clocks_are_near_and_not_at_the_limit_itself(world, clock, clocks):
    for ahead in (40, 20, 40, 10):
        clock.ahead = ahead * SECOND
        clocks.check()
    assert world.titles()[1:] == ["the clock of source prometheus agrees again"]


def test_a_restart_in_between_is_no_second_page_and_the_first_one_ends(world, clock, clocks):
    clock.ahead = 40 * SECOND
    clocks.check()
    world.at += MINUTE
    restarted = made(world, clock)
    restarted.check()
    assert len(world.titles()) == 1
    clock.ahead = timedelta(0)
    restarted.check()
    assert world.titles()[1:] == ["the clock of source prometheus agrees again"]
    assert len({notice.key for notice in world.notices()}) == 1


def test_clocks_that_agree_right_after_the_restart_are_off_the_pager_before_any_policy_is_known(world, clock, clocks):
    clock.ahead = 40 * SECOND
    clocks.check()
    clock.ahead = timedelta(0)
    world.engine.adopt(())
    made(world, clock).check()
    made(world, clock).check()
    assert world.told() == [("oncall", "clock"), ("oncall", "clock-again")]


def test_the_clock_of_a_source_that_is_configured_no_more_is_off_the_pager(world, clock, clocks):
    clock.ahead = 40 * SECOND
    clocks.check()
    for _ in range(2):
        Clocks({}, world.store, lambda: world.at, tuple).check()
    assert world.titles()[1:] == ["the clock of source prometheus is watched no more"]


def test_the_clocks_of_another_replica_are_its_own(world, clock, clocks):
    clock.ahead = 40 * SECOND
    clocks.check()
    clock.ahead = timedelta(0)
    other = Store.open(world.store.database.url.render_as_string(), "test-0:2", lambda: world.at)
    Clocks({"prometheus": clock}, other, lambda: world.at, tuple).check()
    other.close()
    assert len(world.titles()) == 1


def test_every_clock_is_read_though_the_store_takes_nothing(world):
    apart, near = Clock(), Clock()
    apart.ahead, near.ahead = 40 * SECOND, 3 * SECOND
    clocks = Clocks({"apart": apart, "near": near}, world.store, lambda: world.at, tuple)
    with world.locked(), pytest.raises(StoreError):
        clocks.check()
    assert clocks.skews() == {"apart": 40 * SECOND, "near": 3 * SECOND}


def test_a_source_that_does_not_answer_keeps_what_it_said_last(clock, clocks):
    clock.ahead = 3 * MINUTE
    clocks.check()
    clock.is_reached = False
    clocks.check()
    assert clocks.skews() == {"prometheus": 3 * MINUTE}


def doubted(clocks: Clocks, policy: Policy, reading: Reading = READ) -> Reading:
    clocks.check()
    return clocks.doubted([policy], {policy.name: (reading,)})[policy.name][0]


@pytest.mark.parametrize(("ahead", "is_known"), [(150, True), (151, False), (-151, False), (0, True)])
def test_more_than_half_a_window_apart_proves_nothing(clock, clocks, ahead, is_known):
    clock.ahead = ahead * SECOND
    found = doubted(clocks, replace(POLICY, conditions=(replace(ERRORS, window=5 * MINUTE),)))
    if is_known:
        assert found == READ
    else:
        assert isinstance(found, Unknown)
        assert found.lack is Lack.ERROR


def test_what_the_endpoints_say_now_needs_no_clock(clock, clocks):
    clock.ahead = 10 * MINUTE
    assert doubted(clocks, replace(POLICY, conditions=(replace(ERRORS, signal=Probe(port=80, path="/")),))) == READ
