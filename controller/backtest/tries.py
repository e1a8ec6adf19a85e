"""How often a run asks what was before a change."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from rollbackd.controller.observe.baselines import Compared

TRIES = 3
"""For each policy and change: the past does not change, and what was refused so often stays unread."""


class Tries:
    """Counts them. What is told is asked for no more, so these are refusals."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, datetime]] = Counter()

    def left(self, compared: Iterable[Compared]) -> list[Compared]:
        """Those that are to be asked for once more, which counts."""
        found = [one for one in compared if self._asked[one.policy.name, one.anchor] < TRIES]
        self._asked.update((one.policy.name, one.anchor) for one in found)
        return found
