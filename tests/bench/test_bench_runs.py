"""The benches work at their smallest size. Nothing here asserts a time."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.bench import aws, backtest, check, patch, slot, step, takeover
from tests.bench.figures import Figure, table


def test_a_slot_asks_at_most_two_queries_a_signal_and_four() -> None:
    found = slot.figures(3)
    (queries,) = (figure for figure in found if figure.what.endswith("queries"))
    assert 0 < (queries.value or 0) <= (queries.budget or 0)


def test_a_backtest_tells_its_queries_and_what_instant_queries_would_have_taken() -> None:
    found = {figure.what.partition(": ")[2]: figure.value or 0 for figure in backtest.figures(timedelta(hours=3), changes=2, sample=3)}
    assert found["queries"] > 0
    assert found["waiting for Prometheus"] <= found["from start to end"]
    assert found["instant queries, of the same slots"] > found["waiting for Prometheus"]


def test_check_is_measured_on_policies_without_a_fault() -> None:
    assert [figure.unit for figure in check.figures(3)] == ["s", "s"]


def test_the_way_from_proof_to_patch_is_measured_on_real_patches() -> None:
    p50, p99 = patch.measured(patch.DOUBLE, 2)
    assert 0 < (p50.value or 0) <= (p99.value or 0)


@pytest.mark.usefixtures("aws_keys")
def test_calls_to_amazon_are_counted_and_the_way_to_the_write_is_measured(tmp_path: Path) -> None:
    found = {figure.what: figure.value for figure in aws.calls(2)}
    assert found["2 services of ECS: calls of any other"] == 1
    p50, p99 = aws.proof(tmp_path, 2)
    assert 0 < (p50.value or 0) <= (p99.value or 0)


def test_a_figure_over_its_budget_says_so() -> None:
    shown = table([Figure("quick", 1, "s", 2), Figure("slow", 3, "s", 2), Figure("told", 4, "MiB")]).splitlines()
    assert [line.split()[-1] for line in shown[1:]] == ["s", "OVER", "-"]


def test_a_figure_that_could_not_be_taken_says_why() -> None:
    (line,) = table([Figure("real", None, "ms", 250, "no server here")]).splitlines()[1:]
    assert "not measured" in line
    assert line.endswith("no server here")


@pytest.mark.usefixtures("postgresql")
def test_a_takeover_is_measured_on_a_daemon_that_died_with_its_claim() -> None:
    p50, slowest, writes = takeover.figures(1)
    assert 0 < (p50.value or 0) == slowest.value
    assert writes.value == 1


def test_step_is_measured_for_a_fleet_however_it_fares() -> None:
    figures = step.figures(5)
    assert [figure.what.split(": ")[1] for figure in figures] == list(step.SHARES)
    assert all(figure.value is not None and figure.value > 0 for figure in figures)
