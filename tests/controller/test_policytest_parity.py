"""`rollbackd test` says what the daemon says: the same samples through the daemon's own sources and its core, slot by slot.

Three ways for one set of samples: the test runner; pages over HTTP, the scrape source, the engine with its journal and a real target; and a real
Prometheus whose past they are.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Sides, TargetState
from rollbackd.adapters.command import Command
from rollbackd.adapters.command.process import never
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.adapters.scrape import Endpoint, Scrape
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.questions import asks_of
from rollbackd.controller.observe.readings import Observer, readings_at
from rollbackd.controller.observe.sides import beside_old
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.controller.policytest.cases import Case, GivenSeries
from rollbackd.controller.policytest.notation import Absent
from rollbackd.controller.policytest.run import START, Outcome, run
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Mode
from tests import servers
from tests.adapters.openmetrics import START as PAST
from tests.controller.policytest_samples import case_in
from tests.controller.world import World, command
from tests.exposition import Exposition, Reply, exposing, these

POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  mode: auto
  target: {command: {name: shop}}
  metrics: custom
  match: {app: shop}
  timing: {recover_for: 2m, settle: 15s}
  rollback_when:
    - name: errors
      ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}
      above: 5%
      for: 1m
    - name: slow
      latency: {histogram: seconds}
      quantile: 0.95
      above: 2s
      for: 1m
    - name: memory
      gauge: used_bytes
      of: limit_bytes
      above: 95%
      for: 1m
      unbounded: accepted
    - name: timeouts
      count: timeouts_total
      over: 5m
      above: 10
      for: 30s
      unbounded: accepted
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""
# Served at 5 m, bad until it is put back; one scrape fails, a pod restarts, a series is born late and one goes stale.
WEATHER: Mapping[str, str] = {
    'requests_total{app="shop",code="200"}': "0+100x15 _ 1700+100x50",
    'requests_total{app="shop",code="500"}': "_x22 20+20x6 140x40",
    'requests_total{app="other",code="500"}': "0+50x15 _ 800+50x50",
    'seconds_bucket{app="shop",le="1"}': "0+70x15 _ 1190+70x50",
    'seconds_bucket{app="shop",le="2"}': "0+100x15 _ 1700+100x4 2180+80x7 2840+100x40",
    'seconds_bucket{app="shop",le="+Inf"}': "0+100x15 _ 1700+100x50",
    'used_bytes{app="shop",pod="a"}': "50x70",
    'used_bytes{app="shop",pod="b"}': "50x30 stale _x30",
    'limit_bytes{app="shop",pod="a"}': "100x70",
    'limit_bytes{app="shop",pod="b"}': "100x30 stale _x30",
    'timeouts_total{app="shop"}': "3x15 _ 3x10 1+1x5 6x50",
}
LEAK = {'used_bytes{app="shop",pod="a"}': "50x24 97x60", 'timeouts_total{app="shop"}': "3x15 _ 3x10 1+2x12 25x40"}
STORIES = {"recovered": (WEATHER, "5m"), "held": ({**WEATHER, **LEAK}, "5m15s")}
"""The end of each, its series, and when v2 comes: at a slot that is looked at anyway, or between two."""


def case_of(folder: Path, end: str) -> Case:
    series, at = STORIES[end]
    test = {
        "name": "parity",
        "series": [{"series": text, "values": values} for text, values in series.items()],
        "changes": [{"at": at, "revision": "v2"}],
        "known_good": ["v1"],
        "expect": [{"at": "14m", "decision": end}],
    }
    return case_in(folder, test, POLICY)


def told_by(outcome: Outcome) -> tuple[dict[datetime, tuple[str, ...]], list[tuple[datetime, str]]]:
    """The arithmetic of each look, without how far its confirmation is, and what became of the incident."""
    verdicts = {START + look.at: look.reasons for look in outcome.looks}
    said = [(START + look.at, one.partition(":")[0]) for look in outcome.looks for one in look.said]
    return verdicts, said


class Rolling(Command):
    """A Deployment, of which a command tells the revision: pods of both sides serve once it is no longer v1."""

    kind = "kubernetes"

    def __init__(self, folder: Path, sides: Sides) -> None:
        super().__init__({"default/shop/deployment/checkout": command(folder)})
        self._sides = sides

    def ask(self, key: str, is_over: Callable[[], bool] = never) -> TargetState | AdapterError:
        state = super().ask(key, is_over)
        return replace(state, sides=self._sides) if isinstance(state, TargetState) and state.revision != "v1" else state


class Daemon:
    """The daemon's scrape source, observer, engine, journal and actor on the case's samples, with a clock that is set by hand."""

    def __init__(self, case: Case, folder: Path, page: Exposition, sides: Sides | None) -> None:
        self.case, self.policy = case, case.policy
        self.pages = [[one for one in case.series if one.page == key] for key in dict.fromkeys(one.page for one in case.series)]
        self.texts: dict[str, str] = {}
        page.reply = lambda asked: Reply(body=self.texts[asked.path].encode()) if self.texts[asked.path] else Reply(status=503)
        endpoints = these(*(Endpoint(f"{page.url}/{number}") for number in range(len(self.pages))))
        self.world = World(folder, self.policy, at=START)
        self.scrape = Scrape(self.policy.source, endpoints, interval=case.interval, now=lambda: self.world.at)
        self.observer = Observer({self.policy.source: self.scrape}, lambda _: None)
        self.verdicts: dict[datetime, tuple[str, ...]] = {}
        self.world.good("v1")
        if sides is not None:
            self.world.targets["kubernetes"] = Rolling(folder, sides)
            self.world.surveyor = Surveyor(self.world.targets)

    def slot(self, index: int) -> None:
        """The pages are read, one pass is made as the scheduler makes it, and what follows from it has happened."""
        world = self.world
        at = world.at = START + index * self.case.interval
        for change in self.case.changes:
            if START + change.at == at:
                world.deploy(change.revision)
        self.texts = {f"/{number}": shown(page, index) for number, page in enumerate(self.pages)}
        self.scrape.scrape()
        due, survey = world.engine.due([self.policy], at), world.survey()
        readings = self.observer.read(due, at, world.engine.in_calm(due, at))
        state = survey.states[self.policy.target]
        told = {name: answered(beside_old(self.policy, r, self.scrape, state, at), self.scrape) for name, r in readings.items()}
        world.engine.cycle(Batch(at, survey, told))
        if due:
            found = world.engine.standings[self.policy.name].evaluation
            self.verdicts[at] = tuple(verdict_reason(c, v) for c, v in zip(found.policy.conditions, found.verdicts, strict=True))
        world.rest()

    def incident(self) -> list[tuple[datetime, str]]:
        """When what was decided of it."""
        words = {"opened": "opened", "intended": "act", "joined": "joined", "held": "held", "closed": "closed"}
        rows = [(entry.at, entry.kind.partition(".")[2]) for entry in reversed(self.world.store.history(1000))]
        return [(at, words[kind]) for at, kind in rows if kind in words]

    def close(self) -> None:
        self.observer.close()
        self.scrape.stop()


@contextlib.contextmanager
def daemon_on(case: Case, folder: Path, sides: Sides | None = None) -> Iterator[Daemon]:
    """``sides``: those of the pods from the first change on."""
    with exposing() as page:
        daemon = Daemon(case, folder, page, sides)
        yield daemon
        daemon.close()
        # The journal is asked after the last slot.
        daemon.world.actor.close()
        daemon.world.surveyor.close()


@pytest.mark.parametrize("end", STORIES)
def test_the_daemon_on_its_scrape_source_gives_the_same_verdicts_and_decides_the_same(tmp_path: Path, end: str) -> None:
    case = case_of(tmp_path, end)
    outcome = run(case)
    (tmp_path / "daemon").mkdir()
    with daemon_on(case, tmp_path / "daemon") as daemon:
        for index in range(case.until // case.interval + 1):
            daemon.slot(index)
    looks, said = told_by(outcome)
    assert list(daemon.verdicts) == list(looks)
    assert {at: pair for at, theirs in daemon.verdicts.items() if not same(*(pair := (looks[at], theirs)))} == {}
    assert daemon.incident() == said
    assert {word for _, word in said} >= {"opened", "act", "joined"}
    assert outcome.passed


def same(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return all(one.startswith(other) for one, other in zip(mine, theirs, strict=True))


def shown(series: Sequence[GivenSeries], index: int) -> str:
    """The page at this index, as the exposition format writes it; empty where it could not be read."""
    values = [(one.text, one.values[index]) for one in series if index < len(one.values)]
    if all(value is Absent.MISSING for _, value in values):
        return ""
    return "".join(f"{text} {value}\n" for text, value in values if not isinstance(value, Absent)) or "\n"


# --- Prometheus ----------------------------------------------------------------------------------------------------------------------------

PAST_AT = datetime.fromtimestamp(PAST, UTC)


def past_of(case: Case) -> str:
    """The case's samples as OpenMetrics; what is absent has no line."""
    step = case.interval.total_seconds()
    lines = [
        f"{one.text} {value} {PAST + index * step:.3f}"
        for one in case.series
        for index, value in enumerate(one.values)
        if not isinstance(value, Absent)
    ]
    return "\n".join(lines) + "\n# EOF\n"


