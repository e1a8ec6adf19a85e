"""rollbackd as a judge: real policies from YAML, its own replay, and readings as its source over exactly these scrapes would give them."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rollbackd.adapters.prometheus.source import SCRAPES_PER_BLOCK
from rollbackd.adapters.scrape import Given, Shown
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.history import History, slots_between
from rollbackd.controller.backtest.replay import Replay
from rollbackd.controller.backtest.spans import windows_of
from rollbackd.controller.schedule import Grid
from rollbackd.policies.load import load_policies
from rollbackd.policies.model import Policy
from tests.bench.scorecard.generator import SCRAPE, Scrape, Service
from tests.bench.scorecard.judges import Case, Finding

START = datetime(2001, 1, 1, tzinfo=UTC)
DELAY = timedelta(seconds=SCRAPE + 5)
"""How long after a slot its samples are asked for: the default of the Prometheus source."""
BLOCK = timedelta(seconds=SCRAPES_PER_BLOCK * SCRAPE)
"""Over so much the Prometheus source counts at least."""
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
    - name: errors
      ratio: {{bad: 'requests_total{{code="500"}}', total: requests_total}}
      above: 5%
      for: 1m
    - name: slow
      latency: {{histogram: request_seconds}}
      quantile: 0.95
      above: 2000ms
      for: 1m
  remedy:
    - revert: {{to: known-good}}
  notify: [oncall]
"""


def policy(name: str, every: float, watch: float) -> Policy:
    """The policy of a service: what everybody is promised, and otherwise what the language has as its defaults."""
    loaded = load_policies({f"{name}.yaml": POLICY.format(name=name, every=every, watch=watch / 60)})
    assert not loaded.faults, loaded.faults
    return loaded.policies[0]


class Stored(Given):
    """The scrapes as a Prometheus keeps them: late by its delay, counted over whole blocks."""

    def __init__(self, services: Sequence[tuple[str, Service]]) -> None:
        super().__init__("stored", [_page(name, service) for name, service in services], interval=timedelta(seconds=SCRAPE))
        self.delay = DELAY
        self.block = lambda every: every * max(1, math.ceil(BLOCK / every))
        self.asked = 0

    def clock_skew(self, now: datetime) -> timedelta:
        """None: it is given."""
        return timedelta(0)


def rollbackd(case: Case) -> Finding | None:
    """What the daemon would have done about the change, with the services around it under policies of their own."""
    named = [("shop", case.service), *((f"peer{number}", peer) for number, peer in enumerate(case.service.peers))]
    policies = [policy(name, case.every, case.watch) for name, _ in named]
    own = policies[0]
    changed, ready = _moment(case.service.changed_at or 0.0), _moment(case.ready)
    given = [GivenChange(1, own.target, changed, ready, "v2")]
    replay = Replay(policies, given, {one.name: windows_of(one, given) for one in policies})
    slots = slots_between(Grid(own.source, own.every), START + timedelta(minutes=2), _moment(case.end) + DELAY)
    for at, readings in History(Stored(named), policies).read(slots):
        replay.slot(at, readings)
        found = replay.ways[0].found
        if found:
            (one,) = found.values()
            return Finding((one.at - START).total_seconds(), held=one.word == "held")
    return None


def _page(name: str, service: Service) -> list[Shown]:
    return [Shown(_moment(scrape.at), _values(name, service, scrape)) for scrape in service.scrapes]


def _values(name: str, service: Service, scrape: Scrape) -> dict[str, float]:
    # The new pods' series are other series than those of the old ones.
    is_new = service.ready_at is not None and scrape.at >= service.ready_at
    labels = f'app="{name}",pod="{"new" if is_new else "old"}"'
    return {
        f'requests_total{{{labels},code="200"}}': scrape.total - scrape.bad,
        f'requests_total{{{labels},code="500"}}': scrape.bad,
        f'request_seconds_bucket{{{labels},le="2"}}': scrape.total - scrape.slow,
        f'request_seconds_bucket{{{labels},le="+Inf"}}': scrape.total,
    }


def _moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
