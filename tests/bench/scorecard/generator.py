"""Services with a truth: what a source would have counted of them, scrape by scrape, around one change.

It knows what a service is promised to keep (at most 5 % errors, at most 5 % of requests slower than 2 s) and nothing of who judges it: it imports
nothing of rollbackd. Times are seconds since the start of the history.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import NormalDist

from tests.bench.scorecard.gauges import gauge
from tests.bench.scorecard.memory import Memory, fill, leak
from tests.bench.scorecard.randomness import between, clumped, poisson

ERRORS_PROMISED = 0.05
SLOW_PROMISED = 0.05
SLOW_SECONDS = 2.0
SCRAPE = 15.0
HISTORY = 3600.0
DAY, WEEK = 86_400.0, 604_800.0
LEVELS = (2, 4, 20, 100, 500, 2000)
"""Requests a minute."""

# Healthy changes, nothing else happens.
PLAIN, AT_LIMIT, BURSTY, CLUMPED, BLIP, GAPS, RESTARTS = (
    "plain",
    "at-limit",
    "bursty-errors",
    "bursty-arrivals",
    "deploy-blip",
    "scrape-gaps",
    "restarts",
)
QUIET = (PLAIN, AT_LIMIT, BURSTY, CLUMPED, BLIP, GAPS, RESTARTS)
# Healthy changes, and something that is not theirs happens in their watch.
DEPENDENCY, NODE, TRAFFIC, UPSTREAM = "dependency", "node", "traffic", "upstream"
COINCIDENT = (DEPENDENCY, NODE, TRAFFIC, UPSTREAM)
# Bad changes.
ERRORS_10, ERRORS_20, ERRORS_ALL, LATE, PARTIAL, SLOW = "errors-10%", "errors-20%", "errors-100%", "late-onset", "partial-outage", "slow"
LEAK, SILENT, SILENT_UNREADY = "memory-leak", "traffic-to-zero", "traffic-to-zero-unready"
# A healthy change of a service that uses nearly all of its memory at the peak of its day.
FULL = "memory-nearly-full"
# Seasonal gauges: the change shifts the level, or does nothing.
SHIFTED, STEADY = "gauge-shifted", "gauge-steady"
BAD = (ERRORS_10, ERRORS_20, ERRORS_ALL, LATE, PARTIAL, SLOW, LEAK, SILENT, SILENT_UNREADY)


@dataclass(frozen=True, slots=True)
class Asked:
    """What to make: one change of one service. ``among``: with services around it to which nothing happens. ``history``: seconds before it."""

    kind: str
    per_minute: float
    watch: float
    among: bool = False
    history: float = HISTORY


@dataclass(frozen=True, slots=True)
class Scrape:
    """The counters as one scrape found them: they only grow, but for a restart, which begins them again at 0."""

    at: float
    total: int
    bad: int
    slow: int
    memory: float
    """The largest use of memory among the pods, as a share of their limit."""
    ready: int


@dataclass(frozen=True, slots=True)
class Service:
    """One service's scrapes, and the truth: ``to_blame`` if its change did it, and since when (``onset``, None: nothing happened)."""

    scrapes: tuple[Scrape, ...]
    changed_at: float | None
    ready_at: float | None
    to_blame: bool
    onset: float | None
    replicas: int
    peers: tuple["Service", ...] = ()
    gauge: tuple[float, ...] = ()
    """A gauge, one value a minute from 0 on; such a service has no scrapes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is different from ``start`` to ``end``: shares of all requests, and a factor on their number."""

    start: float
    end: float
    errors: float = 0.0
    slow: float = 0.0
    traffic: float = 1.0
    unready: int = 0


@dataclass(frozen=True, slots=True)
class Nature:
    """How a service is when nothing happens to it."""

    per_minute: float
    errors: float
    slow: float
    error_clump: float
    arrival_clump: float
    daily: float
    weekly: float
    phase: float
    replicas: int
    memory: float

    def traffic(self, at: float) -> float:
        """Requests a second: a day's and a week's season on the level; their mean is the level."""
        day = 1 + self.daily * math.sin(2 * math.pi * (at / DAY + self.phase))
        week = 1 + self.weekly * math.sin(2 * math.pi * (at / WEEK + self.phase))
        return self.per_minute / 60 * day * week


