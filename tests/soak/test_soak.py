"""The soak can be believed: it runs, it sees a leak where there is one, and none where there is none. Nothing here asserts a time."""

import math
import random
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rollbackd.controller.journal.chain import Break
from tests.simulation.world import silence
from tests.soak.course import Run, run
from tests.soak.days import EVERY, ONLY_BAD, Month, Place, Releases
from tests.soak.growth import Day, faults
from tests.soak.limits import findings, table
from tests.soak.plot import draw
from tests.soak.samples import Sample, missed_in
from tests.soak.town import town_in
from tests.soak.trend import student, trend
from tests.soak.weather import FAULTS

HOURS = [minute / 60 for minute in range(31)]
STEADY = Run(
    samples=[Sample(at, "source down", 100.0, 20, 15, 0.01, 0, slots=1, accepted=1, journal_kib=500.0, overslept=0.0) for at in HOURS],
    incidents=3,
    closed=3,
    open_at_end=0,
    rows=30,
    broken=None,
    crashes=0,
)


def broken_in(run: Run) -> list[str]:
    """What the run broke."""
    return [each.what for each in findings(run) if not each.is_kept]


def sampled(**fields: list[float]) -> Run:
    """The steady run, but these fields go like this."""
    rows = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    return replace(STEADY, samples=[replace(one, **row) for one, row in zip(STEADY.samples, rows, strict=True)])  # type: ignore[arg-type]


# --- lines ---------------------------------------------------------------------------------------------------------------------------------------


def test_a_line_is_found_with_its_slope_an_hour():
    found = trend(HOURS, [100 + 3 * hour for hour in HOURS])
    assert found.slope == pytest.approx(3)
    assert found.low == pytest.approx(3)


def test_noise_is_not_sure_to_rise():
    dice = random.Random(1)
    found = trend(HOURS, [100 + dice.gauss(0, 1) for _ in HOURS])
    assert found.low < 0 < found.high


def test_two_points_prove_nothing():
    assert not trend(HOURS[:2], [1.0, 9.0]).is_known
    assert trend(HOURS[:3], [1.0, 9.0, 1.0]).is_known


@pytest.mark.parametrize(("freedom", "quantile"), [(4, 2.776), (10, 2.228), (23, 2.069), (100, 1.984)])
def test_the_quantiles_are_those_of_the_tables(freedom: int, quantile: float):
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


# --- limits --------------------------------------------------------------------------------------------------------------------------------------


def test_a_steady_run_breaks_no_limit():
    assert broken_in(STEADY) == []


def test_memory_that_grows_by_more_than_a_mebibyte_an_hour_is_told():
    leaking = sampled(rss_mib=[100 + 1.1 * hour for hour in HOURS])
    assert broken_in(leaking) == ["RSS"]
    assert [line.split()[0] for line in table(findings(leaking)).splitlines() if line.endswith("BROKEN")] == ["RSS"]


def test_what_grows_in_the_warm_up_only_is_no_leak():
    assert broken_in(sampled(rss_mib=[100 + 100 * min(hour, 0.1) for hour in HOURS])) == []


def test_files_and_threads_that_are_left_open_are_told():
    assert broken_in(sampled(files=[20 + minute // 5 for minute in range(31)])) == ["open files"]
    assert broken_in(sampled(threads=[15 + minute // 5 for minute in range(31)])) == ["threads"]


def test_pools_that_breathe_are_flat():
    assert broken_in(sampled(threads=[15 + minute % 3 for minute in range(31)])) == []


def test_slots_may_be_missed_where_a_fault_holds_the_daemon_up_and_nowhere_else():
    late = sampled(missed=[0] * 10 + [1] * 21)
    assert broken_in(late) == ["missed slots"]
    assert missed_in(late.samples, ["source down"]) == 1
    assert broken_in(replace(late, samples=[replace(one, fault="source hangs") for one in late.samples])) == []


def test_a_broken_chain_an_open_incident_and_a_crash_are_told():
    assert broken_in(replace(STEADY, broken="row 7", open_at_end=1, crashes=1)) == ["audit chain", "open incidents at the end", "crashes in the log"]


@pytest.mark.parametrize(
    ("idle", "what"),
    [
        pytest.param(replace(STEADY, samples=[replace(one, slots=0) for one in STEADY.samples]), "slots", id="no-slot"),
        pytest.param(replace(STEADY, incidents=0, closed=0), "incidents opened", id="no-incident"),
        pytest.param(replace(STEADY, samples=[replace(one, accepted=0) for one in STEADY.samples]), "writes accepted", id="no-write"),
    ],
)
def test_a_run_in_which_nothing_happened_proves_nothing(idle: Run, what: str):
    assert broken_in(idle) == [what]


def test_too_few_samples_keep_no_limit_of_growth():
    short = replace(STEADY, samples=STEADY.samples[:3])
    assert broken_in(short) == ["RSS", "open files", "threads"]
    assert "too few samples" in table(findings(short))


def virtual(mib_a_day: float, *, incidents: int = 1, count: int = 30) -> list[Day]:
    return [Day(number, 80 + mib_a_day * number, 1000, 10, incidents) for number in range(1, count + 1)]


def test_virtual_days_may_grow_by_what_was_measured():
    assert faults(virtual(0.06), None) == []


def test_a_mebibyte_a_virtual_day_is_a_leak():
    assert faults(virtual(1.1), None) == ["RSS slope +1.100 (+1.100 to +1.100) MiB a virtual day, limit < 1"]


def test_too_few_virtual_days_keep_no_limit_of_growth():
    assert faults(virtual(0.0, count=2), None) == ["RSS of too few days for a slope, limit < 1"]


def test_virtual_days_without_an_incident_or_with_a_broken_chain_are_told():
    broken = Break(7, "daemon", "altered")
    assert faults(virtual(0.0, incidents=0), broken) == ["no incident", f"audit chain: {broken}"]


def test_the_plot_is_xml_with_a_line_for_each_thing():
    root = ElementTree.fromstring(draw(STEADY.samples))
    assert len(root.findall(".//{http://www.w3.org/2000/svg}polyline")) == 5


# --- runs ----------------------------------------------------------------------------------------------------------------------------------------


def test_a_short_soak_opens_incidents_and_closes_all_of_them(tmp_path: Path):
    shown: list[Sample] = []
    with town_in(tmp_path) as town:
        town.open()
        told = run(town, 0.25, shown.append, round_seconds=7.5)
    assert told.samples == shown
    assert {one.fault for one in shown} == {fault.name for fault in FAULTS[:2]}
    assert (told.incidents, told.open_at_end, told.broken, told.crashes) == (told.closed, 0, None, 0)
    assert told.incidents > 0


def test_a_healthy_virtual_day_writes_nothing(tmp_path: Path):
    silence()
    place = Place(f"sqlite:///{tmp_path}/rollbackd.db")
    month = Month(place, tmp_path, Releases(math.inf, 0))
    month.run(5)
    before = place.counts(), place.size()
    month.run(20)
    assert (place.counts(), place.size()) == before
    assert month.clock.now - month.began == 25 * EVERY


def test_bad_releases_of_virtual_days_are_incidents_that_close(tmp_path: Path):
    silence()
    place = Place(f"sqlite:///{tmp_path}/rollbackd.db")
    Month(place, tmp_path, ONLY_BAD).run(60)
    _, closed = place.counts()
    assert closed > 0
    assert place.broken() is None
