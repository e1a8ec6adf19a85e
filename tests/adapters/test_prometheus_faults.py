"""What the Prometheus source does when the other side misbehaves. The server is one of our own, because no real one can be told to."""

import gc
import gzip
import json
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.source import Answer, Identity, Increases, Row, Selector
from rollbackd.adapters.prometheus import Prometheus
from tests.exposition import Loopback, Reply, Request, serving
from tests.servers import free_port

AT = datetime(2026, 1, 1, tzinfo=UTC)
QUERY = Increases((("total", Selector("requests_total")),), timedelta(minutes=1), Identity(("app",)), frozenset({("a",)}))
SERIES = [
    {"metric": {"app": "a", "rollbackd_part": "total"}, "value": [AT.timestamp(), "7"]},
    {"metric": {"app": "a", "rollbackd_part": "newest sample"}, "value": [AT.timestamp(), str(AT.timestamp())]},
]


def body(result: object = SERIES, kind: str = "vector", **more: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def error(kind: str, text: str) -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


def valued(value: str) -> bytes:
    return body([{"metric": SERIES[0]["metric"], "value": [AT.timestamp(), value]}, SERIES[1]])


def read(server: Loopback, **settings: object) -> Answer:
    return Prometheus("main", server.url, **settings).read(QUERY, AT)  # type: ignore[arg-type]  # settings of the test's own


def test_good_answer_is_read() -> None:
    with serving(Reply(body=body())) as server:
        assert read(server) == Answer({("a",): Row({"total": 7.0}, AT)}, known_parts=frozenset({"total"}))


def test_one_query_is_one_request_with_its_instant_and_deadline() -> None:
    with serving(Reply(body=body())) as server:
        read(server)
    (asked,) = server.asked
    form = parse_qs(asked.body.decode())
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    assert (form["time"], form["timeout"]) == ([f"{AT.timestamp():.3f}"], ["10s"])


def test_a_question_is_never_part_of_an_address_which_the_standard_library_would_keep() -> None:
    with serving(Reply(body=body())) as server:
        read(server)
        kept = urlsplit.cache_info().currsize
        for second in range(5):
            Prometheus("main", server.url).read(QUERY, AT + timedelta(seconds=second))
    assert urlsplit.cache_info().currsize == kept


FAULTS = [
    pytest.param(Reply(body=b"<html><body>Sign in</body></html>"), Transient, "no JSON object: <html>", id="html-with-200"),
    pytest.param(Reply(body=body()[:40]), Transient, "no JSON object", id="json-that-ends-early"),
    pytest.param(Reply(body=body(), promise=100_000), Transient, "broke off|did not answer|no JSON", id="body-shorter-than-announced"),
    pytest.param(Reply(body=b""), Transient, "no JSON object", id="empty-body"),
    pytest.param(Reply(body=b"[]"), Transient, "no JSON object", id="a-list"),
    pytest.param(Reply(body=b"[" * 100_000), Transient, "no JSON object", id="brackets-without-end"),
    pytest.param(Reply(body=b"\xff\xfe\x00"), Transient, "no JSON object", id="not-text"),
    pytest.param(Reply(body=b"garbage", headers={"Content-Encoding": "gzip"}), Transient, "broke off", id="gzip-that-is-none"),
    pytest.param(Reply(body=body(kind="scalar")), Transient, "'scalar' where 'vector'", id="scalar-where-a-vector-was-asked"),
    pytest.param(Reply(body=body({})), Transient, "where 'vector'", id="result-is-no-list"),
    pytest.param(Reply(body=b'{"a": 1}'), Transient, 'something that Prometheus never says: {"a": 1}', id="json-of-another"),
    pytest.param(Reply(body=b'{"status": "success"}'), Transient, "'None' where 'vector'", id="no-data"),
    pytest.param(Reply(body=body([7])), Transient, "unknown shape", id="series-that-is-a-number"),
    pytest.param(Reply(body=body([{"metric": SERIES[0]["metric"], "value": []}])), Transient, "unknown shape", id="series-without-value"),
    pytest.param(Reply(body=body([{"metric": {"app": "a"}, "value": [1, "7"]}])), Transient, "unknown shape", id="series-of-no-part"),
    pytest.param(Reply(body=valued("seven")), Transient, "unknown shape", id="value-that-is-a-word"),
    pytest.param(
        Reply(body=body([SERIES[0], {**SERIES[1], "value": [1, "1e300"]}])), Transient, "of the time 1e\\+300", id="sample-from-the-far-future"
    ),
    pytest.param(Reply(body=error("execution", "boom")), Transient, "could not answer \\(execution\\): boom", id="error-with-200"),
    pytest.param(Reply(422, error("execution", "many-to-many")), Transient, "many-to-many", id="execution-error"),
    pytest.param(Reply(503, error("timeout", "too slow")), Transient, "\\(timeout\\): too slow", id="query-timed-out"),
    pytest.param(Reply(400, error("bad_data", "parse error")), Permanent, "does not accept the question: parse error", id="question-not-accepted"),
    pytest.param(Reply(500, b"oops"), Transient, "failed \\(HTTP 500\\): oops", id="500"),
    pytest.param(Reply(404, b"not here"), Permanent, "HTTP 404 .*: not here", id="404"),
    pytest.param(Reply(401, b"who are you"), Transient, "HTTP 401.: who are you", id="401"),
    pytest.param(Reply(403, b"not you"), Transient, "HTTP 403.: not you", id="403"),
    pytest.param(Reply(302, headers={"Location": "https://sso.example/login"}), Transient, "redirects to sso.example", id="redirect-to-a-login-page"),
    pytest.param(Reply(302, headers={"Location": "http://[oops/login"}), Transient, "redirects to another address", id="redirect-to-no-address"),
    pytest.param(Reply(body=body(warnings=["store eu-2 did not answer"])), Transient, "store eu-2 did not answer", id="partial-answer"),
    pytest.param(Reply(body=body(warnings=["PromQL info: odd", "eu-2 is gone"])), Transient, "incomplete: eu-2 is gone,", id="partial-and-a-remark"),
    pytest.param(Reply(body=body(warnings=["PromQL warning: a mix of histograms and floats"])), Transient, "incomplete: PromQL warn", id="warned"),
    pytest.param(Reply(body=body(warnings=["PromQL info: odd name", "3 more annotations omitted"])), Transient, "omitted", id="warned-of-more"),
    pytest.param(Reply(body=body(warnings="eu-2 is gone")), Transient, "incomplete: eu-2 is gone", id="warned-in-no-list"),
    pytest.param(Reply(body=body(isPartial=True)), Transient, "from a part of its stores only", id="partial-in-victoriametrics"),
    pytest.param(Reply(body=body(isPartial=False)), None, "", id="whole-in-victoriametrics"),
    pytest.param(Reply(body=body(warnings=[])), None, "", id="no-warnings"),
    pytest.param(Reply(body=body(infos=7)), None, "", id="a-remark-in-no-list"),
]


@pytest.mark.parametrize(("reply", "word", "message"), FAULTS)
def test_answer_is_used_whole_or_not_at_all(reply: Reply, word: type[AdapterError] | None, message: str) -> None:
    with serving(reply) as server:
        if word is None:
            assert read(server).rows
            return
        with pytest.raises(AdapterError, match=message) as raised:
            read(server, timeout=timedelta(seconds=1))
    assert type(raised.value) is word


@pytest.mark.parametrize("value", [pytest.param("NaN", id="nan"), pytest.param("+Inf", id="inf"), pytest.param("-Inf", id="minus-inf")])
def test_value_that_is_no_number_leaves_no_row(value: str) -> None:
    with serving(Reply(body=valued(value))) as server:
        assert read(server).rows == {}


def test_empty_vector_is_no_row_and_no_zero() -> None:
    with serving(Reply(body=body([]))) as server:
        assert read(server) == Answer({})


def test_native_histogram_where_a_number_was_expected_is_a_fault() -> None:
    histogram = {"metric": SERIES[0]["metric"], "histogram": [AT.timestamp(), {"count": "7"}]}
    with serving(Reply(body=body([histogram, SERIES[1]]))) as server:
        answer = read(server)
    assert answer.faults == {("a",): "app='a' has a native histogram where a number was expected"}
    assert answer.rows == {}


def test_refused_connection_is_transient() -> None:
    with pytest.raises(Transient, match="could not be reached \\(Connection refused\\)"):
        Prometheus("main", f"http://127.0.0.1:{free_port()}").read(QUERY, AT)


def test_name_that_does_not_resolve_is_transient() -> None:
    with pytest.raises(Transient, match="could not be reached"):
        Prometheus("main", "http://no-such-host.invalid").read(QUERY, AT)


def test_server_without_tls_is_never_asked_without_it() -> None:
    with serving(Reply(body=body())) as server, pytest.raises(Transient, match="certificate was not accepted"):
        Prometheus("main", server.url.replace("http:", "https:")).read(QUERY, AT)


def test_slow_answer_is_given_up() -> None:
    with serving(Reply(body=body(), wait=30)) as server, pytest.raises(Transient, match=r"did not answer within 0\.2 s"):
        read(server, timeout=timedelta(seconds=0.2))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        pytest.param("execution", "query processing would load too many samples into memory in query execution", id="prometheus"),
        pytest.param(
            "execution", "the query exceeded the maximum number of chunks (limit: 2000000 chunks) (err-mimir-max-chunks-per-query)", id="mimir"
        ),
        pytest.param("422", "the number of matching timeseries exceeds 300000; either narrow down the search", id="victoriametrics"),
    ],
)
def test_a_question_that_is_too_large_for_the_source_is_refused_for_good(kind: str, said: str) -> None:
    with serving(Reply(422, error(kind, said))) as server, pytest.raises(Permanent, match="refuses to read so much"):
        read(server)


