"""The scorecard can be believed: its services are what they are said to be, its judges keep their rules, and a bad judge looks bad."""

import json
import math
from dataclasses import replace
from random import Random
from xml.etree import ElementTree

import pytest

from tests.bench import step
from tests.bench.figures import Figure
from tests.bench.scorecard import generator as made
from tests.bench.scorecard import kayenta, kept, pace, page, plan, rates, reach, run, tables
from tests.bench.scorecard.__main__ import main
from tests.bench.scorecard.gauges import gauge
from tests.bench.scorecard.generator import Asked, Scrape, Service, service
from tests.bench.scorecard.judges import Case, argo, flagger, for_2m, rank_test, threshold
from tests.bench.scorecard.randomness import clumped, poisson
from tests.bench.scorecard.seen import Grown, Seen
from tests.bench.scorecard.shipped import rollbackd

HOUR = 3600.0


def case(kind: str, per_minute: float = 100, seed: object = 1) -> Case:
    return Case(service(Asked(kind, per_minute, HOUR), Random(f"{seed}/{kind}/{per_minute}")), 30, HOUR)


def scraped(per_scrape: int, bad: int, *, until: float = 7300.0) -> Service:
    """So many requests, and errors among them, in each scrape; the change serves from 3600 s on."""
    scrapes = tuple(Scrape(15.0 * n, per_scrape * n, bad * n, 0, 0.5, 3) for n in range(int(until / 15)))
    return Service(scrapes, HOUR, HOUR, to_blame=False, onset=None, replicas=3)


# --- the services ---------------------------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_service():
    assert case(made.DEPENDENCY) == case(made.DEPENDENCY)
    assert case(made.DEPENDENCY) != case(made.DEPENDENCY, seed=2)


@pytest.mark.parametrize("mean", [0.5, 9.0, 11.0, 500.0])
def test_arrivals_vary_as_poisson_does(mean):
    dice = Random(7)
    drawn = [poisson(dice, mean) for _ in range(4000)]
    middle = sum(drawn) / len(drawn)
    spread = sum((one - middle) ** 2 for one in drawn) / len(drawn)
    assert (middle, spread) == (pytest.approx(mean, rel=0.1), pytest.approx(mean, rel=0.15))


def test_clumped_events_are_as_many_and_vary_more():
    dice = Random(7)
    drawn = [clumped(dice, 20.0, 5.0) for _ in range(4000)]
    middle = sum(drawn) / len(drawn)
    assert middle == pytest.approx(20, rel=0.05)
    assert sum((one - middle) ** 2 for one in drawn) / len(drawn) > 5 * middle


@pytest.mark.parametrize(
    ("kind", "before", "after"), [(made.AT_LIMIT, 0.05, 0.05), (made.ERRORS_20, None, 0.2), (made.ERRORS_ALL, None, 1.0), (made.SLOW, None, None)]
)
def test_a_service_has_the_errors_that_it_is_said_to_have(kind, before, after):
    judged = case(kind, per_minute=2000)
    seen = Seen(judged.service)
    old, new = seen.window(HOUR, HOUR), seen.window(judged.end, HOUR - 120)
    assert old is not None
    assert new is not None
    if before is not None:
        assert old.bad / old.total == pytest.approx(before, rel=0.05)
    if after is not None:
        assert new.bad / new.total == pytest.approx(after, abs=0.025)
    if kind == made.SLOW:
        assert old.slow / old.total < made.SLOW_PROMISED < new.slow / new.total


@pytest.mark.parametrize("kind", [*made.QUIET, *made.COINCIDENT, *made.BAD])
def test_counters_only_grow_but_for_restarts_and_the_truth_is_told(kind):
    judged = case(kind)
    falls = sum(b.total < a.total for a, b in zip(judged.service.scrapes, judged.service.scrapes[1:], strict=False))
    # New pods are new counters; those that had counted nothing cannot fall.
    assert falls <= 1 or kind == made.RESTARTS
    assert judged.service.to_blame is (kind in made.BAD)
    assert (judged.service.onset is not None) is (kind in (*made.BAD, *made.COINCIDENT))
    assert bool(judged.service.peers) is (kind in made.COINCIDENT)


