"""`rollbackd backtest` where the changes name their ReplicaSets: old pods in a real Prometheus are the control of new ones, as in the daemon."""

import json
from datetime import timedelta

import pytest

from rollbackd.controller.cli.main import outcome
from tests import servers
from tests.adapters.openmetrics import START, document
from tests.controller import backtest_samples as samples

OLD, NEW, NEWER = "checkout-5d4f8c7b9", "checkout-7c6d9f8b5", "checkout-6b7c8d9f4"
FIRST, ALIKE, WORSE = (timedelta(minutes=minutes) for minutes in (0, 60, 120))
"""When each came. From two minutes after the second both sides are as bad; of the third only the new pods are."""
TOGETHER = timedelta(minutes=20)
LENGTH = timedelta(minutes=160)
OF_OLD = samples.POLICY.replace("above: 5%", "above: {of_old: 300%, at_least: 1%}")


def pod(replicaset: str, since: timedelta, until: timedelta, bad_from: timedelta, bad_until: timedelta) -> list[str]:
    """A hundred requests a scrape, of which twenty fail from one moment to another and otherwise one."""
    lines: dict[str, list[str]] = {"200": [], "500": []}
    good = bad = 0
    for at in range(int(since.total_seconds()), int(until.total_seconds()), samples.STEP):
        failed = 20 if bad_from.total_seconds() <= at < bad_until.total_seconds() else 1
        good, bad = good + 100 - failed, bad + failed
        for code, value in (("200", good), ("500", bad)):
            lines[code].append(f'requests_total{{app="checkout",pod="{replicaset}-x2k9p",code="{code}"}} {value} {START + at}')
    return [*lines["200"], *lines["500"]]


PAST = document(
    ["# TYPE requests counter"],
    pod(OLD, FIRST, ALIKE + TOGETHER, ALIKE + timedelta(minutes=2), ALIKE + timedelta(minutes=12)),
    pod(NEW, ALIKE, WORSE + TOGETHER, ALIKE + timedelta(minutes=2), ALIKE + timedelta(minutes=12)),
    pod(NEWER, WORSE, LENGTH, WORSE + timedelta(minutes=2), LENGTH),
)


@pytest.fixture(scope="module")
def server():
    with servers.prometheus_with_history(PAST) as server:
        yield server


def backtest(capsys, server, tmp_path, *, policy=samples.POLICY, named=True):
    names = ({"replicaset": name} for name in (OLD, NEW, NEWER)) if named else ({}, {}, {})
    changes = [samples.row(at, revision, **name) for at, revision, name in zip((FIRST, ALIKE, WORSE), ("v1", "v2", "v3"), names, strict=True)]
    code = outcome(["backtest", *samples.write(tmp_path, *changes, policy=policy), "--prometheus", server.url, "-o", "json"])
    said = capsys.readouterr()
    assert said.out, said.err
    found = json.loads(said.out)
    return code, {one["revision"]: one for one in found["changes"]}, found["queries"]


def test_what_the_old_pods_had_as_well_is_not_laid_to_the_change_and_what_they_had_not_is(capsys, server, tmp_path):
    code, found, queries = backtest(capsys, server, tmp_path)
    assert (code, [found[name]["verdict"] for name in ("v2", "v3")]) == (2, ["ok", "rollback"])
    assert queries < 20


def test_without_the_names_the_sides_are_not_told_apart(capsys, server, tmp_path):
    _, found, _ = backtest(capsys, server, tmp_path, named=False)
    assert [found[name]["verdict"] for name in ("v2", "v3")] == ["rollback", "rollback"]


def test_a_limit_of_the_old_pods_is_proven_where_they_are_named_and_else_never(capsys, server, tmp_path):
    _, found, _ = backtest(capsys, server, tmp_path, policy=OF_OLD)
    assert [found[name]["verdict"] for name in ("v2", "v3")] == ["ok", "rollback"]
    assert "of the old pods beside" in found["v3"]["reason"]
    _, found, _ = backtest(capsys, server, tmp_path, policy=OF_OLD, named=False)
    assert found["v3"]["verdict"] == "inconclusive"


def test_a_name_that_is_no_replicaset_of_the_target_is_a_fault_with_its_line(capsys, server, tmp_path):
    words = samples.write(tmp_path, samples.row(FIRST, "v1", replicaset="cart-5d4f8c7b9"))
    code = outcome(["backtest", *words, "--prometheus", server.url])
    said = capsys.readouterr().err
    assert code == 64
    assert "2:1: line 2 › replicaset: expected the name of a ReplicaSet, such as checkout-7c6d9f8b5, found 'cart-5d4f8c7b9'" in said