def test_another_failure_of_the_execution_may_pass() -> None:
    with serving(Reply(422, error("execution", "expanding series: open block: no such file"))) as server, pytest.raises(Transient):
        read(server)


def test_redirect_is_told_before_its_body_has_come() -> None:
    ended = []

    def drip() -> Iterator[bytes]:
        for _ in range(100):
            yield b"moved"
            server.stopping.wait(0.05)
        ended.append(True)

    with serving(Reply(302, drip, headers={"Location": "/login"})) as server:
        with pytest.raises(Transient, match="redirects to another address"):
            read(server)
        assert not ended


def test_dripping_answer_is_given_up() -> None:
    def drip() -> Iterator[bytes]:
        while not server.stopping.wait(0.02):
            yield b" "

    with serving(Reply(body=drip)) as server, pytest.raises(Transient, match=r"did not answer within 0\.2 s"):
        read(server, timeout=timedelta(seconds=0.2))


def test_failed_request_is_not_repeated_behind_our_back() -> None:
    with serving(Reply(503, b"later")) as server, pytest.raises(Transient):
        read(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param({"Retry-After": "Thu, 01 Jan 2026 00:01:30 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 90.0, id="date"),
        pytest.param({"Retry-After": "soon"}, None, id="nonsense"),
        pytest.param({}, None, id="none"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_wish_to_be_asked_later_is_handed_on(headers: dict[str, str], expected: float | None, status: int) -> None:
    with serving(Reply(status, b"slow down", headers)) as server, pytest.raises(Transient) as raised:
        read(server)
    assert raised.value.retry_after == expected


def test_endless_body_is_cut_off_at_the_cap() -> None:
    def half_a_gigabyte() -> Iterator[bytes]:
        for _ in range(8_000):
            yield b" " * 65_536

    with serving(Reply(body=half_a_gigabyte)) as server, pytest.raises(Transient, match="larger than 33554432 bytes"):
        read(server)
    # Beyond the cap lies only what the sockets had buffered.
    assert server.sent < 64 << 20


def test_gzip_bomb_never_unfolds_in_memory() -> None:
    bomb = gzip.compress(b" " * (100 << 20))
    with serving(Reply(body=bomb, headers={"Content-Encoding": "gzip"})) as server:
        tracemalloc.start()
        try:
            with pytest.raises(Transient, match="larger than 4194304 bytes"):
                read(server, max_bytes=4 << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 24 << 20


def test_packed_answer_is_unpacked() -> None:
    with serving(Reply(body=gzip.compress(body()), headers={"Content-Encoding": "gzip"})) as server:
        assert read(server).rows[("a",)].values == {"total": 7.0}


def test_too_many_series_are_not_used() -> None:
    with serving(Reply(body=body([SERIES[0]] * 11))) as server, pytest.raises(Transient, match="11 series, more than 10"):
        read(server, max_series=10)


def told(value: str, most: int = 1_000) -> Callable[[Request], Reply]:
    """A source that tells this value at each moment, and refuses to read more of them than ``most`` for one answer."""

    def reply(request: Request) -> Reply:
        form = parse_qs(request.body.decode())
        if "start" not in form:
            return Reply(body=body())
        start, end, step = (float(form[name][0]) for name in ("start", "end", "step"))
        times = [start + step * n for n in range(round((end - start) / step) + 1)]
        if len(times) > most:
            return Reply(422, error("execution", "query processing would load too many samples into memory in query execution"))
        return Reply(body=body([{"metric": SERIES[0]["metric"], "values": [[time, value] for time in times]}], kind="matrix"))

    return reply


@pytest.mark.parametrize(
    ("reply", "max_bytes"),
    [
        pytest.param(told("1." + "0" * 398), 2_000, id="too-large"),
        pytest.param(told("1", most=3), 1 << 20, id="more-than-it-reads"),
    ],
)
def test_history_that_is_too_much_for_one_answer_is_asked_for_in_halves(reply: Callable[[Request], Reply], max_bytes: int) -> None:
    instants = [AT + timedelta(seconds=15 * n) for n in range(9)]
    with serving(reply) as server:
        answers = Prometheus("main", server.url, max_bytes=max_bytes).read_history(QUERY, instants)
    assert list(answers) == instants
    assert all(answer.rows for answer in answers.values())
    assert len(server.asked) > 2


def test_question_about_now_is_answered_while_a_history_waits_for_its_next_piece() -> None:
    is_answered = threading.Event()
    is_waiting = threading.Event()
    piece = told("1")

    def reply(request: Request) -> Reply:
        if len(server.asked) == 2:  # the history's second request; the question about now is the third
            is_waiting.set()
            is_answered.wait(5)
        return piece(request)

    with serving(reply) as server, ThreadPoolExecutor(1) as pool:
        source = Prometheus("main", server.url, max_bytes=1_000)
        history = pool.submit(source.read_history, QUERY, [AT + timedelta(seconds=15 * n) for n in range(36)])
        assert is_waiting.wait(5)
        assert source.read(QUERY, AT).rows
        assert not history.done()
        is_answered.set()
        assert len(history.result().keys()) == 36


@pytest.mark.parametrize("where", [pytest.param("warnings", id="until-2.53"), pytest.param("infos", id="since")])
def test_remark_on_the_name_of_a_counter_refuses_nothing(where: str) -> None:
    remark = 'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "errors" (1:5)'
    with serving(Reply(body=body(**{where: [remark]}))) as server:
        answer = read(server)
    assert answer.rows[("a",)].values == {"total": 7.0}


def test_token_is_read_again_when_it_was_rotated_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    def reply(request: Request) -> Reply:
        file.write_text("new\n")
        return Reply(body=body()) if request.headers["Authorization"] == "Bearer new" else Reply(401)

    with serving(reply) as server:
        assert read(server, token_file=file).rows
    assert [request.headers["Authorization"] for request in server.asked] == ["Bearer old", "Bearer new"]


def test_token_that_stays_refused_is_not_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    with serving(Reply(401, b"no user has s3cret")) as server, pytest.raises(Transient) as raised:
        read(server, token_file=file)
    assert len(server.asked) == 1
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(lambda _: None, "cannot be read \\(No such file", id="missing"),
        pytest.param(lambda file: file.write_text("\n"), "holds no token", id="empty"),
        pytest.param(lambda file: file.write_text("s3cret\ns3cret"), "holds no token", id="two-lines"),
        pytest.param(lambda file: file.write_bytes(b"s3cret\xff"), "cannot be read \\(not text", id="binary"),
    ],
)
def test_unusable_token_file_is_told_without_its_content(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    file = tmp_path / "token"
    write(file)
    with serving(Reply(body=body())) as server, pytest.raises(Permanent, match=message) as raised:
        read(server, token_file=file)
    assert "s3cret" not in str(raised.value)
    assert server.asked == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("http://user:s3cret@127.0.0.1:9090", "holds a password", id="password"),
        pytest.param("127.0.0.1:9090", "not an http", id="no-scheme"),
        pytest.param("file:///etc/passwd", "not an http", id="file"),
        pytest.param("http://", "not an http", id="no-host"),
    ],
)
def test_unusable_address_is_refused_at_once(url: str, message: str) -> None:
    with pytest.raises(Permanent, match=message) as raised:
        Prometheus("main", url)
    assert "s3cret" not in str(raised.value)


def test_environment_does_not_redirect_questions_or_add_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with serving(Reply(body=body())) as server:
        assert read(server).rows
    assert "Authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(status=503, body=b"no healthy upstream"), id="down"),
        pytest.param(Reply(status=429, body=b"slow down", headers={"Retry-After": "1"}), id="too-many-requests"),
        pytest.param(Reply(status=302, headers={"Location": "/login"}), id="elsewhere"),
        pytest.param(Reply(body=b"<html>"), id="no-json"),
        pytest.param(Reply(body=body([{}])), id="another-shape"),
        pytest.param(Reply(body=body(), promise=10_000), id="cut-off"),
        pytest.param(Reply(body=body(), wait=5), id="late"),
    ],
)
def test_a_fault_is_gone_once_it_is_told_and_with_it_the_answer_that_it_came_of(reply: Reply) -> None:
    def fault(server: Loopback) -> "weakref.ref[AdapterError]":
        try:
            read(server, timeout=timedelta(seconds=1))
        except AdapterError as error:
            return weakref.ref(error)
        raise AssertionError("it was read")

    with serving(reply) as server:
        fault(server)  # what is made once
        gc.collect()
        gc.disable()
        try:
            assert fault(server)() is None
        finally:
            gc.enable()
