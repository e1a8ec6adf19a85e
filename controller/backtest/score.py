"""How often the verdicts were right, where people said what each change was. Pure.

Small numbers: each share comes with the interval that it may truly lie in (Wilson 1927, 95 %).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from rollbackd.controller.backtest.cases import GivenChange, Judged, Truth

Z95 = 1.959964
"""Two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` of ``of``, and the interval of the share behind it; None where there is nothing to count."""

    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """From and to, as fractions."""
        if not self.of:
            return None
        share, square = self.count / self.of, Z95 * Z95
        centre = share + square / (2 * self.of)
        spread = Z95 * math.sqrt(share * (1 - share) / self.of + square / (4 * self.of * self.of))
        scale = 1 + square / self.of
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Score:
    """Of changes, each once however many policies judge it: what one of them would have rolled back would have been.

    ``found``: bad changes that would have been rolled back, of those of which that can be said; ``false``: good ones that would have been.

    ``censored``: people were first, so it counts as neither; ``undecided``: nothing was proven; ``held``: a guard would have held it.
    ``to_proof``: from the change to the confirmation of what was found, the median.
    """

    found: Rate
    false: Rate
    censored: int
    undecided: int
    held: int
    unlabelled: int
    to_proof: timedelta | None


def score(judged: Sequence[Judged]) -> Score:
    """The score of these verdicts."""
    changes = _by_change(judged)
    told = [one for one in changes if one.change.outcome is not None]
    known = [one for one in told if one.word in ("rollback", "ok", "held")]
    found = [one for one in known if one.change.outcome == "bad" and one.word == "rollback"]
    times = [(one.found.at - one.change.at).total_seconds() for one in found if one.found is not None]
    return Score(
        found=_rate(known, "bad"),
        false=_rate(known, "good"),
        censored=sum(one.is_censored for one in told),
        undecided=sum(one.word == "inconclusive" and not one.is_censored for one in told),
        held=sum(one.word == "held" for one in told),
        unlabelled=len(changes) - len(told),
        to_proof=timedelta(seconds=median(times)) if times else None,
    )


def _by_change(judged: Sequence[Judged]) -> Sequence[Judged]:
    """Of each change the verdict that counts for it: the first rollback, else what leaves open whether another policy would have found it."""
    found: dict[GivenChange, Judged] = {}
    for one in judged:
        found[one.change] = min(found.get(one.change, one), one, key=_order)
    return list(found.values())


def _order(one: Judged) -> tuple[int, datetime]:
    words = ("rollback", "inconclusive", "held", "ok")
    return 2 * words.index(one.word) + (not one.is_censored), one.ended if one.found is None else one.found.at


def _rate(known: Iterable[Judged], truth: Truth) -> Rate:
    words = [one.word for one in known if one.change.outcome == truth]
    return Rate(words.count("rollback"), len(words))
