"""How the process keeps its memory small: when garbage is looked for, and what goes back to the system."""

import ctypes
import gc
from functools import cache

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
"""From malloc.h, where they are the same on every machine."""


def collect_seldom() -> None:
    """Cycles of garbage are looked for after 50,000 new objects instead of 700, and among old objects a hundred times less often.

    Nearly everything here is freed by its reference count. At 10,000 policies the interpreter's defaults spend half of each slot looking for nothing.
    """
    gc.set_threshold(50_000, 10, 100)


def share_one_heap() -> None:
    """All threads take memory from one heap, and blocks of 128 KiB or more go back to the system when they are freed.

    glibc gives each thread a heap of its own and keeps in it what a large answer leaves: tens of MiB at 10,000 policies. What it keeps by the thread
    beside that, only the environment can switch off (GLIBC_TUNABLES in the Dockerfile). Other C libraries are left alone.
    """
    mallopt = getattr(_c_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, 128 << 10)


def tidy() -> None:
    """No garbage is left among what was made since the last time, and free pages of the heap are the system's again.

    What is older is not looked at: at 10,000 policies that would hold up a slot. Without the rest every moment in which much comes together, as when
    a fault ends, would leave the heap as large as it was then.
    """
    gc.collect(1)
    malloc_trim = getattr(_c_library(), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def sweep() -> None:
    """No garbage is left at all, of whatever age.

    What was in use at one ``tidy`` and in a circle by the next is old, and the interpreter itself would look for it only after as many new objects as
    never come together between two of them.
    """
    gc.collect()


@cache
def _c_library() -> ctypes.CDLL:
    """Opened once: each time it is, classes are made for it, which are garbage in circles."""
    return ctypes.CDLL(None)
