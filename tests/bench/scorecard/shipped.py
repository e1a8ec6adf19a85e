"""rollbackd as a judge: real policies from YAML, its own replay, and readings as its source over exactly these scrapes would give them."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rollbackd.adapters.base.target import Progress, TargetState
from rollbackd.adapters.prometheus.source import SCRAPES_PER_BLOCK
from rollbackd.adapters.scrape import Given, Shown
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.history import History, slots_between
from rollbackd.controller.backtest.replay import Replay
from rollbackd.controller.backtest.spans import windows_of
from rollbackd.controller.observe.aging import aged
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.traffic import Traffics
from rollbackd.controller.schedule import Grid
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from tests.bench.scorecard.gauges import DAY, MINUTE, WEEK
from tests.bench.scorecard.generator import SCRAPE, Scrape, Service
from tests.bench.scorecard.judges import GAUGES, MEMORY, PROMISES, SILENCE, Case, Finding

START = datetime(2001, 1, 1, tzinfo=UTC)
LATE = timedelta(seconds=5)
"""So long after a scrape its samples are asked for: the default of the Prometheus source."""
HOURS_BEFORE, HOURS_AFTER = 2 * 3600.0, 3 * 3600.0
"""So much before a change, and of the days before so much beyond its watch, a gauge is kept: more than is asked for."""
SHORTLY = timedelta(minutes=10)
"""So long before the change the daemon begins to look, where it is given what was before."""
WAIT = 45.0
"""What the library asks of shares, where a look comes so often."""
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: {name}}}
spec:
  mode: auto
  target: {{kubernetes: {{namespace: shop, deployment: {name}}}}}
  every: {every:g}s
  watch: {watch:g}m
  metrics: custom
  match: {{app: {name}}}
  rollback_when:
{conditions}
  remedy:
    - revert: {{to: known-good}}
  notify: [oncall]
"""
CONDITIONS: Mapping[str, str] = {
    PROMISES: """\
    - name: errors
      ratio: {bad: 'requests_total{code="500"}', total: requests_total}
      above: 5%
      for: {wait}
    - name: slow
      latency: {histogram: request_seconds}
      quantile: 0.95
      above: 2000ms
      for: {wait}""",
    SILENCE: "    - use: traffic-drop",
    MEMORY: "    - use: memory",
    GAUGES: """\
    - name: level
      gauge: level
      above: {of_before: 120%}
      unbounded: accepted""",
}
"""What each of our policies asks for. The 120 % are a rule of the literature for gauges, a fifth beyond what was to be expected."""


def policy(name: str, every: float, watch: float, judged_by: str = PROMISES) -> Policy:
    """The policy of a service: what everybody is promised, and otherwise what the language has as its defaults."""
    conditions = CONDITIONS[judged_by].replace("{wait}", f"{max(WAIT, every):g}s")
    loaded = load_policies({f"{name}.yaml": POLICY.format(name=name, every=every, watch=watch / 60, conditions=conditions)})
    assert not loaded.faults, loaded.faults
    return loaded.policies[0]


class Stored(Given):
    """The samples as a Prometheus that scrapes each ``interval`` seconds keeps them: late by its delay, counted over whole blocks."""

    def __init__(self, pages: Sequence[Sequence[Shown]], interval: float) -> None:
        length = timedelta(seconds=interval)
        super().__init__("stored", pages, interval=length)
        self.delay = length + LATE
        self.block = lambda every: every * max(1, math.ceil(SCRAPES_PER_BLOCK * length / every))
        self.asked = 0
        self.waited = timedelta(0)

    def clock_skew(self, now: datetime) -> timedelta:
        """None: it is given."""
        return timedelta(0)


