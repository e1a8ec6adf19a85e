"""What a bounded condition can find: which share of bad events is proven within how long, and how surely. Pure.

The test's own e-value is asked how many bad events would be proof at each of some looks, and the chance of having seen so many by then is summed
exactly, of events that are independent of one another and come evenly. Later starts of the test are left out and it is asked more seldom than it
really is, so that a real breach is found at least so soon. That its heaviest block is but a part of a proof is left out too: by counts that came as
chance has it, that costs up to three points of the probability.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from rollbackd.policies.judge.evalue import log_evalue, mixed
from rollbackd.policies.judge.tally import begin, come
from rollbackd.policies.model.policy import Bound, Condition, For, Policy
from rollbackd.policies.watching.since import watch_of

SURE = 0.95
"""In so many of all cases it has to be found to be called found."""
LOOKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 180, 240, 360, 540, 720, 1080, 1440)
"""Minutes after the change at which proof is looked for."""
MULTIPLES = (1.2, 2.0, 4.0, 10.0)
"""The shares that are tried, as multiples of the limit; and all events bad."""
_TINY = 1e-12
_SOME_DAY = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Power:
    """A ``share`` of bad events is proven ``within`` this time with this ``probability``; ``within`` None: not surely in the whole watch."""

    share: float
    within: timedelta | None
    probability: float


@dataclass(frozen=True, slots=True)
class _Mass:
    """The probabilities of having seen ``first``, ``first`` + 1, … bad events, none of them proof so far."""

    first: int
    parts: Sequence[float]


def shares(limit: float) -> tuple[float, ...]:
    """The shares that tell most about a limit, smallest first; the last is 1."""
    return (*(limit * multiple for multiple in MULTIPLES if limit * multiple < 1), 1.0)


def preview(policy: Policy, condition: Condition, limit: float, bound: Bound, per_minute: float, spread: float | None) -> tuple[Power, ...]:
    """What the condition finds at this traffic from its change on, warm-up and confirmation included, not rollout and the source's answers.

    ``spread``: how bursty bad events are, None where that is not known.
    """
    watch = watch_of(policy, condition)
    # No run begins before the warm-up ends, but it may before the proof; looks are counted only from the proof on.
    warmup, held = policy.timing.warmup, _held(condition, policy.every)
    soonest, more = (warmup + held, timedelta(0)) if isinstance(condition.confirm, For) else (warmup, held)
    return tuple(_after(power(share, limit, bound, per_minute, watch, soonest, spread), more, watch) for share in shares(limit))


def _held(condition: Condition, every: timedelta) -> timedelta:
    """How long at least from the first breach to the slot that confirms it."""
    if isinstance(condition.confirm, For):
        return -(-condition.confirm.duration // every) * every
    return (condition.confirm.at_least - 1) * every


def _after(proof: Power, more: timedelta, watch: timedelta) -> Power:
    """Found so much later than it is proven."""
    within = proof.within + more if proof.within is not None else None
    return replace(proof, within=within if within is not None and within <= watch else None)


def power(share: float, limit: float, bound: Bound, per_minute: float, watch: timedelta, soonest: timedelta, spread: float | None) -> Power:
    """How soon this share is proven, not before ``soonest``. ``limit`` is above 0 and below 1."""
    scale, looks = spread or 1.0, [timedelta(minutes=minutes) for minutes in LOOKS if timedelta(minutes=minutes) <= watch]
    mass, seen, found = _Mass(0, (1.0,)), 0, 0.0
    for look in looks:
        total = per_minute * look / timedelta(minutes=1)
        events = int(total / scale)
        mass, seen = _later(mass, events - seen, share), events
        if total >= bound.least:
            proof = _proof(events, limit, bound, watch, look)
            found += math.fsum(mass.parts[max(0, proof - mass.first) :])
            mass = _Mass(mass.first, mass.parts[: max(0, proof - mass.first)])
        if found >= SURE:
            return Power(share, max(look, soonest), found) if max(look, soonest) <= watch else Power(share, None, found)
    return Power(share, None, found)


def _proof(events: int, limit: float, bound: Bound, watch: timedelta, look: timedelta) -> int:
    """The fewest bad ones among so many events that are proof; one more than there are where none would be."""
    tally = begin(_SOME_DAY, watch, None)
    begun = come(tally, look)
    needed = math.log(1 / bound.alpha)

    def is_proof(bad: int) -> bool:
        return mixed([log_evalue(bad, events, limit), *[-math.inf] * begun], tally.starts) >= needed

    least = math.floor(events * limit) + 1
    return least + bisect_left(range(least, events + 1), True, key=is_proof)


def _later(mass: _Mass, events: int, share: float) -> _Mass:
    """After so many more events, each bad with probability ``share``."""
    if not events or not mass.parts:
        return mass
    fresh = _binomial(events, share)
    parts = [0.0] * (len(mass.parts) + len(fresh.parts) - 1)
    for at, before in enumerate(mass.parts):
        if before > _TINY:
            for more, chance in enumerate(fresh.parts, at):
                parts[more] += before * chance
    return _Mass(mass.first + fresh.first, parts)


def _binomial(events: int, share: float) -> _Mass:
    """How many of so many are bad, without what happens in less than about one of 10^9 cases."""
    if share >= 1:
        return _Mass(events, (1.0,))
    around, reach = events * share, 6 * math.sqrt(events * share * (1 - share)) + 12
    first, last = max(0, math.floor(around - reach)), min(events, math.ceil(around + reach))
    return _Mass(first, tuple(map(partial(_chance, events, share), range(first, last + 1))))


def _chance(events: int, share: float, bad: int) -> float:
    ways = math.lgamma(events + 1) - math.lgamma(bad + 1) - math.lgamma(events - bad + 1)
    return math.exp(ways + bad * math.log(share) + (events - bad) * math.log1p(-share))
