"""Freezes as they are written in the daemon's config."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from rollbackd.policies.known.freeze import Freeze, Once, Weekly
from tests.controller.test_config import SHORTEST, read, said


def freezing(entry: str) -> str:
    return f"{SHORTEST}guards:\n  freeze:\n    - {entry}\n"


def test_dates_are_read_by_the_clocks_of_the_zone():
    config = read(freezing("{reason: sale, from: '2026-11-27 00:00', until: '2026-11-30 06:00', zone: Europe/Berlin, namespaces: [shop]}"))
    span = Once(datetime(2026, 11, 26, 23, tzinfo=UTC), datetime(2026, 11, 30, 5, tzinfo=UTC))
    assert config.limits.freezes == (Freeze("sale", span, frozenset({"shop"})),)


def test_times_of_day_need_no_quotes_and_mean_every_day_unless_said():
    config = read(freezing("{reason: night, from: 18:00, until: 08:00}"))
    assert config.limits.freezes == (Freeze("night", Weekly(frozenset(range(7)), time(18), time(8), ZoneInfo("UTC"))),)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("{reason: r, from: 18:00, until: 08:00, zone: Europe/Berlln}", "expected a time zone such as UTC", id="unknown-zone"),
        pytest.param("{reason: r, from: 18:00, until: 08:00, zone: ../../etc/passwd}", "expected a time zone such as UTC", id="zone-is-a-path"),
        pytest.param("{reason: r, from: 18:00, until: '2026-11-27 00:00'}", "expected a time of day, as 'from' has", id="mixed"),
        pytest.param("{reason: r, from: '2026-11-27 00:00', until: '2026-11-26 00:00'}", "expected an end after the beginning", id="backwards"),
        pytest.param("{reason: r, from: '2026-02-30 00:00', until: '2026-11-26 00:00'}", "both times that there are", id="no-such-day"),
        pytest.param("{reason: r, from: 25:00, until: 08:00}", "both times that there are", id="no-such-hour"),
        pytest.param("{reason: r, from: 08:00, until: 08:00}", "it would never end", id="for-ever"),
        pytest.param("{reason: r, from: '2026-11-27 00:00', until: '2026-11-28 00:00', days: [mon]}", "no days beside dates", id="days-and-dates"),
        pytest.param("{reason: r, from: 18:00, until: 08:00, days: [monday]}", "expected one of mon, tue", id="misspelt-day"),
        pytest.param("{from: 18:00, until: 08:00}", "expected the key 'reason'", id="no-reason"),
    ],
)
def test_what_is_no_freeze_is_refused_with_its_place(entry, expected):
    (fault,) = said(freezing(entry))
    assert expected in fault
    assert fault.startswith("rollbackd.yaml:7:")