def rollbackd(case: Case) -> Finding | None:
    """What the daemon would have done about the change, with the services around it under policies of their own."""
    named = [("shop", case.service), *((f"peer{number}", peer) for number, peer in enumerate(case.service.peers))]
    policies = [policy(name, case.every, case.watch, case.judged_by) for name, _ in named]
    own, is_gauge = policies[0], case.judged_by == GAUGES
    source = Stored([_gauge_page(case)], MINUTE) if is_gauge else Stored([_page(name, one, case.judged_by) for name, one in named], SCRAPE)
    given, history = list(_changes(case, own)), History(source, policies)
    windows = {one.name: windows_of(one, given) for one in policies}
    replay = Replay(policies, given, windows, history.look_back) if is_gauge else Replay(policies, given, windows)
    beside = _Beside(case, own, replay, source)
    since = START + timedelta(minutes=2) if case.judged_by == PROMISES else given[-1].at - SHORTLY
    slots = slots_between(Grid(own.source, own.every), since, _moment(case.end) + source.delay)
    for at, readings in history.read(slots):
        replay.slot(at, readings if case.judged_by == PROMISES else {own.name: beside.read(readings[own.name], at)})
        found = replay.ways[0].found
        if found:
            (one,) = found.values()
            return Finding((one.at - START).total_seconds(), held=one.word == "held", suggested=one.blocked_by == "mode")
    return None


def _changes(case: Case, own: Policy) -> Iterator[GivenChange]:
    """The change; where memory is judged, also the one before it: at equal age is compared with what that one brought."""
    if case.judged_by == MEMORY:
        yield GivenChange(1, own.target, START, START, "v1")
    yield GivenChange(2, own.target, _moment(case.service.changed_at or 0.0), _moment(case.ready), "v2")


class _Beside:
    """Readings beside what they were before the change and what the target says of its pods, as the daemon reads them."""

    def __init__(self, case: Case, own: Policy, replay: Replay, source: Stored) -> None:
        self._case, self._own, self._replay, self._source = case, own, replay, source
        self._traffics = Traffics()
        self._times = [scrape.at for scrape in case.service.scrapes]

    def read(self, readings: tuple[Reading, ...], at: datetime) -> tuple[Reading, ...]:
        """These readings, of the slot ``at``, and what else is known of it."""
        own, changes = self._own, self._replay.of(self._own.targets)
        known = answered(aged(own, readings, changes, self._source, at), self._source)
        return answered(self._traffics.beside(own, known, changes, self._source, self._state(at), at), self._source)

    def _state(self, at: datetime) -> TargetState | None:
        place = bisect_right(self._times, (at - START).total_seconds()) - 1
        if place < 0:
            return None
        service = self._case.service
        return TargetState(self._own.target, "v2", progress=Progress(service.replicas, service.scrapes[place].ready))


def _gauge_page(case: Case) -> list[Shown]:
    """The samples around the change, a day and a week ago: what lies between is never asked for."""
    changed, end = case.service.changed_at or 0.0, case.end
    stretches = [(changed - lag - HOURS_BEFORE, end - lag + (HOURS_AFTER if lag else 0.0)) for lag in (WEEK, DAY, 0.0)]
    minutes = {n for first, last in stretches for n in range(max(0, int(first / MINUTE)), int(last / MINUTE) + 1)}
    samples = case.service.gauge
    return [Shown(_moment(n * MINUTE), {'level{app="shop"}': samples[n]}) for n in sorted(minutes) if n < len(samples)]


def _page(name: str, service: Service, judged_by: str) -> list[Shown]:
    return [Shown(_moment(scrape.at), _values(name, service, scrape, judged_by)) for scrape in service.scrapes]


def _values(name: str, service: Service, scrape: Scrape, judged_by: str) -> dict[str, float]:
    # The new pods' series are other series than those of the old ones.
    is_new = service.ready_at is not None and scrape.at >= service.ready_at
    pod = "new" if is_new else "old"
    labels = f'app="{name}",pod="{pod}"'
    if judged_by == SILENCE:
        return {f"http_requests_total{{{labels}}}": scrape.total}
    if judged_by == MEMORY:
        return dict(_memory(name, pod, service.replicas, scrape.memory))
    return {
        f'requests_total{{{labels},code="200"}}': scrape.total - scrape.bad,
        f'requests_total{{{labels},code="500"}}': scrape.bad,
        f'request_seconds_bucket{{{labels},le="2"}}': scrape.total - scrape.slow,
        f'request_seconds_bucket{{{labels},le="+Inf"}}': scrape.total,
    }


def _memory(name: str, pod: str, replicas: int, share: float) -> Iterator[tuple[str, float]]:
    """All pods use the same: a leak is in each of them."""
    for number in range(replicas):
        labels = f'app="{name}",pod="{pod}{number}",container="main"'
        yield f"container_memory_working_set_bytes{{{labels}}}", share * 2**30
        yield f"container_spec_memory_limit_bytes{{{labels}}}", 2.0**30


def _moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
