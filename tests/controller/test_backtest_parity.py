"""A backtest says at every slot what the daemon says on the same history, and it never turns what it could not read into a verdict."""

import contextlib
import itertools
import json
import math
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.history import slots_between
from rollbackd.controller.backtest.run import Asked, run
from rollbackd.controller.backtest.spans import span_of
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.schedule import Grid
from rollbackd.policies.judge.verdict import Verdict
from rollbackd.policies.load import load_policies
from tests import servers
from tests.controller import backtest_samples as samples
from tests.controller.backtest_samples import moment, row
from tests.controller.world import World
from tests.exposition import Loopback, Reply, Request

MINUTE = timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)
CAME = timedelta(minutes=30)
"""When the release of these short pasts came."""


def turns_bad(at: timedelta) -> float | None:
    return None if CAME + 3 * MINUTE < at < CAME + 4 * MINUTE else 0.4 if at >= CAME + 2 * MINUTE else 0.01


COMMAND = samples.POLICY.replace("{kubernetes: {namespace: shop, deployment: checkout}}", "{command: {name: shop}}").replace("observe", "auto")


@pytest.mark.parametrize(
    ("confirm", "fewest"),
    [pytest.param("for: 1m", 11, id="after-a-minute"), pytest.param("breaches: {at_least: 1, of: 1}", 7, id="in-the-same-slot")],
)
def test_every_verdict_and_the_decision_are_the_daemons_own(tmp_path: Path, confirm: str, fewest: int) -> None:
    (policy,) = load_policies({"p.yaml": COMMAND.replace("for: 1m", confirm)}).policies
    grid = Grid(policy.source, policy.every)
    came = grid.slot(moment(CAME))
    change = GivenChange(1, policy.target, came, revision="v2")
    with servers.prometheus_with_history(samples.past(turns_bad, 45 * MINUTE)) as server:
        tested = run(Asked((policy,), (change,), moment(45 * MINUTE)), lambda name: Prometheus(name, server.url))
        (judged,) = tested.judged
        assert judged.found is not None
        since, _ = span_of([policy], [change], None, None)
        world = World(tmp_path, policy, at=since)
        world.good("v1")
        observer = Observer({policy.source: Prometheus(policy.source, server.url)}, lambda _: None)
        verdicts: dict[object, tuple[Verdict, ...]] = {}
        for at in slots_between(grid, since, judged.found.at):
            world.at = at
            if at == came:
                world.deploy("v2")
            due = world.engine.due([policy], at)
            world.engine.cycle(Batch(at, world.survey(), observer.read(due, at)))
            if due:
                verdicts[at] = world.engine.standings[policy.name].evaluation.verdicts
        world.rest()
        observer.close()
        world.actor.close()
        world.surveyor.close()
    looks = {look.at: look.verdicts for look in judged.looks if look.at <= judged.found.at}
    assert len(looks) >= fewest
    assert {at: found for at, found in verdicts.items() if at >= judged.began} == looks
    (incident,) = world.incidents()
    assert (incident.opened_at, incident.onset, judged.word) == (judged.found.at, judged.found.onset, "rollback")
    assert incident.reason.partition("; ")[0] == judged.reason.partition("; ")[0]


def verdict(capsys: pytest.CaptureFixture[str], folder: Path, url: str, policy: str = samples.POLICY) -> tuple[str, str]:
    """What is said of the release at ``CAME``."""
    outcome(["backtest", *samples.write(folder, row(CAME, "v2"), policy=policy), "--prometheus", url, "-o", "json"])
    said = capsys.readouterr()
    (one,) = json.loads(said.out)["changes"]
    return one["verdict"], one["reason"]


@pytest.mark.parametrize(
    ("past", "word", "reason"),
    [
        pytest.param(samples.past(lambda at: math.nan if at > CAME else 0.01, 2 * AN_HOUR), "inconclusive", "errors nodata:", id="no-numbers"),
        pytest.param(samples.past(lambda at: None if at > CAME else 0.01, 2 * AN_HOUR), "inconclusive", "errors nodata:", id="nothing-after-it"),
        pytest.param(
            samples.past(lambda at: 0.01, CAME - 10 * MINUTE), "inconclusive", "outside of what Prometheus keeps", id="outside-of-the-retention"
        ),
        pytest.param(samples.past(lambda at: 0.01, 2 * AN_HOUR, resets=[CAME + n * 5 * MINUTE for n in range(6)]), "ok", "at the last", id="resets"),
    ],
)
def test_no_verdict_is_made_up(capsys: pytest.CaptureFixture[str], tmp_path: Path, past: str, word: str, reason: str) -> None:
    with servers.prometheus_with_history(past) as server:
        found, why = verdict(capsys, tmp_path, server.url)
    assert (found, reason in why) == (word, True), why


LATENCY = samples.POLICY.replace(
    """    - name: errors
      ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}
      above: 5%
""",
    """    - name: slow
      latency: {histogram: request_seconds}
      quantile: 0.95
      above: 1s
""",
)


