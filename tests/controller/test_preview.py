"""`rollbackd explain --power`: what a policy would find at the traffic of a real Prometheus."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.explain.preview import Preview
from rollbackd.policies.load import load_policies
from tests import servers
from tests.controller import backtest_samples as samples
from tests.controller.backtest_samples import moment
from tests.controller.served import Served
from tests.controller.world import World

TEXT = samples.POLICY.replace("{kubernetes: {namespace: shop, deployment: checkout}}", "{command: {name: shop}}")
Explain = Callable[..., str]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.prometheus_with_history(samples.past(lambda at: 0.01, timedelta(hours=4))) as server:
        yield server.url


@pytest.fixture
def explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explain:
    """What the command prints for the policy behind a Prometheus at this address."""

    def explain(url: str, output: str, text: str = TEXT, at: timedelta = timedelta(hours=4)) -> str:
        (policy,) = load_policies({"p.yaml": text}).policies
        world = World(tmp_path, policy, at=moment(at))
        served = Served(world, tmp_path, preview=Preview({policy.source: Prometheus(policy.source, url)}))
        code = outcome(["explain", "checkout", "--power", "-o", output, *served.options()])
        served.close()
        world.close()
        assert code == 0
        return capsys.readouterr().out

    return explain


def test_the_traffic_of_the_week_tells_what_is_found_how_soon(url, explain):
    (item,) = json.loads(explain(url, "json"))["items"]
    (line,) = item["power"]
    assert (line["condition"], line["per_minute"], line["why"]) == ("errors", pytest.approx(400, rel=0.01), None)
    assert [row["share"] for row in line["rows"]] == pytest.approx([0.06, 0.1, 0.2, 0.5, 1.0])
    assert line["rows"][-1]["seconds"] == 120
    assert line["rows"][0]["seconds"] is None


def test_people_read_it_as_a_table(url, explain):
    said = [" ".join(row.split()) for row in explain(url, "table").splitlines()]
    assert "errors at 400 events/min (median, 400 in the quietest tenth)" in said
    assert "100 % found within 2m0s in 100 of 100" in said
    assert any(row.startswith("6 % not surely in the whole watch: in ") for row in said)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        pytest.param("5%", "to prove recovery takes about 34s", id="soon"),
        pytest.param(
            "0.1%", "takes about 30m1s: with recover_for 5m0s give_up 15m0s is short for that, and a rollback that helped may end held", id="too-late"
        ),
        pytest.param("0.1%, over: 1m", "takes more than 8 windows of 1m0s: a rollback that helped may end held", id="never"),
    ],
)
def test_how_long_a_rollback_that_helped_takes_to_be_known_to_have_is_said(url, explain, limit, said):
    (item,) = json.loads(explain(url, "json", TEXT.replace("above: 5%", f"above: {limit}".replace(", ", "\n      "))))["items"]
    assert said in item["power"][0]["health"]
    assert ("write give_up: 47m or more" in item["power"][0]["health"]) == (limit == "0.1%")


def test_a_service_of_a_few_minutes_is_not_said_to_have_counted_nothing_in_all_the_days(url, explain):
    (item,) = json.loads(explain(url, "json", at=timedelta(minutes=20)))["items"]
    (line,) = item["power"]
    assert line["why"].startswith("nothing was counted at its looks of the last 7 days, one each half hour and the newest half an hour ago")
    assert "it is younger than that" in line["why"]


def test_a_source_that_does_not_answer_is_said_and_nothing_is_promised(explain):
    (item,) = json.loads(explain("http://127.0.0.1:9", "json"))["items"]
    assert [(line["rows"], line["why"].startswith("its traffic cannot be read: ")) for line in item["power"]] == [([], True)]


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        pytest.param("above: {of_before: 200%, at_least: 5%}", "its limit is reckoned from what was before each change", id="of-before"),
        pytest.param("above: {of_before: 200%}", "its limit is reckoned from what was before each change", id="of-before-alone"),
        pytest.param("below: 5%", "it has a limit below only", id="below"),
    ],
)
def test_a_condition_of_which_nothing_can_be_foreseen_says_why(explain, url, limit, why):
    text = TEXT.replace("above: 5%", limit)
    (item,) = json.loads(explain(url, "json", text))["items"]
    assert [(line["condition"], line["rows"], line["why"].partition(",")[0]) for line in item["power"]] == [("errors", [], why)]
