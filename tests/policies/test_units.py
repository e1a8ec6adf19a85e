"""Quantities as people write them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.text import units
from rollbackd.policies.text.units import Quantity, UnitError

QUANTITY = "a number, a size such as 512Mi or a duration such as 30s"
"""What a gauge's limit may be."""


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        pytest.param(units.duration, "1h30m", timedelta(hours=1, minutes=30), id="1h30m"),
        pytest.param(units.duration, "500ms", timedelta(milliseconds=500), id="500ms"),
        pytest.param(units.duration, "1.5h", timedelta(minutes=90), id="decimal-hours"),
        pytest.param(units.duration, "7d", timedelta(days=7), id="days"),
        pytest.param(units.duration, 0, timedelta(0), id="zero-needs-no-unit"),
        pytest.param(units.share, "5%", Quantity(0.05, "%"), id="percent"),
        pytest.param(units.share, "2.5 %", Quantity(0.025, "%"), id="percent-with-space"),
        pytest.param(units.share, 0.05, Quantity(0.05, "%"), id="fraction"),
        pytest.param(units.share, "100%", Quantity(1.0, "%"), id="all"),
        pytest.param(units.seconds, "2000ms", Quantity(2.0, "s"), id="milliseconds"),
        pytest.param(units.quantity, "512Mi", Quantity(512 * 2**20, "bytes"), id="mebibytes"),
        pytest.param(units.quantity, "1.5k", Quantity(1500.0), id="thousands"),
        pytest.param(units.quantity, -3, Quantity(-3.0), id="negative-number"),
        pytest.param(units.quantity, "30s", Quantity(30.0, "s"), id="gauge-in-seconds"),
        pytest.param(units.quantity, "5m", Quantity(300.0, "s"), id="gauge-in-minutes"),
        pytest.param(units.fraction_of, "150%", Quantity(1.5, "%"), id="more-than-the-whole"),
        pytest.param(units.expression_value, "5%", Quantity(0.05, "%"), id="expression-share"),
        pytest.param(units.events, 10, Quantity(10.0), id="events"),
        pytest.param(units.events_per_second, "600/m", Quantity(10.0, "/s"), id="per-minute"),
        pytest.param(units.events_per_second, 10, Quantity(10.0, "/s"), id="per-second"),
    ],
)
def test_a_quantity_reads_in_base_units(read: Callable[[object], object], text: object, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "expected", "hint"),
    [
        pytest.param(units.duration, 15, "a duration such as 30s, 5m or 1h30m", "write 15s", id="duration-without-unit"),
        pytest.param(units.duration, "5 minutes", "a duration such as 30s, 5m or 1h30m", "", id="words"),
        pytest.param(units.duration, "30s1h", "a duration such as 30s, 5m or 1h30m", "", id="units-out-of-order"),
        pytest.param(units.duration, "-5m", "a duration such as 30s, 5m or 1h30m", "", id="negative"),
        pytest.param(units.duration, "9000d", "a duration of at most 366d", "", id="for-ever"),
        pytest.param(units.duration, "9" * 39 + "w", "a duration of at most 366d", "", id="beyond-all-time"),
        pytest.param(units.duration, True, "a duration such as 30s, 5m or 1h30m", "", id="bool"),
        pytest.param(units.share, 5, "a percentage from 0% to 100%", "write 5%", id="five-of-what"),
        pytest.param(units.share, 1, "a percentage from 0% to 100%", "write 1%", id="one-may-mean-all"),
        pytest.param(units.share, "5", "a percentage such as 5%", "write 5%", id="quoted-five"),
        pytest.param(units.share, "120%", "a percentage from 0% to 100%", "", id="over-a-hundred"),
        pytest.param(units.share, "0.05", "a percentage such as 5%", "write 5%, or 0.05 without quotes", id="quoted-fraction"),
        pytest.param(units.share, "five", "a percentage such as 5%", "", id="word"),
        pytest.param(units.share, float("nan"), "a percentage such as 5%", "", id="nan"),
        pytest.param(units.seconds, 2000, "a duration such as 800ms or 2s", "write 2000ms or 2000s", id="latency-without-unit"),
        pytest.param(units.seconds, "0s", "a duration above zero, such as 800ms or 2s", "", id="no-latency"),
        pytest.param(units.quantity, "five", QUANTITY, "", id="not-a-number"),
        pytest.param(units.quantity, "95%", QUANTITY, "a share needs 'of': the selector that the gauge is a share of", id="share-of-nothing"),
        pytest.param(units.quantity, "1000", QUANTITY, "write 1000 without quotes", id="quoted"),
        pytest.param(units.quantity, "512MB", QUANTITY, "write 512M (powers of 1000) or 512Mi (of 1024)", id="bytes"),
        pytest.param(units.quantity, "2 GiB", QUANTITY, "write 2Gi", id="gibibytes"),
        pytest.param(units.quantity, "64K", QUANTITY, "write 64k (powers of 1000) or 64Ki (of 1024)", id="a-large-k"),
        pytest.param(units.quantity, "500m", QUANTITY, "write 0.5 for thousandths, 30000s for minutes", id="millicores-or-minutes"),
        pytest.param(units.quantity, "1_000", QUANTITY, "", id="underscores"),
        pytest.param(units.quantity, float("inf"), QUANTITY, "", id="infinite"),
        pytest.param(units.quantity, 10**400, QUANTITY, "", id="beyond-any-float"),
        pytest.param(units.events, -1, "a number of events, 0 or more", "", id="negative-events"),
        pytest.param(units.events_per_second, "10/d", "a rate such as 10/s or 600/m", "", id="per-day"),
    ],
)
def test_a_wrong_quantity_says_what_was_expected(read: Callable[[object], object], text: object, expected: str, hint: str) -> None:
    with pytest.raises(UnitError) as refused:
        read(text)
    assert (refused.value.expected, refused.value.hint) == (expected, hint)


@given(st.integers(min_value=0, max_value=10**10).map(lambda millis: timedelta(milliseconds=millis)))
def test_a_written_duration_reads_back(span: timedelta) -> None:
    assert units.duration(units.written(span)) == span
