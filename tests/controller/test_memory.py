"""What the daemon does so that its memory stays level."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from rollbackd.controller import memory


class Knot:
    """Keeps itself alive, as an error does whose traceback holds the frame that holds the error."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def seldom() -> Iterator[None]:
    """Collections are as rare as in the daemon."""
    before = gc.get_threshold()
    memory.collect_seldom()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("seldom")
def test_what_a_fault_left_in_a_cycle_is_freed_though_collections_are_rare() -> None:
    left = weakref.ref(Knot())
    assert left() is not None
    memory.tidy()
    assert left() is None


@pytest.mark.usefixtures("seldom")
def test_what_was_in_use_while_memory_was_tidied_and_is_garbage_since_is_freed_by_the_sweep() -> None:
    used = Knot()
    left = weakref.ref(used)
    for _ in range(3):
        memory.tidy()
    del used
    memory.tidy()
    assert left() is not None, "old by now: tidying does not look at it"
    memory.sweep()
    assert left() is None
