"""What each bounded condition would find at the traffic that its workload really has. Asks the sources for a week; decides nothing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from statistics import median, quantiles

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Source
from rollbackd.controller.answers.explain import PowerLine, PowerRow
from rollbackd.controller.observe.questions import Ask, asks_of
from rollbackd.controller.observe.readings import past_readings
from rollbackd.policies.judge.bursts import spread
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.judge.window import WIDEST
from rollbackd.policies.known.reasons import duration_text, number_text
from rollbackd.policies.known.watch import Track
from rollbackd.policies.model.policy import Bound, Condition, Policy
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.model.signals import Probe
from rollbackd.policies.watching.power import preview
from rollbackd.policies.watching.recovery import recovers_after

WEEK, APART = timedelta(days=7), timedelta(minutes=30)
"""So far back traffic is looked at, and so often: one block each half hour."""
MINUTE = timedelta(minutes=1)
BLOCKS = timedelta(minutes=2)
"""Evidence comes in blocks, so that it begins and ends a little later than traffic does."""
_NOTHING = (
    "nothing was counted at its looks of the last 7 days, one each half hour and the newest half an hour ago: "
    "it is younger than that, had no traffic, or its source keeps no history"
)


class Preview:
    """Safe to call from several threads."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def lines(self, policy: Policy, tracks: Sequence[Track], at: datetime) -> tuple[PowerLine, ...]:
        """A line for each condition with a bound; what cannot be said has its reason. ``tracks``: what the watch holds, empty before a look."""
        source = self._sources.get(policy.source)
        return () if source is None else tuple(_lines(policy, tracks, source, at))


def _lines(policy: Policy, tracks: Sequence[Track], source: Source, at: datetime) -> Iterator[PowerLine]:
    asks = asks_of(policy, source.block(policy.every))
    for index, (condition, one) in enumerate(zip(policy.conditions, asks, strict=True)):
        limit, why = share_limit(condition).high, _unforeseen(condition)
        if condition.bound is None or isinstance(condition.signal, Probe):
            continue
        if why is not None or limit is None:
            yield PowerLine(condition.name, why=why)
        else:
            yield _line(policy, condition, condition.bound, limit, _traffic(source, one, at), _spread(tracks, index))


def _unforeseen(condition: Condition) -> str | None:
    """Why nothing can be said of it beforehand; None where it can."""
    limit = share_limit(condition).high
    if condition.limit.of_old is not None:
        return "it is compared with the old pods, while they run"
    if condition.limit.of_before is not None:
        return "its limit is reckoned from what was before each change, so it is not known beforehand"
    if limit is None:
        return "it has a limit below only, and what is foreseen is how soon a share above one is found"
    return None if 0 < limit < 1 else f"no share is foreseen beyond a limit of {number_text(limit, '%')}"


def _line(policy: Policy, condition: Condition, bound: Bound, limit: float, traffic: Sequence[float] | str, bursty: float | None) -> PowerLine:
    if isinstance(traffic, str):
        return PowerLine(condition.name, why=traffic)
    usual = median(traffic)
    dice = Random(0).random  # noqa: S311 - nothing is kept secret by it, and it has to say the same each time
    found = preview(policy, condition, limit, bound, usual, bursty, dice)
    rows = tuple(PowerRow(one.share, None if one.within is None else one.within.total_seconds(), round(one.probability, 4)) for one in found)
    quiet = quantiles(traffic, n=10)[0] if len(traffic) > 1 else usual
    return PowerLine(condition.name, usual, quiet, bursty, rows, _health(policy, condition, usual, quiet))


def _health(policy: Policy, condition: Condition, usual: float, quiet: float) -> str:
    """How long a rollback that helped takes to be proven to have helped, and what to write where that is too long."""
    took = [recovers_after(condition, per_minute) for per_minute in (usual, quiet)]
    said = [f"more than {WIDEST} windows of {duration_text(condition.window)}" if each is None else f"about {duration_text(each)}" for each in took]
    text = f"to prove recovery takes {said[0]}" + (f", in the quietest tenth {said[1]}" if said[1] != said[0] else "")
    if took[1] is None:
        return f"{text}: a rollback that helped may end held; widen 'over', or raise the limit"
    # Twice as long: as much is bad by chance that half of all rollbacks would not be known to have helped by then.
    timing, needed = policy.timing, min(2 * took[1], WIDEST * condition.window) + BLOCKS + policy.timing.recover_for
    if needed <= timing.give_up:
        return text
    short = f"with recover_for {duration_text(timing.recover_for)} give_up {duration_text(timing.give_up)} is short for that"
    return f"{text}: {short}, and a rollback that helped may end held; write give_up: {math.ceil(needed / MINUTE)}m or more"


def _traffic(source: Source, one: Ask, at: datetime) -> Sequence[float] | str:
    """Events per minute at the looks of a week that have any reading, or why nothing is known."""
    slots = [at - APART * back for back in range(WEEK // APART, 0, -1)]
    try:
        read = past_readings(source, {"": (one,)}, slots)
    except AdapterError as fault:
        return f"its traffic cannot be read: {fault}"
    found = [block for each in read.values() for block in each[""] if isinstance(block, Counts)]
    if not found:
        return _NOTHING
    return [block.total / ((block.end - block.start) / MINUTE) for block in found]


def _spread(tracks: Sequence[Track], index: int) -> float | None:
    if index >= len(tracks):
        return None
    tally, calm = tracks[index].tally, tracks[index].calm
    if tally is not None:
        return tally.spread
    return None if calm is None else spread(calm)
