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


def test_more_threads_begin_where_more_is_to_be_done_at_once_and_no_more_than_may() -> None:
    before, free = threading.active_count(), threading.Event()
    with begun(2, "some", most=4) as pool:
        assert threading.active_count() == before + 2
        at_work = threading.Semaphore(0)

        def work() -> None:
            at_work.release()
            free.wait()

        for _ in range(6):
            pool.submit(work)
        assert [at_work.acquire(timeout=10) for _ in range(4)] == [True] * 4
        assert (at_work.acquire(blocking=False), threading.active_count()) == (False, before + 4)
        free.set()


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
