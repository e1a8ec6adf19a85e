"""How long the API server is asked again: what changes nothing after any trouble that may pass, a write only after a definite no."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.kubernetes.failures import NotDone

LONGEST = timedelta(seconds=10)
"""The longest single pause, whatever the server wishes."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """``again``: after which failures it is asked again. ``pauses``: seconds before each further try, longer where the server wishes so.

    ``budget``: no try begins later than this after the start.
    """

    again: type[Transient]
    pauses: tuple[float, ...]
    budget: timedelta


READING = Patience(Transient, (0.5, 1.0, 2.0, 4.0), timedelta(seconds=8))
"""As with AWS."""
WRITING = Patience(NotDone, (1.0, 3.0), timedelta(seconds=8))
"""A write begins within 10 s of a claim of 30 s, and takes up to 12 s: none is under way once another may hold the claim."""


def asked(ask: Callable[[], _T], patience: Patience, sleep: Callable[[float], None]) -> _T:
    """The answer to ``ask``. Raises what it raised last, with the number of tries."""
    ends, tries = time.monotonic() + patience.budget.total_seconds(), 0
    while True:
        try:
            return ask()
        except patience.again as fault:
            tries += 1
            wait = _pause(patience, tries, fault)
            if wait is None or time.monotonic() + wait > ends:
                raise (type(fault)(f"{fault} Asked {tries} times.", retry_after=fault.retry_after) if tries > 1 else fault) from fault.__cause__
            sleep(wait)
            if time.monotonic() > ends:  # stood still meanwhile: whoever holds the claim by now goes on
                raise


def _pause(patience: Patience, tries: int, fault: Transient) -> float | None:
    """Seconds to wait after so many tries; None if it was tried often enough."""
    if tries > len(patience.pauses):
        return None
    return min(max(patience.pauses[tries - 1], fault.retry_after or 0), LONGEST.total_seconds())
