"""Pools that have their size from the start."""

import threading

from rollbackd.controller.pools import begun


def test_all_threads_run_before_there_is_work_and_no_work_begins_another() -> None:
    before = threading.active_count()
    with begun(3, "some") as pool:
        assert threading.active_count() == before + 3
        assert sorted(pool.map(lambda number: number * 2, range(20))) == [number * 2 for number in range(20)]
        assert {thread.name for thread in threading.enumerate() if thread.name.startswith("some")} == {"some_0", "some_1", "some_2"}
        assert threading.active_count() == before + 3