def service(asked: Asked, random: Random) -> Service:
    """One service that changes after its history (a gauge: ``asked.watch`` before its end), watched for ``asked.watch`` after it is ready."""
    if asked.kind in (SHIFTED, STEADY):
        return _of_gauge(asked, random)
    nature = _nature(asked, random)
    ready = asked.history + random.uniform(20, 90)
    fault = _fault(asked, nature, ready, random)
    end = ready + asked.watch
    made = replace(_run(nature, [fault] if fault else [], asked.kind, ready, end, random), changed_at=asked.history, ready_at=ready)
    if asked.kind in COINCIDENT and fault:
        return replace(made, onset=fault.start, peers=_peers(random.uniform(*REACH[asked.kind]), fault, end, random))
    peers = _peers(0.0, None, end, random) if asked.among else ()
    return replace(made, to_blame=asked.kind in BAD, onset=fault.start if fault and asked.kind in BAD else None, peers=peers)


def _of_gauge(asked: Asked, random: Random) -> Service:
    one = gauge(asked.kind == SHIFTED, asked.watch, random)
    onset = one.changed_at if one.shifted else None
    return Service((), one.changed_at, one.changed_at, to_blame=one.shifted, onset=onset, replicas=1, gauge=one.samples)


def _nature(asked: Asked, random: Random) -> Nature:
    usual = 0.01 if asked.kind == LATE else between(random, 0.001, 0.04)
    return Nature(
        per_minute=asked.per_minute,
        errors=ERRORS_PROMISED if asked.kind == AT_LIMIT else between(random, 0.001, 0.02) if asked.kind in BAD and asked.kind != LATE else usual,
        slow=between(random, 0.0005, 0.01),
        error_clump=random.uniform(2, 8) if asked.kind == BURSTY else 1,
        arrival_clump=random.uniform(2, 8) if asked.kind == CLUMPED else 1,
        daily=random.uniform(0.1, 0.6),
        weekly=random.uniform(0, 0.3),
        phase=random.random(),
        replicas=random.choice((2, 3, 3, 4, 6, 10)),
        memory=random.uniform(0.3, 0.7),
    )


def _fault(asked: Asked, nature: Nature, ready: float, random: Random) -> Fault | None:
    """What happens in the watch: the change's own fault from the moment it serves or soon after, somebody else's at any time."""
    end = ready + asked.watch + 1
    if asked.kind in COINCIDENT:
        start = ready + random.uniform(0.05, 0.75) * asked.watch
        return _others(asked.kind, nature, Fault(start, start + random.uniform(300, 2400)), random)
    if asked.kind == BLIP:
        return Fault(asked.history + random.uniform(0, 20), ready + random.uniform(0, 15), errors=random.uniform(0.1, 0.4))
    if asked.kind == LATE:
        return Fault(ready + asked.watch * random.uniform(2 / 3, 5 / 6), end, errors=0.20)
    if asked.kind in BAD:
        return _own(asked.kind, nature, Fault(ready + random.uniform(0, 60), end), random)
    return None


def _own(kind: str, nature: Nature, fault: Fault, random: Random) -> Fault:
    """What a bad change does to its own service."""
    match kind:
        case "partial-outage":
            return replace(fault, errors=max(1 / nature.replicas, 0.1))
        case "slow":
            return replace(fault, slow=slow_share(p95=3.0, spread=random.uniform(0.5, 1.0)))
        case "traffic-to-zero":
            return replace(fault, traffic=0)
        case "traffic-to-zero-unready":
            return replace(fault, traffic=0, unready=nature.replicas)
    return replace(fault, errors={ERRORS_10: 0.10, ERRORS_20: 0.20, ERRORS_ALL: 1.0}.get(kind, 0.0))


def _others(kind: str, nature: Nature, fault: Fault, random: Random) -> Fault:
    """What somebody else's fault does to the service that has just changed."""
    match kind:
        case "dependency":
            return replace(fault, errors=between(random, 0.08, 1.0))
        case "node":
            return replace(fault, errors=min(1.0, random.choice((1, 1, 2)) / nature.replicas), unready=1)
        case "traffic":
            return replace(fault, errors=between(random, 0.06, 0.4), traffic=random.uniform(2, 6), slow=random.uniform(0.05, 0.3))
    return replace(fault, errors=between(random, 0.08, 0.8), traffic=random.uniform(0.4, 1.2))


def slow_share(p95: float, spread: float) -> float:
    """The share of requests above the promised time, of a lognormal response time with this 95th percentile (seconds)."""
    normal = NormalDist()
    return 1 - normal.cdf(normal.inv_cdf(0.95) + math.log(SLOW_SECONDS / p95) / spread)


