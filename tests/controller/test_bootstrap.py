"""`rollbackd good --from-history`: the revisions that a target keeps, tried on the metrics of a real Prometheus."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.past import Kept, Past
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.people.bootstrap import Bootstrap
from rollbackd.policies.load import load_policies
from tests import servers
from tests.controller import backtest_samples as samples
from tests.controller.backtest_samples import BACK, BAD, GAP, GOOD, HOURS, moment
from tests.controller.served import Served
from tests.controller.world import SHOP, World

TEXT = samples.POLICY.replace("{kubernetes: {namespace: shop, deployment: checkout}}", "{command: {name: shop}}")
MINUTE = timedelta(minutes=1)
CAME = {"v0": -timedelta(days=2), "v1": GOOD, "v2": BAD, "v3": BAD + 50 * MINUTE, "v4": GAP, "v5": BACK + 40 * MINUTE}
"""One without metrics, a good one, a bad one, a short one of 70 minutes, one with a gap, and one that runs for too short a time."""


class Keeping:
    """A target that keeps the revisions of ``CAME``, of which ``live`` runs."""

    def __init__(self, live: str = "v5") -> None:
        self._live = live

    def past(self, key: str) -> Past:
        kept = [Kept(name, number, moment(at)) for number, (name, at) in enumerate(CAME.items())]
        return Past(sorted(kept, key=lambda one: one.revision == self._live), self._live)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.prometheus_with_history(samples.past()) as server:
        yield server.url


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (policy,) = load_policies({"p.yaml": TEXT}).policies
    world = World(tmp_path, policy, at=moment(timedelta(hours=HOURS)))
    yield world
    world.close()


Learn = Callable[..., dict[str, Any]]


@pytest.fixture
def learn(world: World, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Learn:
    """What the command says of each revision."""

    def learn(target: Any = None) -> dict[str, Any]:
        sources = {"prometheus": Prometheus("prometheus", url)}
        served = Served(world, tmp_path, bootstrap=Bootstrap(world.store, sources, {"command": target or Keeping()}))
        code = outcome(["good", SHOP, "--from-history", "-o", "json", *served.options()])
        served.close()
        said = capsys.readouterr()
        assert code == 0, said.err
        return {item["revision"]: item for item in json.loads(said.out)["items"]}

    return learn


def test_what_ran_the_bake_time_without_a_breach_is_known_good_and_the_others_say_why_not(world, learn):
    found = learn()
    assert {revision: item["is_good"] for revision, item in found.items()} == {
        "v0": False,
        "v1": True,
        "v2": False,
        "v3": False,
        "v4": True,
        "v5": False,
    }
    assert found["v0"]["said"].startswith("there is no sample of its time, ")
    assert found["v1"]["said"].startswith("no breach in 30m0s under watch of policy checkout")
    assert "policy checkout would have acted at " in found["v2"]["said"]
    assert found["v5"]["said"] == "it served 20m0s, the bake time is 30m0s"
    ledger = {known.revision: known for known in world.store.ledger(SHOP)}
    assert (ledger["v1"].standing, ledger["v1"].how, ledger["v1"].last_at) == (Standing.GOOD, How.HISTORY, moment(BAD))
    assert set(ledger) == {"v1", "v4"}


def test_what_was_declared_bad_and_what_is_in_quarantine_stays_so(world, learn):
    with world.store.transaction() as tx:
        tx.mark(SHOP, "v1", Standing.BAD, How.DECLARED, world.at)
        tx.mark(SHOP, "v4", Standing.QUARANTINED, How.ROLLED_BACK, world.at)
    found = learn()
    assert [(found[name]["is_good"], found[name]["said"].partition(";")[0]) for name in ("v1", "v4")] == [
        (False, "it is bad and stays so"),
        (False, "it is quarantined and stays so"),
    ]
    assert {known.revision: known.standing for known in world.store.ledger(SHOP)} == {"v1": Standing.BAD, "v4": Standing.QUARANTINED}


def test_a_revision_that_was_put_back_is_not_learnt(learn):
    assert learn(Keeping("v1"))["v1"]["said"] == "it came again later: when it served is not known"


def test_a_target_that_keeps_no_past_says_so(world, url, tmp_path, capsys):
    served = Served(world, tmp_path)
    code = outcome(["good", SHOP, "--from-history", *served.options()])
    served.close()
    assert (code, "a target of kind command keeps no past revisions" in capsys.readouterr().err) == (64, True)
