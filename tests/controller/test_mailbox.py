"""What reaches the engine is worked through in order, and no fault in it ends the thread."""

from datetime import UTC, datetime, timedelta

from rollbackd.controller.engine.mailbox import Mailbox
from rollbackd.controller.engine.slots import Batch, PolicySet
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.schedule import Grid

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
GRID = Grid("prometheus", timedelta(seconds=30))


def batch(slots: int, grid: Grid | None = GRID) -> Batch:
    return Batch(AT + slots * timedelta(seconds=30), {}, {}, grid=grid)


def worked(*items, work=None):
    done, faults = [], []

    def keep(item):
        if work is not None:
            work(item)
        done.append(item)

    box = Mailbox(keep, faults.append)
    for item in items:
        box.put(item)
    box.start()
    box.stop()
    return done, faults, box.overtaken


def test_what_comes_is_worked_through_in_order():
    items = batch(0, None), "command:shop", PolicySet(())
    assert worked(*items) == (list(items), [], 0)


def test_a_slot_that_a_newer_one_of_its_grid_overtook_is_dropped_and_counted():
    other = batch(0, Grid("pages", timedelta(seconds=30)))
    done, _, overtaken = worked(batch(0), other, batch(1))
    assert ([item.at for item in done], overtaken) == ([other.at, batch(1).at], 1)


def test_neither_a_failing_store_nor_a_fault_of_ours_ends_the_thread():
    def work(item):
        match item:
            case "store":
                raise StoreError("the disk is full")
            case "fault":
                raise KeyError("a bug")

    done, faults, _ = worked("store", "fault", "command:shop", work=work)
    assert (done, faults) == (["command:shop"], ["the disk is full"])
