"""Threads that wait for work."""

import threading
from concurrent.futures import ThreadPoolExecutor


def begun(workers: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads all run already.

    By itself a pool begins one more whenever more comes together than ever before, on some bad day. So the daemon has its size from the start.
    """
    pool, all_run = ThreadPoolExecutor(workers, thread_name_prefix=name), threading.Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(all_run.wait)
    all_run.wait()
    return pool
