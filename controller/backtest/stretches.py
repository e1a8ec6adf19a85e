"""The limits that a change was judged by, as long as each held: what was before it, or old pods, may have raised them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from rollbackd.controller.backtest.cases import Judged
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.model.policy import Condition


@dataclass(frozen=True, slots=True)
class Stretch:
    """One side of a limit, from one look that was judged by it to the first that was not. ``is_last``: no other follows on its side."""

    since: datetime
    until: datetime
    value: float
    is_last: bool


def stretches(one: Judged, index: int, until: datetime) -> Iterator[Stretch]:
    """The limits of the condition at ``index``, from the change to ``until``; as they are written where there was no look."""
    looks = [(look.at, look.conditions[index]) for look in one.looks] or [(one.change.at, one.policy.conditions[index])]
    for is_above in (True, False):
        found = [(at, _side(condition, is_above=is_above)) for at, condition in looks]
        runs = [(value, next(each)[0]) for value, each in groupby(found, key=lambda pair: pair[1])]
        yield from _drawn(runs, one.change.at, until)


def _drawn(runs: Sequence[tuple[float | None, datetime]], since: datetime, until: datetime) -> Iterator[Stretch]:
    told = [value is not None for value, _ in runs]
    for place, (value, at) in enumerate(runs):
        if value is not None:
            ends = runs[place + 1][1] if place + 1 < len(runs) else until
            yield Stretch(at if place else since, ends, value, is_last=not any(told[place + 1 :]))


def _side(condition: Condition, *, is_above: bool) -> float | None:
    """None where there is no such side, or where none could be reckoned."""
    limit = share_limit(condition)
    return None if condition.limit.lack else limit.high if is_above else limit.low
