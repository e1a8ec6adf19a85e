"""Rows 17 to 31: a source that is away, slow, wrong, partial, old or hostile proves nothing, and nothing is done on what is not known.

``house.ill`` with a clear view ends with the release put back; each test is that story with one thing wrong.
"""

import gzip
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.policies.judge.verdict import State
from tests import servers
from tests.adapters.openmetrics import START, document, series
from tests.adapters.test_pooling import AT, QUERY
from tests.exposition import Reply, Request
from tests.faults import server as faults
from tests.faults.house import EVERY, ILL, WELL, Grid, House, house_in, shop_policy
from tests.faults.server import FaultServer, Sound, certificate, fault_server, late, says, spoilt, status
from tests.servers import poll

LOAD = {"name": "load", "gauge": "edge_load", "above": 90, "for": "0s", "unbounded": "accepted"}
TWINS = {"name": "twins", "promql": "max by (app) (edge_load)", "above": 90, "for": "0s", "unbounded": "accepted"}
BLIND = timedelta(minutes=5)
SECRET = "s3cret-t0ken"


@pytest.fixture
def gauging(tmp_path: Path, server: FaultServer) -> Iterator[House]:
    """A daemon that judges the shop by a gauge."""
    with house_in(tmp_path, server, {"shop": shop_policy(when=[LOAD])}) as house:
        yield house


def source(url: str, **more: Any) -> dict[str, Any]:
    return {"prometheus": {"url": url, "scrape_interval": "5s", "timeout": "1s", **more}}


def released(house: House, well: dict[str, float | str] = WELL) -> None:
    """v1 is known to be good, and v2 has just been shipped."""
    house.measured(shop=well)
    house.slots(2)
    house.good()
    house.deploy("v2")
    house.slots(1)  # the change is seen: from now on the shop is watched
    house.measured(shop=ILL)


def through(house: House, span: timedelta) -> None:
    house.slots(span // EVERY + 1)


def test_row_00_with_a_clear_view_the_release_is_put_back_once(house: House) -> None:
    house.ill(6)
    assert (house.version(), house.applied(), house.paged()) == ("v1", ["v1"], [])


# --- 17: away ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "away",
    [pytest.param(lambda: f"http://127.0.0.1:{servers.free_port()}", id="refused"), pytest.param(lambda: "http://no-such-host.invalid", id="dns")],
)
def test_row_17_a_source_that_cannot_be_reached_holds_and_is_paged_once_after_five_minutes(
    tmp_path: Path, server: FaultServer, away: Callable[[], str]
) -> None:
    with house_in(tmp_path, server, sources=source(away())) as house:
        released(house)
        house.slots(6)
        assert (house.unknown().split(":")[0], house.nothing_acted(), house.paged()) == ("error", True, [])
        assert "could not be reached" in house.unknown()
        through(house, 2 * BLIND)
        (page,) = house.paged()
        assert page.startswith("NO ACTION TAKEN: source prometheus has not answered since")
        assert house.nothing_acted()