REACH = {DEPENDENCY: (0.4, 1.0), NODE: (0.2, 0.6), TRAFFIC: (0.3, 1.0), UPSTREAM: (0.1, 0.5)}
"""Which share of its neighbours such a fault reaches."""


def _peers(reached: float, fault: Fault | None, end: float, random: Random) -> tuple[Service, ...]:
    """The services around it: none of them changed, and a fault reaches such a share within two minutes, each in its own strength."""
    peers = []
    for _ in range(random.randint(4, 12)):
        nature = _nature(Asked(PLAIN, between(random, 4, 1000), 0), random)
        its = _reaching(fault, reached, random) if fault else None
        made = _run(nature, [its] if its else [], PLAIN, None, end, random)
        peers.append(replace(made, onset=its.start if its else None))
    return tuple(peers)


def _reaching(fault: Fault, reached: float, random: Random) -> Fault | None:
    late = random.uniform(0, 120)
    its = replace(fault, start=fault.start + late, errors=min(1.0, fault.errors * random.uniform(0.6, 1.4)), slow=fault.slow)
    return its if random.random() < reached else None


def _run(nature: Nature, faults: Sequence[Fault], kind: str, ready: float | None, end: float, random: Random) -> Service:
    """The scrapes from the start of the history to ``end``."""
    missed = _missed(kind, end, random)
    restarts = sorted(random.uniform(0, end) for _ in range(random.randint(1, 4))) if kind == RESTARTS else []
    leaks = leak(ready, random) if kind == LEAK and ready else None
    memory = Memory(nature.memory, leaks, fill(ready, end, random) if kind == FULL and ready else None)
    total = bad = slow = 0
    scrapes = []
    at = random.uniform(0, SCRAPE)
    while at <= end:
        if ready is not None and at - SCRAPE < ready <= at:
            total = bad = slow = 0  # The new pods are new series, which begin at nothing.
        if restarts and restarts[0] <= at:
            restarts.pop(0)
            total = bad = slow = 0
        more = _counted(nature, faults, at, random)
        total, bad, slow = total + more[0], bad + more[1], slow + more[2]
        if not any(start <= at < stop for start, stop in missed):
            scrapes.append(Scrape(at, total, bad, slow, memory.used(at, random), nature.replicas - _unready(faults, at)))
        at += SCRAPE
    return Service(tuple(scrapes), None, None, to_blame=False, onset=None, replicas=nature.replicas)


def _counted(nature: Nature, faults: Sequence[Fault], at: float, random: Random) -> tuple[int, int, int]:
    """Requests, errors and slow requests of the scrape interval that ends at ``at``."""
    parts = [(_overlap(fault, at), fault) for fault in faults]
    calm = SCRAPE - sum(seconds for seconds, _ in parts)
    total = bad = slow = 0
    for seconds, fault in [(calm, Fault(0, 0)), *parts]:
        mean = nature.traffic(at) * fault.traffic * seconds
        share = min(1.0, nature.errors + fault.errors)
        failed = clumped(random, mean * share, nature.error_clump) if nature.error_clump > 1 else poisson(random, mean * share)
        well = clumped(random, mean * (1 - share), nature.arrival_clump) if nature.arrival_clump > 1 else poisson(random, mean * (1 - share))
        late = min(1.0, nature.slow + fault.slow)
        bad, total = bad + failed, total + failed + well
        slow += sum(random.random() < late for _ in range(failed + well)) if failed + well < 50 else _binomial(random, failed + well, late)
    return total, bad, slow


def _binomial(random: Random, n: int, p: float) -> int:
    """A binomial draw by the gaps between successes; ``p`` at most a half is the fast way round."""
    if p > 0.5:
        return n - _binomial(random, n, 1 - p)
    log, count, at = math.log(1 - p), 0, 0
    while True:
        at += math.floor(math.log(1 - random.random()) / log) + 1
        if at > n:
            return count
        count += 1


def _overlap(fault: Fault, at: float) -> float:
    return max(0.0, min(at, fault.end) - max(at - SCRAPE, fault.start))


def _unready(faults: Sequence[Fault], at: float) -> int:
    return max((fault.unready for fault in faults if fault.start <= at < fault.end), default=0)


def _missed(kind: str, end: float, random: Random) -> list[tuple[float, float]]:
    """When nobody scraped: a few minutes, a few times, before the change or after it."""
    if kind != GAPS:
        return []
    starts = [random.uniform(0, end) for _ in range(random.randint(1, 5))]
    return [(start, start + between(random, 30, 900)) for start in starts]
