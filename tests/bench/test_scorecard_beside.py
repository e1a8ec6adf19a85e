"""What is judged beside its own past: traffic that stops, memory at equal age, seasonal gauges. The judge reads that past as the daemon would."""

import math
from dataclasses import replace
from random import Random

import pytest

from tests.bench.scorecard import generator as made
from tests.bench.scorecard import kept, plan, reach, run
from tests.bench.scorecard.gauges import DAY, MINUTE, SPAN
from tests.bench.scorecard.generator import Service, service
from tests.bench.scorecard.judges import GAUGES, MEMORY, SILENCE, Case, Finding
from tests.bench.scorecard.plan import Cell
from tests.bench.scorecard.shipped import rollbackd

HOUR = 3600.0


def case(section: str, kind: str, seed: int = 1) -> Case:
    cell = next(cell for cell in plan.full() if (cell.section, cell.kind) == (section, kind) and cell.per_minute != 20)
    return Case(service(cell.asked, Random(f"{seed}/{cell.name}")), cell.every, cell.watch, section)


def found(judged: Case) -> Finding:
    one = rollbackd(judged)
    assert one is not None
    assert 0 < one.at - (judged.service.onset or 0) < 1800
    return one


def test_traffic_that_stops_is_suggested_and_acted_on_where_the_pods_are_unready_too() -> None:
    told, acted = found(case(SILENCE, made.SILENT)), found(case(SILENCE, made.SILENT_UNREADY))
    assert (told.held, told.suggested) == (True, True)
    assert (acted.held, acted.suggested) == (False, False)


@pytest.mark.parametrize("kind", plan.CALM)
def test_traffic_that_goes_on_is_left_alone(kind: str) -> None:
    assert rollbackd(case(SILENCE, kind)) is None


def test_a_leak_is_rolled_back_and_pods_that_fill_up_as_before_are_not() -> None:
    leaking = service(made.Asked(made.LEAK, 20, HOUR, history=2 * HOUR), Random(2))
    assert not found(Case(leaking, 30, HOUR, MEMORY)).held
    filled = service(made.Asked(made.FULL, 20, HOUR, history=2 * HOUR), Random(1))
    assert max(scrape.memory for scrape in filled.scrapes if scrape.at > 2 * HOUR) > 0.95, "nearly full, or it proves nothing"
    assert rollbackd(Case(filled, 30, HOUR, MEMORY)) is None


def daily(*, from_day: int = 0, shift: float = 1.0) -> Service:
    """A gauge that doubles within the six hours after the change, as on every day since ``from_day``."""
    changed, dice = SPAN - 6 * HOUR, Random(1)
    samples = []
    for n in range(int(SPAN / MINUTE)):
        at = n * MINUTE
        rising = max(0.0, math.sin(2 * math.pi * (at - changed) / DAY)) if at >= from_day * DAY else 0.0
        samples.append(100 * (1 + rising) * (shift if at >= changed else 1.0) + dice.gauss(0, 1))
    return Service((), changed, changed, to_blame=False, onset=None, replicas=1, gauge=tuple(samples))


@pytest.mark.parametrize(
    ("one", "is_found"),
    [
        pytest.param(daily(), False, id="every-day"),
        pytest.param(daily(from_day=7), True, id="never-before"),
        pytest.param(daily(shift=1.5), True, id="every-day-and-a-shift"),
    ],
)
def test_what_rises_every_day_at_this_time_is_no_shift(one: Service, is_found: bool) -> None:
    assert (rollbackd(Case(one, 60, 6 * HOUR, GAUGES)) is not None) is is_found


def test_a_gauge_of_the_generator_is_judged_by_its_own_truth() -> None:
    for kind in (made.SHIFTED, made.STEADY):
        judged = case(GAUGES, kind)
        assert (rollbackd(judged) is not None) is judged.service.to_blame


def outcome(section: str, kind: str, **counted: object) -> run.Outcome:
    return replace(run.Outcome(Cell(section, kind, 100, HOUR, 30, 4), run.OURS, services=4), **counted)


def words(*outcomes: run.Outcome) -> dict[str, tuple[str, str]]:
    return {one.what: (one.row()[2], one.word.split(",", maxsplit=1)[0]) for one in reach.figures(outcomes) if one.found is not None}


def test_a_suggestion_is_an_answer_to_silence_but_no_act() -> None:
    told = {"held": 3, "suggested": (100.0, 120.0, 140.0)}
    said = words(outcome(SILENCE, made.SILENT, **told), outcome(SILENCE, made.SILENT_UNREADY, **told))
    assert said["traffic to zero at 100/min, suggested: median wait"] == ("2m00s", "met")
    assert said["traffic to zero at 100/min and pods unready, acted: median wait"] == ("never", "NOT MET")


def test_precision_is_of_what_was_rolled_back_and_recall_of_what_was_shifted() -> None:
    said = words(outcome(GAUGES, made.SHIFTED, delays=(400.0, 500.0, 600.0)), outcome(GAUGES, made.STEADY, noise=1))
    assert said == {"seasonal gauges: precision": ("75 %", "NOT MET"), "seasonal gauges: recall": ("75 %", "NOT MET")}


def test_only_what_is_proposed_after_the_onset_of_a_bad_change_counts_as_suggested() -> None:
    cell = Cell(SILENCE, made.SILENT, 100, HOUR, 30, 1)
    bad, well = case(SILENCE, made.SILENT), case(SILENCE, made.PLAIN)
    onset = bad.service.onset or 0

    def suggested(judged: Case, at: float, *, is_proposal: bool = True) -> tuple[float, ...]:
        return run.scored(cell, run.OURS, judged, Finding(at, held=True, suggested=is_proposal)).suggested

    assert suggested(bad, onset + 60) == (60.0,)
    assert [suggested(bad, onset - 1), suggested(bad, onset + 60, is_proposal=False), suggested(well, onset + 60)] == [(), (), ()]


def test_what_was_suggested_is_kept(tmp_path) -> None:
    one = outcome(SILENCE, made.SILENT, held=1, suggested=(100.0,))
    file = tmp_path / "run.json"
    file.write_text(kept.written([one], [], 1))
    assert kept.read(file) == [one]
