"""Any answer of a Prometheus, at one instant or over a range: rows that were asked for, or one of the adapter's own words; never a crash."""

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Answer, Identity, Increases, Levels, Selector
from rollbackd.adapters.prometheus import Prometheus
from tests.policies.literals import MINUTE, T0

INSTANTS = [T0 + i * timedelta(seconds=15) for i in range(4)]
IDENTITY = Identity(("app",))
SHOP = frozenset({("shop",)})
QUERIES = (
    Increases((("bad", Selector("errors_total")), ("total", Selector("requests_total"))), MINUTE, IDENTITY, SHOP),
    Levels(Selector("memory"), None, "max", IDENTITY, SHOP),
)
QUIETLY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Server(ThreadingHTTPServer):
    """Answers every question with ``body``."""

    body = b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(server: Server) -> Prometheus:
    return Prometheus("prometheus", f"http://127.0.0.1:{server.server_port}", timeout=timedelta(seconds=5))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NUMBER = st.sampled_from(["3", "0", "-1", "NaN", "+Inf", "-Inf", "1e400", "", "x", "3.5"]) | JUNK
TIME = st.sampled_from([T0.timestamp(), T0.timestamp() + 15, T0.timestamp() - 1e9, 1e300, -1e300, math.nan]) | JUNK
POINT = st.tuples(TIME, NUMBER).map(list) | JUNK
WORD = st.sampled_from(["shop", "bad", "total", "0.5", ""])
LABELS = st.dictionaries(st.sampled_from(["app", "__name__", "rollbackd_part", "le"]), WORD, max_size=4) | JUNK
VALUES = {"value": POINT, "values": st.lists(POINT, max_size=3) | JUNK, "histogram": JUNK}
SERIES = st.fixed_dictionaries({"metric": LABELS}, optional=VALUES) | JUNK
RESULT = {"resultType": st.sampled_from(["vector", "matrix", "scalar"]) | JUNK, "result": st.lists(SERIES, max_size=3) | JUNK}
DATA = st.fixed_dictionaries(RESULT) | JUNK
DOCUMENT = st.fixed_dictionaries({"status": st.sampled_from(["success", "error"]), "data": DATA}, optional={"warnings": JUNK, "infos": JUNK}) | JUNK


def heard(prometheus: Prometheus) -> list[Answer]:
    """Every answer that is given for what the server says now; what cannot be is one of the adapter's words."""
    found: list[Answer] = []
    for query in QUERIES:
        try:
            found.append(prometheus.read(query, T0))
            found += prometheus.read_history(query, INSTANTS).values()
        except AdapterError:
            continue
    return found


def check(answers: list[Answer]) -> None:
    for answer in answers:
        assert set(answer.rows) <= SHOP
        for row in answer.rows.values():
            assert not any(math.isnan(value) or math.isinf(value) for value in row.values.values() if isinstance(value, float))


@QUIETLY
@given(document=DOCUMENT)
def test_any_document_is_read_or_refused_in_the_adapters_words(server, prometheus, document):
    server.body = json.dumps(document).encode()
    check(heard(prometheus))


WHOLE = json.dumps(
    {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {"app": "shop"}, "values": [[T0.timestamp(), "3"], [T0.timestamp() + 15, "4"]]}]},
    }
).encode()


@QUIETLY
@given(cut=st.integers(0, len(WHOLE)), scrap=st.binary(max_size=6), drop=st.integers(0, 6))
def test_a_body_damaged_anywhere_is_read_or_refused_in_the_adapters_words(server, prometheus, cut, scrap, drop):
    server.body = WHOLE[:cut] + scrap + WHOLE[cut + drop :]
    check(heard(prometheus))