def new_buckets(sooner: int, later: int) -> str:
    """A histogram whose release brings other buckets: from then on, of 100 requests, so many are within 0.8 s, and within 1.2 s."""
    lines: dict[str, list[str]] = {}
    before, after = (("0.5", 90), ("1", 99), ("+Inf", 100)), (("0.8", sooner), ("1.2", later), ("+Inf", 100))
    for index in range(2 * AN_HOUR // timedelta(seconds=samples.STEP)):
        at = timedelta(seconds=index * samples.STEP)
        for le, count in before if at < CAME else after:
            stamp = samples.START + index * samples.STEP
            since = index if at < CAME else index - CAME // timedelta(seconds=samples.STEP)
            lines.setdefault(le, []).append(f'request_seconds_bucket{{app="checkout",le="{le}"}} {count * since} {stamp}')
    return "# TYPE request_seconds histogram\n" + "\n".join(line for le in lines for line in lines[le]) + "\n# EOF\n"


@pytest.mark.parametrize(
    ("sooner", "later", "word", "reason"),
    [
        pytest.param(50, 50, "rollback", "slow ", id="slower-by-either-bound"),
        pytest.param(0, 100, "inconclusive", "(buckets 0.8 to 1.2 s): 0 to 2000/2000", id="the-limit-lies-in-the-bucket-that-has-them-all"),
    ],
)
def test_buckets_that_a_release_changed_prove_what_they_can(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sooner: int, later: int, word: str, reason: str
) -> None:
    with servers.prometheus_with_history(new_buckets(sooner, later)) as server:
        outcome(["backtest", *samples.write(tmp_path, row(CAME, "v2"), policy=LATENCY), "--prometheus", server.url, "-o", "json"])
        (one,) = json.loads(capsys.readouterr().out)["changes"]
    assert (one["verdict"], reason in one["reason"]) == (word, True), one["reason"]


@contextlib.contextmanager
def behind(server: servers.Server, reply: Callable[[Request, Any], None]) -> Iterator[str]:
    """The address of something before Prometheus, where ``reply`` sees each question and may change the answer."""

    def pass_on(asked: Request) -> Reply:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        with urllib.request.urlopen(urllib.request.Request(server.url + asked.path, asked.body, kind)) as answer:
            document = json.load(answer)
        reply(asked, document)
        return Reply(body=json.dumps(document).encode(), headers={"Content-Type": "application/json"})

    proxy = Loopback(pass_on)
    try:
        yield proxy.url
    finally:
        proxy.close()


def test_an_answer_that_may_be_incomplete_is_no_evidence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def cut(asked: Request, document: Any) -> None:
        if "query_range" in asked.path and b"code" in asked.body:
            document["warnings"] = ["results truncated due to limit"]

    whole = "    - {name: many, promql: max by (app) (requests_total), above: 1000000000}\n"
    with servers.prometheus_with_history(samples.past(turns_bad, 2 * AN_HOUR)) as server, behind(server, cut) as url:
        found, why = verdict(capsys, tmp_path, url, samples.POLICY.replace("  remedy:", f"{whole}  remedy:"))
        alone = outcome(["backtest", *samples.write(tmp_path, row(CAME, "v2")), "--prometheus", url])
    assert found == "inconclusive"
    warned = "prometheus: warned that the answer may be incomplete: results truncated due to limit"
    assert f"errors error: {warned}" in why
    assert (alone, warned in capsys.readouterr().err) == (4, True), "nothing else was answered"


def test_ranges_are_of_at_most_500_steps_on_the_grid_and_do_not_overlap(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ranges: list[tuple[float, float, float]] = []

    def note(asked: Request, document: Any) -> None:
        if "query_range" in asked.path:
            words = urllib.parse.parse_qs(asked.body.decode())
            is_calm = "newborn series" in words["query"][0]
            ranges.append((float(words["start"][0]), float(words["end"][0]), float(words["step"][0]) if is_calm else 0.0))

    span = ["--from", samples.when(timedelta(0)), "--to", samples.when(timedelta(hours=5))]
    with servers.prometheus_with_history(samples.past(turns_bad, 2 * AN_HOUR)) as server, behind(server, note) as url:
        outcome(["backtest", *samples.write(tmp_path, row(CAME, "v2")), "--prometheus", url, *span])
    said = capsys.readouterr()
    assert said.err.startswith("1 change: 1 rollback; 0 breaches outside of changes; 5 queries, ")
    # Two more: the hour before the change, and the first minutes of the history, in which its series are born.
    ranges = [one for one in ranges if one[2]]
    assert [(end - start) / step < 500 for start, end, step in ranges] == [True, True, True]
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(ranges)]
    assert gaps == pytest.approx([15.0, 15.0], abs=0.002)
    grid = Grid("prometheus", timedelta(seconds=15))
    asked = datetime.fromtimestamp(ranges[0][0], UTC) + timedelta(seconds=20)
    assert abs(grid.slot(asked + timedelta(seconds=1)) - asked) < timedelta(milliseconds=2)