def test_row_17_a_source_whose_address_changes_is_found_again_without_a_restart(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, leads_to = socket.getaddrinfo, [server]

    def resolve(host: str, port: int, *rest: Any, **more: Any) -> Any:
        return (
            real("127.0.0.1", int(leads_to[0].address.rpartition(":")[2]), *rest, **more)
            if host == "prometheus.test"
            else real(host, port, *rest, **more)
        )

    monkeypatch.setattr(socket, "getaddrinfo", resolve)  # the name server of this machine
    with fault_server() as former:
        leads_to[0] = former
        with house_in(tmp_path, server, sources=source("http://prometheus.test/prometheus")) as house:
            released(house)
            former.metrics.apps = {"shop": dict(WELL)}
            house.slots(1)
            assert house.verdict().state is State.UNPROVEN or house.verdict().state is State.OK
            former.close()
            house.slots(2)
            assert "could not be reached" in house.unknown()
            leads_to[0] = server
            house.slots(6)
            assert house.applied() == ["v1"]


# --- 18: slow ---------------------------------------------------------------------------


def test_row_18_a_source_that_answers_after_30_s_is_given_up_and_delays_no_other(tmp_path: Path, server: FaultServer) -> None:
    server.speakers["slow"] = server.metrics
    policies = {"shop": shop_policy(source="prometheus"), "zoo": shop_policy("zoo", source="slow")}
    sources = {**source(server.at("prometheus")), "slow": {**source(server.at("slow"))["prometheus"], "kind": "prometheus"}}
    with house_in(tmp_path, server, policies, sources=sources) as house:
        server.breaks("slow", late(30))
        slow = threading.Thread(target=house.parts.observation.observe, args=(Grid("slow", EVERY), house.at))
        slow.start()
        house.ill(6)
        slow.join()
        house.look("slow")
        assert house.applied() == ["v1"]
        assert "did not answer within 1 s" in house.unknown("zoo")


# --- 19: on and off ---------------------------------------------------------------------------


def flapping(house: House, slots: int) -> None:
    """So many slots, in every other of which the source does not answer."""
    for number in range(slots):
        house.server.breaks("prometheus", status(503)) if number % 2 == 0 else house.server.mends("prometheus")
        house.slots(1)
    house.server.mends()


def test_row_19_looks_that_saw_nothing_count_neither_for_nor_against(tmp_path: Path, server: FaultServer) -> None:
    when = {"name": "load", "gauge": "edge_load", "above": 90, "breaches": {"at_least": 3, "of": 5}, "unbounded": "accepted"}
    with house_in(tmp_path, server, {"shop": shop_policy(when=[when])}) as house:
        released(house, {"value": 10.0})
        house.measured(shop={"value": 10.0})
        flapping(house, 10)
        assert house.nothing_acted()
        house.measured(shop={"value": 99.0})
        flapping(house, 4)
        assert house.nothing_acted()  # two of five known ones
        house.slots(1)
        assert house.applied() == ["v1"]


# --- 20, 21, 22, 30: an answer that says nothing ---------------------------------------------------------------------------


def test_row_20_an_empty_vector_is_unknown_and_never_zero(house: House) -> None:
    released(house)
    house.measured()
    house.slots(8)
    assert house.unknown() == "nodata: no series with a finite value for this workload"
    assert house.nothing_acted()
    assert house.verdict().state is not State.OK


def test_row_20_a_signal_that_never_had_data_is_a_page_of_its_own(house: House) -> None:
    released(house)
    house.measured()
    house.server.metrics.apps = {}
    through(house, BLIND)
    assert house.paged() == []  # it had some before
    house.write_policy("shop", shop_policy(match={"app": "shpo"}))
    house.reload()
    through(house, 2 * BLIND)
    assert [entry.kind for entry in house.history() if entry.kind.startswith("signal")] == ["signal.absent"]
    assert house.applied() == []


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_row_21_what_is_no_number_is_unknown(gauging: House, value: str) -> None:
    released(gauging, {"value": 10.0})
    gauging.measured(shop={"value": value})
    gauging.slots(6)
    assert gauging.unknown() == "nodata: no series with a finite value for this workload"
    assert gauging.nothing_acted()


@pytest.mark.parametrize("failed", [0.0, 1.0])
def test_row_21_without_traffic_nothing_is_proven(house: House, failed: float) -> None:
    released(house)
    house.measured(shop={"bad": failed, "total": failed})
    house.slots(1)
    house.measured(shop={"bad": 0.0, "total": 0.0})
    house.slots(5)
    assert house.verdict().state is State.UNPROVEN
    assert house.nothing_acted()


def test_row_22_samples_older_than_two_scrapes_and_10_s_are_unknown(house: House) -> None:
    released(house)
    house.server.metrics.age = timedelta(seconds=2 * 5 + 10 + 1)
    house.slots(6)
    assert house.unknown().startswith("nodata: stale: the newest sample is from ")
    assert house.nothing_acted()
    house.server.metrics.age = timedelta(seconds=2 * 5 + 10 - 1)
    house.slots(6)
    assert house.applied() == ["v1"]


def test_row_30_samples_that_stop_advancing_are_unknown_and_a_counter_that_does_not_grow_is_data(house: House) -> None:
    released(house)
    house.measured(shop={"bad": 0.0, "total": 0.0})
    house.slots(4)
    assert house.verdict().state is not State.NODATA
    house.server.metrics.age = 2 * EVERY
    house.measured(shop=ILL)
    for _ in range(6):
        house.server.metrics.age += EVERY
        house.slots(1)
    assert house.unknown().startswith("nodata: stale")
    assert house.nothing_acted()


# --- 23, 24: an answer that is not whole, or none ---------------------------------------------------------------------------


def test_row_23_an_answer_with_a_warning_is_unknown(house: House) -> None:
    released(house)
    house.server.metrics.extra = {"warnings": ["store gateway 2 of 3 did not answer"]}
    house.slots(6)
    assert "store gateway 2 of 3 did not answer" in house.unknown()
    assert house.nothing_acted()


WRONG = [
    pytest.param(says(Reply(body=f"<html>Sign in, {SECRET}</html>".encode(), headers={"Content-Type": "text/html"})), "no JSON object", id="html"),
    pytest.param(spoilt(faults.broken_off), "its answer broke off", id="cut"),
    pytest.param(says(Reply(body=b'{"status": "success", "data": {"resultType": "vec')), "no JSON object", id="malformed"),
    pytest.param(says(Reply(body=b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}')), "'scalar' where", id="wrong-type"),
    pytest.param(says(Reply(body=b'{"status": "success", "data": {"resultType": "vector", "result": [7]}}')), "unknown shape", id="wrong-shape"),
]


@pytest.mark.parametrize(("answer", "reason"), WRONG)
def test_row_24_what_is_no_answer_is_unknown_and_shows_no_secret(
    tmp_path: Path, server: FaultServer, answer: Callable[[Sound], Reply], reason: str
) -> None:
    (tmp_path / "token").write_text(SECRET)
    with house_in(tmp_path, server, sources=source(server.at("prometheus"), token_file="token")) as house:
        released(house)
        server.breaks("prometheus", answer)
        house.slots(4)
        assert reason in house.unknown()
        assert house.nothing_acted()
        assert SECRET not in house.unknown()
        server.mends()
        house.slots(6)
        assert house.applied() == ["v1"]  # it lives


# --- 25: an answer without end ---------------------------------------------------------------------------


def a_million_series() -> bytes:
    one = b'{"metric":{},"value":[0,"1"]},'
    return b'{"status":"success","data":{"resultType":"vector","result":[' + one * 1_000_000 + b"7]}}"


HUGE: list[Any] = [
    pytest.param(lambda: Reply(body=faults.endless), "larger than 33554432 bytes", id="500-mb"),
    pytest.param(
        lambda: Reply(body=gzip.compress(b" " * (256 << 20), 1), headers={"Content-Encoding": "gzip"}), "larger than 33554432", id="gzip-bomb"
    ),
    pytest.param(lambda: Reply(body=a_million_series()), "1000000 series, more than 200000", id="a-million-series"),
]


@pytest.mark.parametrize(("huge", "reason"), HUGE)
def test_row_25_an_answer_without_end_is_cut_off_and_takes_no_memory(
    tmp_path: Path, server: FaultServer, huge: Callable[[], Reply], reason: str
) -> None:
    # Patient: 32 MiB four times over may take more than a second on a busy machine, and it is their size that is to end them.
    with house_in(tmp_path, server, sources=source(server.at("prometheus"), timeout="20s")) as house:
        released(house)
        house.server.breaks("prometheus", says(huge()))
        tracemalloc.start()
        try:
            house.look()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert reason in house.unknown()
        assert house.nothing_acted()
    assert peak < 320 << 20  # four are read at once, each of 32 MiB, and twice that while its buffer grows; unbounded, one is 500 MB


# --- 26: twins ---------------------------------------------------------------------------


def test_row_26_two_series_for_one_workload_are_the_policys_fault(tmp_path: Path, server: FaultServer) -> None:
    with house_in(tmp_path, server, {"shop": shop_policy(when=[TWINS])}) as house:
        released(house, {"value": 10.0})
        house.measured(shop={"value": 99.0})
        server.metrics.twins = True
        house.slots(4)
        assert house.unknown() == "error: two series for app='shop': aggregate the expression by (app)"
        assert house.nothing_acted()


# --- 27: a storm of refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [429, 503])
def test_row_27_a_source_that_asks_to_be_left_alone_is_left_alone(house: House, code: int) -> None:
    released(house)
    house.server.breaks("prometheus", status(code, b"slow down", Retry_After="3600"))
    before = len(house.server.asked_of("prometheus"))
    house.slots(12)
    assert len(house.server.asked_of("prometheus")) - before <= 2  # at most two questions were on their way
    assert "it asked to be left alone for 300 s, and is" in house.unknown()
    assert house.nothing_acted()


def test_row_27_after_its_rest_it_is_asked_again(house: House) -> None:
    released(house)
    house.server.breaks("prometheus", status(429, Retry_After="1"), times=1)
    house.slots(1)
    assert "HTTP 429" in house.unknown()

    def is_asked_again() -> bool:
        house.slots(1)
        return house.applied() == ["v1"]

    poll(is_asked_again, within=30, every=0.2)


def test_row_27_no_question_is_ever_repeated_within_a_slot(house: House) -> None:
    released(house)
    house.server.breaks("prometheus", status(503))
    before = len(questions(house))
    house.slots(5)
    assert len(questions(house)) - before == 5


def questions(house: House) -> list[Request]:
    """How often a slot's own question was asked; what was before a change is asked for beside it."""
    return [request for request in house.server.asked_of("prometheus") if request.path == "/api/v1/query"]


# --- 28: certificates ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "days"), [pytest.param("IP:127.0.0.1", -1, id="expired"), pytest.param("DNS:other.example", 2, id="wrong-host")])
def test_row_28_a_certificate_that_is_not_right_is_never_looked_past(tmp_path: Path, server: FaultServer, name: str, days: int) -> None:
    context = certificate(tmp_path, name=name, days=days)
    with fault_server(context) as secure, house_in(tmp_path, server, sources=source(secure.at("prometheus"), ca_file="tls.crt")) as house:
        released(house)
        through(house, BLIND)
        assert "its certificate was not accepted" in house.unknown()
        assert house.nothing_acted()
        assert secure.asked == []
        (page,) = house.paged()
        assert page.startswith("NO ACTION TAKEN: source prometheus")


def test_row_28_a_certificate_that_is_right_is_taken(tmp_path: Path, server: FaultServer) -> None:
    with (
        fault_server(certificate(tmp_path)) as secure,
        house_in(tmp_path, server, sources=source(secure.at("prometheus"), ca_file="tls.crt")) as house,
    ):
        secure.metrics = server.metrics
        secure.speakers["prometheus"] = server.metrics
        house.ill(6)
        assert house.applied() == ["v1"]


# --- 29: counters that begin anew ---------------------------------------------------------------------------


def counted(*samples: tuple[int, float]) -> dict[tuple[str, ...], Any]:
    """What a real Prometheus makes of these samples of errors, among a hundred steady requests a scrape; seconds before the look."""
    steady = [(600 - second, 10.0 * (600 - second)) for second in range(600, -1, -15)]
    errors = [(600 - second, value) for second, value in samples]
    lines = [
        series("requests_total", {"app": "shop", "code": "200"}, steady),
        series("requests_total", {"app": "shop", "code": "500"}, errors),
    ]
    with servers.prometheus_with_history(document(["# TYPE requests counter"], *lines)) as real:
        answer = Prometheus("main", real.url).read(QUERY, AT)
    return {key: row.values for key, row in answer.rows.items()}


def test_row_29_a_counter_that_begins_anew_counts_what_came_after_and_one_sample_counts_nothing() -> None:
    assert START  # the samples are seconds after it
    reset = counted((60, 1000.0), (45, 1000.0), (30, 3.0), (15, 3.0), (0, 3.0))[("shop",)]["bad"]
    assert 0 <= reset <= 5
    lonely = counted((300, 1000.0), (0, 2000.0))[("shop",)]
    assert lonely.get("bad", 0.0) == 0.0


# --- 31: everything at once ---------------------------------------------------------------------------


def test_row_31_where_many_break_at_once_nothing_is_put_back_and_one_page_says_so(tmp_path: Path, server: FaultServer) -> None:
    names = ("shop", "zoo", "bar", "inn")
    policies = {name: shop_policy(name) for name in names}
    with house_in(tmp_path, server, policies, services=names) as house:
        house.measured(**dict.fromkeys(names, WELL))
        house.slots(2)
        for name in names:
            house.good(f"command:{name}")
        house.deploy("v2")
        house.measured(**dict.fromkeys(names, ILL))
        house.slots(10)
        assert {"systemic"} == {incident.held.guard for incident in house.incidents() if incident.held}
        assert [house.applied(name) for name in names] == [[], [], [], []]
        assert len(house.paged()) == 1


def test_fault_answers_are_what_the_script_says(server: FaultServer) -> None:
    server.breaks("prometheus", status(418), times=1)
    codes = []
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as connection:
            connection.sendall(b"POST /prometheus/api/v1/query HTTP/1.0\r\nContent-Length: 9\r\n\r\nquery=one")
            codes.append(connection.makefile("rb").read().split()[1])
    assert codes == [b"418", b"200"]
    assert json.loads(json.dumps([len(server.asked_of("prometheus"))])) == [2]
