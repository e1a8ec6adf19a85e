"""`rollbackd parity`: an engine lives through a bad release before a real Prometheus; replaying its days gives its journal's transitions."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer, Query
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.backtest.history import slots_between
from rollbackd.controller.backtest.journalled import journalled
from rollbackd.controller.backtest.parity import parity
from rollbackd.controller.backtest.tries import TRIES
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.engine.observation import Observation
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.inspection import inspected
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.schedule import Grid
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from tests import servers
from tests.controller import backtest_samples as samples
from tests.controller.backtest_samples import moment
from tests.controller.world import World

MINUTE = timedelta(minutes=1)
BORN, FIRST, SECOND = 70 * MINUTE, 80 * MINUTE, 115 * MINUTE
"""When the daemon started, and its releases: the first turns bad and is rolled back, the second turns bad late."""
LENGTH = 150 * MINUTE
TEXT = samples.POLICY.replace("{kubernetes: {namespace: shop, deployment: checkout}}", "{command: {name: shop}}").replace("observe", "auto")


def share(at: timedelta) -> float | None:
    """Two bad spells; a scrape gap in the middle of nothing."""
    if 100 * MINUTE < at < 102 * MINUTE:
        return None
    return 0.3 if is_bad(at) else 0.01


def is_bad(at: timedelta) -> bool:
    return FIRST + 3 * MINUTE <= at < FIRST + 9 * MINUTE or SECOND + 12 * MINUTE <= at < SECOND + 20 * MINUTE


def past() -> str:
    """Requests that are well before each release, calls that fail too often before and more often after, and a level that triples."""
    calls = samples.past(lambda at: 0.35 if is_bad(at) else 0.1, LENGTH).replace("requests", "calls").removesuffix("# EOF\n")
    moments = [timedelta(seconds=seconds) for seconds in range(0, int(LENGTH.total_seconds()), samples.STEP)]
    level = "".join(f'level{{app="checkout"}} {300 if is_bad(at) else 100} {moment(at).timestamp():.0f}\n' for at in moments)
    return f"{calls}# TYPE level gauge\n{level}{samples.past(share, LENGTH)}"


@dataclass(frozen=True)
class Life:
    """What a daemon left: its journal, its policy, and the Prometheus that it read."""

    folder: Path
    policy: Policy
    url: str

    @property
    def journal(self) -> Path:
        return self.folder / "rollbackd.db"

    def words(self, *more: str) -> list[str]:
        span = ["--prometheus", self.url, "--to", samples.when(SECOND + 25 * MINUTE)]
        return ["parity", str(self.journal), str(self.folder / "p.yaml"), *span, *more]


def live(folder: Path, url: str, text: str) -> Life:
    """The engine through both releases, slot by slot, as the daemon runs it."""
    (folder / "p.yaml").write_text(text)
    (policy,) = load_policies({"p.yaml": text}).policies
    slots = slots_between(Grid(policy.source, policy.every), moment(BORN), moment(SECOND + 25 * MINUTE))
    world = World(folder, policy, at=slots[0])
    world.good("v1")
    observation = Observation(world.engine, Observer({policy.source: Prometheus(policy.source, url)}, lambda _: None), world.surveyor)
    releases = {"v2": moment(FIRST), "v3": moment(SECOND)}
    for at in slots:
        world.at = at
        for version in [version for version, came in releases.items() if came <= at]:
            releases.pop(version)
            world.deploy(version)
        world.engine.cycle(observation.batch([policy], world.engine.due([policy], at), at))
        world.rest()
    observation.close()
    world.close()
    return Life(folder, policy, url)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.prometheus_with_history(past()) as server:
        yield server.url


@pytest.fixture(scope="module")
def life(url: str, tmp_path_factory: pytest.TempPathFactory) -> Life:
    return live(tmp_path_factory.mktemp("life"), url, TEXT)


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The exit code and the JSON document of the command."""

    def run(life: Life, *words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = outcome(life.words("-o", "json", *words))
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return code, document

    return run


def rewritten(life: Life, folder: Path, kind: str, change: Callable[[dict[str, Any]], None]) -> Life:
    """The same life with a journal in which the newest row of this kind says something else."""
    with sqlite3.connect(life.journal) as old, sqlite3.connect(folder / "rollbackd.db") as new:
        old.backup(new)
        new.execute("DROP TRIGGER journal_refuses_update")
        seq, body = new.execute("SELECT seq, body FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT 1", [kind]).fetchone()
        told = json.loads(body)
        change(told)
        new.execute("UPDATE journal SET body = ? WHERE seq = ?", [json.dumps(told), seq])
    (folder / "p.yaml").write_text((life.folder / "p.yaml").read_text())
    return replace(life, folder=folder)


def test_a_replay_comes_to_the_transitions_of_the_journal_with_the_same_numbers(life, run):
    code, found = run(life)
    assert [(one["journal"]["kind"], one["verdict"], one["same_numbers"], one["why"]) for one in found["transitions"]] == [
        ("opened", "equal", True, ""),
        ("opened", "equal", True, ""),
    ]
    assert [one["journal"]["at"] for one in found["transitions"]] == [one["replay"]["at"] for one in found["transitions"]]
    assert (code, found["blind_slots"], found["unread_slots"], found["kind"]) == (0, 0, 0, "Parity")


def test_what_was_only_observed_is_compared_by_its_onset_too(url, run, tmp_path):
    watched = live(tmp_path, url, TEXT.replace("auto", "observe"))
    code, found = run(watched)
    assert [(one["journal"]["kind"], one["verdict"], one["same_numbers"]) for one in found["transitions"]] == [("observed", "equal", True)] * 2
    assert all(one["journal"]["onset"] for one in found["transitions"])
    assert code == 0


SHARE = """      ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}
      above: 5%
"""
LEVEL = "      gauge: level\n      above: {of_before: 150%}\n      unbounded: accepted\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(TEXT.replace(SHARE, LEVEL), "level 300 > 150, 150 % of 100 before", id="of-before"),
        pytest.param(TEXT.replace("requests", "calls"), "worse than before", id="in-breach-before-and-got-worse"),
    ],
)
def test_what_was_before_a_change_is_read_as_the_daemon_read_it(url, run, tmp_path, text, said):
    code, found = run(live(tmp_path, url, text))
    assert [(one["verdict"], one["same_numbers"], one["why"]) for one in found["transitions"]] == [("equal", True, "")] * 2
    assert said.replace("level", "errors", 1) in found["transitions"][0]["journal"]["reason"]
    assert code == 0


