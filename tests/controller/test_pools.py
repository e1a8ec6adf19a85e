"""Pools that have their size from the start."""

import threading

import pytest

from rollbackd.controller.pools import begun
from tests.servers import poll


def test_all_threads_run_before_there_is_work_and_no_work_begins_another() -> None:
    before = threading.active_count()
    with begun(3, "some") as pool:
        assert threading.active_count() == before + 3
        assert sorted(pool.map(lambda number: number * 2, range(20))) == [number * 2 for number in range(20)]
        assert {thread.name for thread in threading.enumerate() if thread.name.startswith("some")} == {"some_0", "some_1", "some_2"}
        assert threading.active_count() == before + 3


def test_where_the_system_grants_no_more_threads_none_is_left_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    before, start = threading.active_count(), threading.Thread.start

    def only_two(thread: threading.Thread) -> None:
        if threading.active_count() >= before + 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_two)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        begun(3, "some")
    poll(lambda: threading.active_count() == before)
