"""Freezes: when they are on, by whose clocks, and for whom."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.known.freeze import Freeze, Once, Weekly, frozen

BERLIN = ZoneInfo("Europe/Berlin")
SALE = Freeze("sale", Once(datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 30, 6, tzinfo=UTC)), frozenset({"shop"}))
WEEKEND = Freeze("nobody is at work", Weekly(frozenset({4, 5, 6}), time(18), time(8), BERLIN))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "is_on"),
    [
        pytest.param(utc(2026, 11, 26, 23, 59), False, id="before"),
        pytest.param(utc(2026, 11, 27), True, id="its-first-moment"),
        pytest.param(utc(2026, 11, 30, 5, 59), True, id="its-last-minute"),
        pytest.param(utc(2026, 11, 30, 6), False, id="its-end"),
    ],
)
def test_a_freeze_with_dates_is_on_once(at, is_on):
    assert (frozen((SALE,), "shop", at) is not None) == is_on


def test_a_freeze_of_a_namespace_leaves_the_others_alone():
    assert frozen((SALE,), "search", utc(2026, 11, 28)) is None


@pytest.mark.parametrize(
    ("at", "end"),
    [
        pytest.param(utc(2026, 11, 27, 16, 59), None, id="friday-17.59-in-berlin"),
        pytest.param(utc(2026, 11, 27, 17), utc(2026, 11, 28, 7), id="friday-18.00"),
        pytest.param(utc(2026, 11, 28, 6, 59), utc(2026, 11, 28, 7), id="the-morning-after"),
        pytest.param(utc(2026, 11, 30, 6, 59), utc(2026, 11, 30, 7), id="monday-morning-belongs-to-sunday"),
        pytest.param(utc(2026, 11, 30, 17, 30), None, id="monday-evening"),
        pytest.param(utc(2026, 7, 3, 16, 30), utc(2026, 7, 4, 6), id="summer-time"),
        pytest.param(utc(2026, 10, 24, 17), utc(2026, 10, 25, 7), id="the-night-that-is-an-hour-longer"),
    ],
)
def test_a_weekly_freeze_keeps_the_clocks_of_its_zone(at, end):
    found = frozen((WEEKEND,), "shop", at)
    assert (found[1] if found else None) == end


def test_of_two_freezes_the_one_that_ends_last_is_named():
    found = frozen((SALE, WEEKEND), "shop", utc(2026, 11, 28, 6))
    assert found is not None
    assert found[0].reason == "sale"


def test_of_two_freezes_that_end_together_one_is_named():
    again = Freeze("audit", SALE.when)
    found = frozen((SALE, again), "shop", utc(2026, 11, 28))
    assert found is not None
    assert found[0] in (SALE, again)


@pytest.mark.parametrize(("hour", "end"), [(7, None), (8, utc(2026, 11, 28, 7)), (23, utc(2026, 11, 28, 7))])
def test_a_weekly_freeze_that_ends_when_it_begins_is_on_for_a_day(hour, end):
    fridays = Freeze("release train", Weekly(frozenset({4}), time(8), time(8), BERLIN))
    found = frozen((fridays,), "shop", datetime(2026, 11, 27, hour, tzinfo=BERLIN))
    assert (found[1] if found else None) == end


@given(st.sets(st.integers(0, 6), min_size=1), st.times(), st.times(), st.integers(0, 60 * 24 * 400))
def test_a_weekly_freeze_is_on_only_after_a_beginning_on_one_of_its_days(days, begins, ends, minute):
    at = utc(2026, 1, 1) + timedelta(minutes=minute)
    found = frozen((Freeze("r", Weekly(frozenset(days), begins, ends, BERLIN)),), "shop", at)
    if found is not None:
        assert at < found[1] <= at + timedelta(hours=25)
        here = at.astimezone(BERLIN)
        assert {here.weekday(), (here - timedelta(days=1)).weekday()} & days