PROBE = "    - {name: smoke, probe: {port: 80}, above: 0%}\n"
STUCK = "    - use: stuck-rollout\n"
BOTH = """    - all_of:
        - {name: errors, ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}, above: 5%}
        - use: stuck-rollout
"""
CONDITIONS = TEXT[TEXT.index("    - name: errors") : TEXT.index("  remedy")]


@pytest.mark.parametrize(
    ("conditions", "condition"),
    [
        pytest.param(CONDITIONS + PROBE, "smoke", id="probe"),
        pytest.param(CONDITIONS + STUCK, "stuck-rollout", id="told-by-the-target"),
        pytest.param(BOTH, "errors", id="only-together-with-what-the-target-told"),
    ],
)
def test_what_nobody_can_be_asked_about_the_past_is_not_compared(life, run, tmp_path, conditions, condition):
    text = TEXT.replace(CONDITIONS, conditions).replace("{command: {name: shop}}", "{kubernetes: {namespace: shop, deployment: checkout}}")
    (policy,) = load_policies({"p.yaml": text}).policies
    other = rewritten(life, tmp_path, "incident.opened", lambda body: body.update(condition=condition, policy_digest=policy.digest))
    (tmp_path / "p.yaml").write_text(text)
    _, found = run(other)
    told = next(one for one in reversed(found["transitions"]) if one["journal"])
    assert (told["verdict"], told["why"]) == ("apart", "what probes and targets said in the past is not known")


def test_a_journal_that_says_otherwise_is_2_with_both_arithmetics(life, capsys, tmp_path):
    def later(body: dict[str, Any]) -> None:
        body["onset"] = body["onset"][:17] + "59.000000Z"
        body["reason"] = "errors 9 of 10"

    other = rewritten(life, tmp_path, "incident.opened", later)
    code = outcome(other.words())
    said = capsys.readouterr()
    assert code == 2
    assert "    journal: errors 9 of 10\n    replay:  errors " in said.out
    assert "the onset: " in said.out
    assert "samples that came late" in said.out
    assert said.err.startswith("2 transitions: 1 equal, 1 different; ")


