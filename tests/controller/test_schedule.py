"""When slots are: a fixed grid, spread by a hash; what was missed is counted and never replayed."""

import queue
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rollbackd.controller.clock import now
from rollbackd.controller.schedule import Grid, Schedule
from tests.policies.literals import SECOND, T0
from tests.servers import poll

EVERY = timedelta(seconds=15)


@given(st.floats(0, 1e7))
def test_a_slot_is_the_newest_grid_point_not_after_now(seconds):
    grid, at = Grid("prometheus", EVERY), T0 + timedelta(seconds=seconds)
    slot = grid.slot(at)
    assert timedelta(0) <= at - slot < EVERY
    assert grid.slot(slot) == slot


def test_the_same_grid_has_the_same_slots_on_every_replica_and_others_stand_apart():
    assert Grid("prometheus", EVERY).slot(T0) == Grid("prometheus", EVERY).slot(T0)
    offsets = {Grid(f"source-{i}", EVERY).offset for i in range(50)}
    assert len(offsets) == 50


def test_slots_follow_one_another_and_a_removed_grid_has_no_more():
    seen = queue.SimpleQueue()
    schedule = Schedule(lambda grid, at: seen.put((grid.source, at)), now)
    schedule.keep({Grid("a", SECOND), Grid("b", SECOND)})
    schedule.start()
    first = [seen.get(timeout=20) for _ in range(6)]
    schedule.keep({Grid("a", SECOND)})
    rest = [seen.get(timeout=20) for _ in range(4)]
    schedule.stop()
    assert {source for source, _ in first} == {"a", "b"}
    assert [source for source, _ in rest].count("b") <= 1
    slots = [at for source, at in (*first, *rest) if source == "a"]
    assert slots == sorted(set(slots))


def test_a_pass_that_takes_too_long_costs_slots_that_are_counted_and_never_replayed():
    seen, hold = queue.SimpleQueue(), queue.SimpleQueue()

    def work(grid, at):
        seen.put(at)
        hold.get(timeout=20)

    schedule = Schedule(work, now)
    schedule.keep({Grid("slow", SECOND)})
    schedule.start()
    first = seen.get(timeout=20)
    poll(lambda: now() >= first + 4 * SECOND, within=20)
    hold.put(None)
    second = seen.get(timeout=20)
    hold.put(None)
    for _ in range(3):
        hold.put(None)
    schedule.stop()
    assert second - first >= 3 * SECOND
    assert schedule.missed >= 2


def test_that_a_slot_is_missed_is_logged_without_a_count_that_is_not_known_yet():
    seen, hold = queue.SimpleQueue(), queue.SimpleQueue()

    def work(grid, at):
        seen.put(at)
        hold.get(timeout=20)

    with capture_logs() as lines:
        schedule = Schedule(work, now)
        schedule.keep({Grid("slow", SECOND)})
        schedule.start()
        seen.get(timeout=20)
        poll(lambda: any(line["event"] == "slot.missed" for line in lines), within=20)
        for _ in range(5):
            hold.put(None)
        schedule.stop()
    missed = next(line for line in lines if line["event"] == "slot.missed")
    assert missed == {"event": "slot.missed", "log_level": "warning", "job": "slot:slow/1"}


def test_slots_go_on_where_the_clock_was_set_back_an_hour():
    seen, back = queue.SimpleQueue(), [timedelta(0)]
    schedule = Schedule(lambda grid, at: seen.put(at), lambda: now() - back[0])
    schedule.keep({Grid("a", SECOND)})
    schedule.start()
    before = seen.get(timeout=20)
    back[0] = timedelta(hours=1)
    poll(lambda: seen.get(timeout=20) < before, within=20)
    schedule.stop()


@pytest.fixture
def wall(monkeypatch):
    """The wall clock as the scheduler's library sees it, too; ``wall.back`` sets it back."""

    class Wall(datetime):
        back = timedelta(0)

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - cls.back

    for module in ("schedulers.base", "triggers.interval", "triggers.date"):
        monkeypatch.setattr(f"apscheduler.{module}.datetime", Wall)
    return Wall


def test_slots_chores_and_starts_go_on_where_the_machines_clock_was_set_back_an_hour(wall):
    seen, chores, starts = queue.SimpleQueue(), queue.SimpleQueue(), queue.SimpleQueue()
    grid = Grid("a", SECOND)
    schedule = Schedule(lambda grid, at: seen.put(at), lambda: now() - wall.back)
    schedule.keep({grid})
    schedule.every(SECOND, "journal", lambda: chores.put(now() - wall.back))
    schedule.start()
    before = max(seen.get(timeout=20), chores.get(timeout=20))
    wall.back = timedelta(hours=1)
    poll(lambda: seen.get(timeout=20) < before, within=20)
    poll(lambda: chores.get(timeout=20) < before, within=20)
    assert grid.slot(at := seen.get(timeout=20)) == at
    schedule.once("reload", lambda: starts.put(True))
    assert starts.get(timeout=20)
    schedule.stop()