def test_a_real_prometheus_never_contradicts_it_and_proves_the_same_but_for_a_look_or_two(tmp_path: Path) -> None:
    case = case_of(tmp_path, "recovered")
    case = replace(case, policy=replace(case.policy, mode=Mode.OBSERVE))  # nothing is undone, so every look is about the same world
    mine = {look.at: [state.value for state in look.states] for look in run(case).looks}
    with servers.prometheus_with_history(past_of(case)) as server:
        source = Prometheus(case.policy.source, server.url, scrape_interval=case.interval, delay=timedelta(0))
        theirs = judged_on(source, case, mine)
    unlike = [(at, a, b) for at in mine for a, b in zip(mine[at], theirs[at], strict=True) if a != b]
    assert [one for one in unlike if "unproven" not in one] == []
    # A Prometheus counts over four scrapes and a page over one: it may prove a turn a look earlier or later.
    assert len(unlike) <= 6 < len({at for at in mine if "breach" in mine[at] and theirs[at] == mine[at]})


def judged_on(source: Prometheus, case: Case, looks: Iterable[timedelta], sides: Sides | None = None) -> dict[timedelta, list[str]]:
    """The verdicts at these looks, as the daemon comes to them on this source."""
    policy, watch, found = case.policy, new_watch(case.policy), {}
    asks = asks_of(policy, source.block(policy.every))
    began = PAST_AT + case.changes[0].at
    change = Change(policy.target, "v2#1", "v2", None, began, began, began, ready=began)
    for at in looks:
        moment = PAST_AT + at
        readings = readings_at(source, lambda _: None, asks, moment)
        changes = (change,) if moment >= began else ()
        state = TargetState(policy.target, "v2", sides=sides if changes else None)
        readings = answered(beside_old(policy, readings, source, state, moment), source)
        evaluation = evaluate(policy, watch, None, readings, changes, Fleet(revisions={policy.target: "v2"}), moment)
        watch, found[at] = evaluation.watch, [verdict.state.value for verdict in evaluation.verdicts]
    return found