def test_a_transition_that_the_replay_does_not_come_to_says_what_it_thought_then(life, run, tmp_path):
    lax = replace(life, folder=tmp_path)
    with sqlite3.connect(life.journal) as old, sqlite3.connect(lax.journal) as new:
        old.backup(new)
        new.execute("DROP TRIGGER journal_refuses_update")
        digest = load_policies({"p.yaml": TEXT.replace("above: 5%", "above: 60%")}).policies[0].digest
        new.execute("UPDATE journal SET body = replace(body, ?, ?) WHERE kind = 'incident.opened'", [life.policy.digest, digest])
    (tmp_path / "p.yaml").write_text(TEXT.replace("above: 5%", "above: 60%"))
    code, found = run(lax)
    assert code == 2
    assert {(one["verdict"], one["why"]) for one in found["transitions"]} == {("differs", "the replay does not come to it")}
    assert all("< 60 %" in one["replay_at_that_slot"] or "<= 60 %" in one["replay_at_that_slot"] for one in found["transitions"])


def test_a_policy_that_was_another_then_is_not_compared(life, run, tmp_path):
    other = rewritten(life, tmp_path, "incident.opened", lambda body: None)
    (tmp_path / "p.yaml").write_text(TEXT.replace("above: 5%", "above: 6%"))
    code, found = run(other)
    assert {(one["verdict"], one["why"]) for one in found["transitions"] if one["journal"]} == {("apart", "policy checkout was another version then")}
    assert code == 0


@pytest.mark.parametrize("end", ["source.sighted", "source.dropped"])
def test_what_was_decided_while_the_source_was_silent_is_counted_apart(life, run, tmp_path, end):
    other = rewritten(life, tmp_path, "incident.opened", lambda body: None)
    store = Store.open(f"sqlite:///{other.journal}", "test-0", lambda: moment(SECOND))
    with store.transaction() as tx:
        tx.note(Note("source.blind", moment(SECOND + 5 * MINUTE), {"source": "prometheus", "why": "gone"}))
        tx.note(Note(end, moment(SECOND + 18 * MINUTE), {"source": "prometheus"}))
    store.close()
    code, found = run(other)
    assert [(one["verdict"], one["why"]) for one in found["transitions"]] == [
        ("equal", ""),
        ("apart", "the journal has source prometheus as silent then"),
    ]
    assert (code, found["blind_slots"]) == (0, 18 * 4)


class Forgetful(Prometheus):
    """It answers for the slots, and not what was before a change, which alone is read at minutes."""

    refused = 0

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        if len(instants) > 1 and instants[1] - instants[0] >= MINUTE:
            self.refused += 1
            raise Transient("prometheus: did not answer in 10 s")
        return super().read_history(query, instants)


def test_what_was_refused_of_the_time_before_a_change_is_not_asked_for_at_every_slot(life):
    with inspected(database(f"sqlite:///{life.journal}")) as look:
        journal = journalled(look.reading)
    source = Forgetful("prometheus", life.url)
    parity([life.policy], journal, lambda _: source, moment(BORN), moment(SECOND + 25 * MINUTE))
    assert source.refused == 2 * TRIES  # as often for each release


def test_only_the_span_that_was_asked_for_is_compared(life, run):
    code, found = run(life, "--from", samples.when(SECOND))
    assert [one["verdict"] for one in found["transitions"]] == ["equal"]
    assert code == 0


def test_what_is_no_journal_is_1(life, capsys, tmp_path):
    (tmp_path / "rollbackd.db").write_text("not a database" * 100)
    (tmp_path / "p.yaml").write_text(TEXT)
    code = outcome(replace(life, folder=tmp_path).words())
    assert (code, capsys.readouterr().out) == (1, "")


def test_where_every_range_is_refused_nothing_is_compared_and_that_is_4(life: Life, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, _, tail = TEXT.partition("  rollback_when:\n")
    refused = "  rollback_when:\n    - {name: refused, promql: 'requests_total * on() requests_total', above: 1, unbounded: accepted}\n"
    policy = tmp_path / "p.yaml"
    policy.write_text(f"{head}{refused}  remedy:{tail.partition('  remedy:')[2]}")
    words = [str(policy) if str(word) == str(life.folder / "p.yaml") else str(word) for word in life.words("-o", "json")]
    assert outcome(words) == 4
    assert "no range of the past was answered in full, so nothing was judged" in capsys.readouterr().err
