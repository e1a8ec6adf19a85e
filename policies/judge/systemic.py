"""How many targets turn to breach without a change by chance alone, and from how many on a common cause is likelier."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

RECENT = timedelta(minutes=10)
"""Breaches that began within so long of one another may have a common cause."""
FEWEST = 2
"""Fewer other targets are never a common cause; so many are one, as long as nothing is known of what is usual."""
SHARE, FEWEST_OF_SHARE = 0.3, 3
"""Such a share of all other targets is a common cause, however many are usual."""
CHANCE = 0.01
"""As many as come in so few of all such times by chance are no chance."""
MEMORY = timedelta(days=7)
"""A breach counts e times less after so long."""
KNOWN_AFTER = timedelta(days=1)
Z = 1.645
"""The usual is taken at its one-sided lower 95 % bound: what is not known makes the hold come sooner."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Breaches without a change from ``since`` to ``at`` (None: nothing is known), by target and their ``total``.

    A breach weighs e times more for each MEMORY that it came after ``since``, so that time alone changes no weight. ``recent``: those of the last
    ten minutes that were counted. Once as many were as hold an action, no more of the same ten minutes count: an outage must not make the next
    one look usual.
    """

    since: datetime | None = None
    at: datetime | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    total: float = 0.0
    recent: Mapping[str, datetime] = field(default_factory=dict)


NOTHING_KNOWN = Usual()


@dataclass(frozen=True, slots=True)
class Chance:
    """What comes by itself ``within`` so long: ``expected`` targets at least, from ``counted`` breaches in ``observed``. ``needed`` are no chance.

    ``expected`` None: not watched for long enough to tell.
    """

    expected: float | None
    counted: float
    observed: timedelta
    needed: int
    within: timedelta = RECENT


def begun(since: datetime) -> Usual:
    """Nothing has turned to breach since ``since``."""
    return Usual(since, since)


def turned_all(usual: Usual, onsets: Iterable[tuple[datetime, str]]) -> Usual:
    """What is usual after these breaches without a change, which come in the order of their onsets; a second one within ten minutes is the same."""
    counts, recent, total = dict(usual.counts), dict(usual.recent), usual.total
    since = at = None
    for onset, target in onsets:
        since, at = since or usual.since or onset, max(onset, at or usual.at or onset)
        recent = {name: moment for name, moment in recent.items() if at - moment <= RECENT}
        if target in recent or len(recent) >= _chance(total, since, at).needed:
            continue
        weight = math.exp((at - since) / MEMORY)
        counts[target], total, recent[target] = counts.get(target, 0.0) + weight, total + weight, onset
    return usual if at is None else Usual(since, at, counts, total, recent)


def watched_until(usual: Usual, at: datetime) -> Usual:
    """The same after a time in which nothing turned to breach; time does not run backwards."""
    return replace(usual, since=usual.since or at, at=max(at, usual.at or at))


def chance(usual: Usual, but: str | None = None, fewest: int = FEWEST, within: timedelta = RECENT) -> Chance:
    """What chance brings among all targets but this one; fewer than ``fewest`` are never no chance."""
    if usual.since is None or usual.at is None:
        return Chance(None, 0.0, timedelta(0), fewest, within)
    return _chance(max(0.0, usual.total - usual.counts.get(but or "", 0.0)), usual.since, usual.at, fewest, within)


def _chance(weight: float, since: datetime, at: datetime, fewest: int = FEWEST, within: timedelta = RECENT) -> Chance:
    observed = at - since
    fade = math.exp(-(observed / MEMORY))
    counted = weight * fade
    if observed < KNOWN_AFTER:
        return Chance(None, counted, observed, fewest, within)
    expected = _lower_bound(counted) * (within / (MEMORY * (1 - fade)))
    return Chance(expected, counted, observed, max(fewest, unlikely(expected)), within)


def unlikely(expected: float) -> int:
    """The smallest number that a Poisson count with this mean reaches in at most 1 % of all cases."""
    below = 0.0
    for number in count():
        if 1.0 - below <= CHANCE:
            return number
        below += _probability(number, expected)
    raise AssertionError("count() does not end")


def tail(number: int, expected: float) -> float:
    """How often a Poisson count with this mean is at least ``number``."""
    return max(0.0, 1.0 - math.fsum(_probability(i, expected) for i in range(number)))


def share_needed(others: int) -> int:
    """So many of the other targets are a common cause, however many are usual."""
    return max(FEWEST_OF_SHARE, math.ceil(SHARE * others))


def _probability(number: int, expected: float) -> float:
    if expected <= 0:
        return 1.0 if number == 0 else 0.0
    return math.exp(number * math.log(expected) - expected - math.lgamma(number + 1))


def _lower_bound(counted: float) -> float:
    """Score bound on the mean of a Poisson count."""
    return max(0.0, counted + Z * Z / 2 - Z * math.sqrt(counted + Z * Z / 4))
