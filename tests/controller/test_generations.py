"""`rollbackd backtest --changes prometheus`: what kube-state-metrics, scraped once a minute, knows of when a release came."""

import json
from datetime import datetime, timedelta

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.generations import changes_in
from rollbackd.controller.backtest.spans import windows_of
from rollbackd.controller.cli.main import outcome
from tests import servers
from tests.controller import backtest_samples as samples
from tests.controller.backtest_samples import TARGET, moment
from tests.policies.literals import HOUR, MINUTE, POLICY, T0
from tests.policies.literals import TARGET as POLICYS

SECOND = timedelta(seconds=1)
CAME, LENGTH = 2 * HOUR, 3 * HOUR
"""When the release came of which every request fails."""
OLD, NEW = CAME - SECOND, CAME + 59 * SECOND
"""The last scrape of the generation before, and the first of its own."""
SINCE = HOUR + 28 * SECOND
"""So that no look is at the moment of a scrape."""


@pytest.fixture(scope="module")
def server():
    past = samples.past(lambda at: 1.0 if at > CAME else 0.01, LENGTH)
    with servers.prometheus_with_history(samples.generations(CAME, every=60, first=59, length=LENGTH) + past) as server:
        yield server


def test_a_new_generation_came_after_the_last_scrape_of_the_one_before_and_by_its_own_first(server):
    (change,) = changes_in(Prometheus("prometheus", server.url), [TARGET], moment(SINCE), moment(LENGTH))
    assert (change.early, change.at, change.revision) == (moment(OLD), moment(NEW), "generation 2")


@pytest.mark.parametrize("confirm", ["1m", "15s"])
def test_a_release_that_fails_before_it_is_seen_is_found_and_is_no_alarm_outside_of_changes(capsys, server, tmp_path, confirm):
    policy, *_ = samples.write(tmp_path, policy=samples.POLICY.replace("for: 1m", f"for: {confirm}"))
    words = ["--prometheus", server.url, "--changes", "prometheus", "--from", samples.when(SINCE), "--to", samples.when(LENGTH)]
    code = outcome(["backtest", policy, *words, "-o", "json"])
    found = json.loads(capsys.readouterr().out)
    (change,) = found["changes"]
    assert (code, change["verdict"], found["false_alarms_outside_changes"]) == (2, "rollback", [])
    assert moment(OLD) < datetime.fromisoformat(change["onset"])


def test_the_watch_of_a_change_ends_when_the_next_may_have_begun():
    first, second = GivenChange(1, POLICYS, T0), GivenChange(2, POLICYS, T0 + 10 * MINUTE, early=T0 + 9 * MINUTE)
    windows = windows_of(POLICY, [first, second])
    assert windows[first.id].ended == T0 + 9 * MINUTE
    assert windows[second.id].began == T0 + 10 * MINUTE + POLICY.timing.warmup