def test_the_neighbours_of_a_coincident_fault_did_not_change_and_some_show_it():
    peers = [peer for seed in range(10) for peer in case(made.DEPENDENCY, seed=seed).service.peers]
    assert {peer.changed_at for peer in peers} == {None}
    assert 0.4 < sum(peer.onset is not None for peer in peers) / len(peers) < 1


def test_a_shifted_gauge_is_higher_after_the_change_than_a_day_before():
    for shifted in (True, False):
        one = gauge(shifted, 6 * HOUR, Random(3))
        today, yesterday = (sum(one.samples[-360 - back : len(one.samples) - back]) for back in (0, 1440))
        assert (today / yesterday > 1.15) is shifted


# --- the judges -----------------------------------------------------------------------------------------------------------------


def test_a_restart_takes_nothing_away_from_what_is_counted():
    scrapes = [Scrape(0, 100, 10, 0, 0, 1), Scrape(15, 120, 12, 0, 0, 1), Scrape(30, 30, 3, 0, 0, 1)]
    seen = Seen(Service(tuple(scrapes), None, None, to_blame=False, onset=None, replicas=1))
    assert seen.window(30, 31) == Grown(50, 5, 0)
    assert seen.last_two(30, 300) == Grown(30, 3, 0)
    assert seen.window(30, 10) is None


def test_rollbackd_finds_what_is_bad_and_leaves_what_is_well():
    assert rollbackd(case(made.PLAIN)) is None
    bad = case(made.ERRORS_ALL)
    found = rollbackd(bad)
    assert found is not None
    assert (found.held, 0 < found.at - (bad.service.onset or 0) < 300) == (False, True)


def test_a_fault_of_all_around_is_held_and_a_bad_change_among_healthy_ones_is_found():
    beside = case(made.DEPENDENCY, seed=3)
    assert sum(peer.onset is not None for peer in beside.service.peers) > 2
    held = rollbackd(beside)
    assert held is not None
    assert held.held
    among = Case(service(Asked(made.ERRORS_ALL, 20, HOUR, among=True), Random(2)), 30, HOUR)
    assert {peer.onset for peer in among.service.peers} == {None}
    found = rollbackd(among)
    assert found is not None
    assert (found.held, found.at > (among.service.onset or 0)) == (False, True)


def test_a_threshold_acts_at_once_and_for_2m_two_minutes_later():
    judged = Case(scraped(25, 2), 30, HOUR)
    first, later = threshold(judged), for_2m(judged)
    assert first is not None
    assert later is not None
    assert (first.at - HOUR, later.at - first.at) == (30, 120)
    assert threshold(Case(scraped(25, 1), 30, HOUR)) is None


def test_flagger_rolls_back_at_the_tenth_failed_check_and_promotes_at_the_tenth_that_passes():
    found = flagger(Case(scraped(25, 2), 30, HOUR))
    assert found is not None
    assert found.at - HOUR == 600
    assert flagger(Case(scraped(25, 1), 30, HOUR)) is None
    assert flagger(Case(scraped(0, 0), 30, HOUR)) is not None, "a check without values has failed"


def test_argo_aborts_at_the_third_failed_measurement_from_the_second_weight_on():
    found = argo(Case(scraped(25, 2), 30, HOUR))
    assert found is not None
    assert found.at - HOUR == 600 + 2 * 300
    assert argo(Case(scraped(25, 1), 30, HOUR)) is None
    assert argo(Case(scraped(0, 0), 30, HOUR)) is not None, "0/0 is not at least 0.95"


def test_the_rank_test_sees_a_shift_and_no_shift():
    dice = Random(1)
    control = [dice.gauss(0.02, 0.005) for _ in range(60)]
    assert not kayenta.is_high([dice.gauss(0.02, 0.005) for _ in range(60)], control)
    assert kayenta.is_high([dice.gauss(0.2, 0.02) for _ in range(60)], control)
    assert not kayenta.is_high([], control)
    assert rank_test(case(made.ERRORS_20)) is not None


# --- the score ------------------------------------------------------------------------------------------------------------------


