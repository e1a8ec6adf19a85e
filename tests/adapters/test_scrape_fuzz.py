"""A page of metrics damaged anywhere: read whole, or not used at all; what follows from it is numbers, of the workloads that were asked for."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.adapters.base.source import Identity, Increases, Levels, Matcher, Selector, Slower
from rollbackd.adapters.scrape import Endpoint, Scrape
from tests.exposition import Exposition, Reply, exposing, these

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SHOP = frozenset({("shop",)})
BY_APP = Identity(("app",))
PAGE = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 100
requests_total{code="500",path="/a b \\"c\\""} 3
# TYPE seconds histogram
seconds_bucket{le="0.1"} 90
seconds_bucket{le="1"} 100
seconds_bucket{le="+Inf"} 103
seconds_sum 20.5
seconds_count 103
memory_bytes 1.5e+08
process_start_time_seconds 1.7e9
"""
SCRAPS = st.sampled_from(
    [
        '"',
        "\\",
        "{",
        "}",
        ",",
        "=",
        "#",
        " ",
        "\n",
        "\r",
        "\t",
        "NaN",
        "+Inf",
        "-Inf",
        "-1",
        "1e999",
        "1_0",
        "le=",
        "\x00",
        "é",
        "\u2028",
        '{app="x"}',
        " # {",
        "9" * 400,
    ]
)
EDITS = st.lists(st.tuples(st.integers(0, len(PAGE)), st.integers(0, 12), SCRAPS | st.binary(max_size=4)), min_size=1, max_size=4)
QUERIES = (
    Increases(
        (("bad", Selector("requests_total", (Matcher("code", "=~", "5.."),))), ("total", Selector("requests_total"))), 10 * SECOND, BY_APP, SHOP
    ),
    Slower(Selector("seconds"), 0.5, 10 * SECOND, BY_APP, SHOP),
    Levels(Selector("memory_bytes"), None, "max", BY_APP, SHOP),
)


@pytest.fixture(scope="module")
def page() -> Iterator[Exposition]:
    with exposing() as page:
        yield page


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(EDITS, st.booleans())
def test_a_page_damaged_anywhere_gives_numbers_or_nothing(page: Exposition, edits: list[tuple[int, int, str | bytes]], is_late: bool) -> None:
    damaged = PAGE.encode()
    for place, cut, scrap in edits:
        damaged = damaged[:place] + (scrap.encode() if isinstance(scrap, str) else scrap) + damaged[place + cut :]
    clock = [T0]
    source = Scrape("local", these(Endpoint(f"{page.url}/metrics", {"app": "shop"})), interval=5 * SECOND, now=lambda: clock[0])
    sound = Reply(200, PAGE.encode())
    for second, reply in ((0, sound), (5, sound), (10, Reply(200, damaged)), (15, sound if is_late else Reply(200, damaged))):
        clock[0] = T0 + second * SECOND
        page.reply = lambda _, reply=reply: reply
        source.scrape()
    for query in QUERIES:
        answer = source.read(query, clock[0])
        assert answer.rows.keys() | answer.faults.keys() <= SHOP
        for row in answer.rows.values():
            assert all(math.isfinite(value) for name, value in row.values.items() if name not in ("low", "high")), row
            assert all(value >= 0 for name, value in row.values.items() if name in ("bad", "total", "most", "least")), row
