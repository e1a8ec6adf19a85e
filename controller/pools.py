"""Threads that wait for work."""

import threading
from concurrent.futures import ThreadPoolExecutor


def begun(workers: int, name: str, most: int | None = None) -> ThreadPoolExecutor:
    """A pool of which ``workers`` threads run already; up to ``most`` in all begin later, while those are at work.

    By itself a pool begins one more whenever more comes together than ever before, on some bad day. So the daemon has its size from the start.
    Raises RuntimeError where the system grants no more threads.
    """
    pool, all_run = ThreadPoolExecutor(most or workers, thread_name_prefix=name), threading.Barrier(workers + 1)
    try:
        for _ in range(workers):
            pool.submit(all_run.wait)
    except RuntimeError:
        all_run.abort()  # those that run would wait for the others for ever
        raise
    all_run.wait()
    return pool