def test_shares_have_wilson_intervals_and_waits_those_of_order_statistics():
    none, half = rates.share(0, 10), rates.share(5, 10)
    assert none is not None
    assert half is not None
    assert (none.low, none.high) == (0, pytest.approx(0.2775, abs=1e-3))
    assert (half.low, half.high) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))
    waits = rates.quantile([float(n) for n in range(60)], 100, 0.5)
    assert waits is not None
    assert (waits.value, waits.low, waits.high) == (49, 40, math.inf)
    assert rates.share(0, 0) is None


def test_a_judge_that_always_rolls_back_scores_badly():
    cells = [replace(cell, services=1) for cell in plan.quick() if cell.section in ("quiet", "coincident", "bad")]
    outcomes = [replace(one, judge=run.OURS) for one in run.run(cells, 1, run.BROKEN, 1, lambda done: None)]
    measured = [figure for figure in reach.figures(outcomes) if figure.found is not None]
    healthy = [figure for figure in measured if figure.what.startswith("false rollbacks")]
    assert len(healthy) >= 4
    assert {(figure.word, figure.found.value) for figure in healthy if figure.found} == {("NOT MET", 1.0)}
    late = next(figure for figure in measured if figure.what.endswith("found"))
    assert late.is_met is False, "rolling back before the onset is not finding it"


def test_noise_wrong_blame_and_detection_are_told_apart():
    cell = next(plan.quick())
    bad, healthy, beside = case(made.LATE), case(made.PLAIN), case(made.UPSTREAM)

    def scored(judged: Case, at: float, *, held: bool = False) -> tuple[int, int, int, int]:
        one = run.scored(cell, "x", judged, run.Finding(at, held))
        return one.noise, one.blamed, one.held, len(one.delays)

    onset, others = bad.service.onset or 0, beside.service.onset or 0
    assert [scored(bad, onset - 1), scored(bad, onset + 60)] == [(1, 0, 0, 0), (0, 0, 0, 1)]
    assert [scored(beside, others - 1), scored(beside, others + 60)] == [(1, 0, 0, 0), (0, 1, 0, 0)]
    assert [scored(healthy, 5000), scored(healthy, 5000, held=True)] == [(1, 0, 0, 0), (0, 0, 1, 0)]


def test_the_figures_do_not_depend_on_the_number_of_processes():
    cells = plan.chosen(plan.quick(), [made.ERRORS_ALL, made.PLAIN])
    cells = [replace(cell, services=6) for cell in cells if cell.per_minute == 500 and cell.every == plan.EVERY]
    one, two = (run.run(cells, 3, {"for: 2m": for_2m}, jobs, lambda done: None) for jobs in (1, 2))
    assert one == two


def test_the_command_runs_and_its_page_can_be_made_again_from_what_it_kept(capsys, tmp_path):
    main(["--quick", "--only", made.ERRORS_ALL, "--jobs", "1", "--json"])
    said = capsys.readouterr()
    assert "% judged" in said.err
    document = json.loads(said.out)
    assert document["kind"] == "Scorecard"
    file = tmp_path / "run.json"
    file.write_text(said.out)
    outcomes = kept.read(file)
    figures = reach.figures(outcomes)
    page.write(tmp_path, outcomes, figures, plan.SEED)
    ElementTree.parse(tmp_path / "accuracy.svg")
    text = (tmp_path / "accuracy.md").read_text()
    assert "make scorecard" in text
    assert "| errors-100% | 100 % (61 % to 100 %) |" in text
    assert "not measured yet" in tables.reached(figures).text()


def test_deciding_is_timed_on_the_fleet_of_the_bench():
    assert [line.what for line in pace.figures(5)] == [line.what for line in step.figures(5)]


def test_the_pace_says_what_the_bench_says():
    (line,) = pace.lines([Figure("step, 40,000 conditions: all is well (1 %)", 1.06, "s of CPU", 1.0)])
    assert line.row() == ("step, 40,000 conditions: all is well (1 %)", "<= 1 s of CPU", "1.06 s of CPU", "", "1", "NOT MET")


def test_a_name_that_nothing_has_is_refused():
    with pytest.raises(SystemExit, match="nothing is called nonsense"):
        main(["--only", "nonsense"])
