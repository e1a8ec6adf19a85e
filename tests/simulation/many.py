"""Stories on all cores, taken in the order of their seeds: how many processes tell them changes nothing but the time."""

import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count
from pathlib import Path

from tests.simulation.story import story
from tests.simulation.telling import Teller, Told, room
from tests.simulation.world import silence

CORES = os.cpu_count() or 1
AHEAD = 2
"""So many stories wait for each process."""


def many(first: int, wanted: int, processes: int = CORES) -> Iterator[tuple[int, Told]]:
    """The stories from the seed ``first`` on, until they had so many incidents."""
    incidents, seeds = 0, count(first)
    # Each process begins anew: what threads the caller has is none of theirs.
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=room()) as folder, ProcessPoolExecutor(processes, fresh, _begin, (folder,)) as pool:
        waiting: deque[tuple[int, Future[Told]]] = deque()
        while incidents < wanted:
            while len(waiting) < processes * AHEAD:
                seed = next(seeds)
                waiting.append((seed, pool.submit(_tell, seed)))
            seed, told = waiting[0][0], waiting.popleft()[1].result()
            incidents += told.incidents
            yield seed, told
        pool.shutdown(cancel_futures=True)


class _Mine:
    """This process's teller."""

    at: Teller


def _begin(folder: str) -> None:
    silence()
    mine = Path(folder, str(os.getpid()))
    mine.mkdir()
    _Mine.at = Teller(mine)


def _tell(seed: int) -> Told:
    return _Mine.at.tell(story(seed))
