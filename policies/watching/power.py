"""What a bounded condition can find: which share of bad events is proven and confirmed within how long, and how surely. Pure.

Watches after a change are played with dice that are handed in, of events that are bad independently of one another and come evenly. At each look of
a play the test's own e-value says whether the counts are proof, and the newest window has to be out of the limit for as long as the confirmation
wants. Later starts of the test are left out, it is asked once a minute at most, and no window widens, so that a real breach is found about so soon
at least. That its heaviest block is but a part of a proof is left out too: by counts that came as chance has it, that costs up to three points of the
probability.
"""

import math
from bisect import bisect, bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import NamedTuple

from rollbackd.policies.judge.evalue import log_evalue, mixed
from rollbackd.policies.judge.tally import begin, come
from rollbackd.policies.model.policy import Bound, Condition, For, Policy
from rollbackd.policies.watching.since import watch_of

SURE = 0.95
"""In so many of all cases it has to be found to be called found."""
PLAYS = 1000
MOST_LOOKS = 1440
"""A watch of more than a day is looked at more rarely: a play takes time for each look."""
MULTIPLES = (1.2, 2.0, 4.0, 10.0)
"""The shares that are tried, as multiples of the limit; and all events bad."""
# Two standard deviations more than SURE, which chance may have added.
_ENOUGH = math.ceil(PLAYS * SURE + 2 * math.sqrt(PLAYS * SURE * (1 - SURE)))
_LEAST_STEP = timedelta(minutes=1)
_SCARCE = 2.5
"""Traffic that comes by chance has brought its mean less so many standard deviations in 99 of 100 cases."""
_SOME_DAY = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Power:
    """A ``share`` of bad events is found ``within`` this time with this ``probability``; ``within`` None: not surely in the whole watch."""

    share: float
    within: timedelta | None
    probability: float


class Look(NamedTuple):
    """What is asked at one look: by then ``events`` came, of which ``proof`` bad ones are proof.

    Those since the look number ``oldest`` are out of the limit where more than ``allowed`` are bad.
    """

    events: int
    proof: int
    oldest: int
    allowed: float


@dataclass(frozen=True, slots=True)
class Asked:
    """All ``looks`` of a watch, one each ``step``, the first as it begins. What is out from look ``warm`` on, for ``held`` looks, is found.

    ``is_run``: the time counts from the first look that is out, and not only from the first that is proof.
    """

    looks: Sequence[Look]
    step: timedelta
    warm: int
    held: float
    is_run: bool


def shares(limit: float) -> tuple[float, ...]:
    """The shares that tell most about a limit, smallest first; the last is 1."""
    return (*(limit * multiple for multiple in MULTIPLES if limit * multiple < 1), 1.0)


def preview(
    policy: Policy, condition: Condition, limit: float, bound: Bound, per_minute: float, spread: float | None, dice: Callable[[], float]
) -> tuple[Power, ...]:
    """What the condition finds at this traffic from its change on, warm-up and confirmation included, not rollout and the source's answers.

    ``limit`` is above 0 and below 1. ``spread``: how bursty bad events are, None where that is not known. ``dice``: evenly from 0 to 1.
    """
    asked = asked_of(policy, condition, limit, bound, per_minute, spread)
    return tuple(power(share, asked, dice) for share in shares(limit))


def asked_of(policy: Policy, condition: Condition, limit: float, bound: Bound, per_minute: float, spread: float | None) -> Asked:
    """What is asked in the watch of the condition."""
    watch = watch_of(policy, condition)
    step = max(_LEAST_STEP, policy.every, watch / MOST_LOOKS)
    totals = [per_minute * (step * look / timedelta(minutes=1)) for look in range(watch // step + 1)]
    events = [int(total / (spread or 1.0)) for total in totals]
    window, looks = max(1, condition.window // step), []
    for look, total in enumerate(totals):
        is_enough = max(0.0, total - _SCARCE * math.sqrt(total)) >= bound.least
        proof = _proof(events[look], limit, bound, watch, step * look) if is_enough else events[look] + 1
        oldest = max(0, look - window)
        looks.append(Look(events[look], proof, oldest, limit * (events[look] - events[oldest])))
    return Asked(looks, step, -(-policy.timing.warmup // step), _held(condition, policy.every) / step, isinstance(condition.confirm, For))


def _held(condition: Condition, every: timedelta) -> timedelta:
    """How long at least from the first breach to the slot that confirms it."""
    if isinstance(condition.confirm, For):
        return -(-condition.confirm.duration // every) * every
    return (condition.confirm.at_least - 1) * every


def power(share: float, asked: Asked, dice: Callable[[], float]) -> Power:
    """How soon this share is found."""
    chances = _chances(share, asked.looks)
    played = (_found(chances, asked, dice) for _ in range(PLAYS))
    found = sorted(look for look in played if look is not None)
    if len(found) < _ENOUGH:
        return Power(share, None, len(found) / PLAYS)
    within = found[_ENOUGH - 1]
    return Power(share, within * asked.step, bisect(found, within) / PLAYS)


def _found(chances: Sequence[tuple[int, Sequence[float]]], asked: Asked, dice: Callable[[], float]) -> float | None:
    """At which look one play finds its breach, as a fraction where the confirmation ends between two."""
    bad, out_since, proven_since = [0], None, None
    for at, (first, summed) in enumerate(chances, 1):
        bad.append(bad[-1] + first + bisect(summed, dice()))
        look = asked.looks[at]
        if at < asked.warm or bad[at] - bad[look.oldest] <= look.allowed:
            out_since = proven_since = None
            continue
        out_since = at if out_since is None else out_since
        if bad[at] < look.proof:
            proven_since = None
            continue
        proven_since = at if proven_since is None else proven_since
        begun = out_since if asked.is_run else proven_since
        if at - begun >= asked.held:
            return max(proven_since, begun + asked.held)
    return None


def _proof(events: int, limit: float, bound: Bound, watch: timedelta, look: timedelta) -> int:
    """The fewest bad ones among so many events that are proof; one more than there are where none would be."""
    tally = begin(_SOME_DAY, watch, None)
    begun = come(tally, look)
    needed = math.log(1 / bound.alpha)

    def is_proof(bad: int) -> bool:
        return mixed([log_evalue(bad, events, limit), *[-math.inf] * begun], tally.starts) >= needed

    least = math.floor(events * limit) + 1
    return least + bisect_left(range(least, events + 1), True, key=is_proof)


def _chances(share: float, looks: Sequence[Look]) -> list[tuple[int, Sequence[float]]]:
    """From each look to the next: the fewest that may be bad, and the chances that at most so many are, that many and upwards."""
    fresh = [later.events - earlier.events for earlier, later in pairwise(looks)]
    known = {events: _binomial(events, share) for events in set(fresh)}
    return [known[events] for events in fresh]


def _binomial(events: int, share: float) -> tuple[int, Sequence[float]]:
    """How many of so many are bad, without what happens in less than about one of 10^9 cases."""
    if share >= 1 or not events:
        return events, (1.0,)
    around, reach = events * share, 6 * math.sqrt(events * share * (1 - share)) + 12
    first, last = max(0, math.floor(around - reach)), min(events, math.ceil(around + reach))
    return first, tuple(accumulate(_chance(events, share, bad) for bad in range(first, last + 1)))


def _chance(events: int, share: float, bad: int) -> float:
    ways = math.lgamma(events + 1) - math.lgamma(bad + 1) - math.lgamma(events - bad + 1)
    return math.exp(ways + bad * math.log(share) + (events - bad) * math.log1p(-share))
