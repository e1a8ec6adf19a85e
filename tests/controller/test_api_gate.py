"""What stands in front of the API: hostile requests, and people whom a cluster knows."""

import asyncio
import socket
import threading

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.controller.api.cluster import AT_ONCE, ClusterPeople, Unanswered
from rollbackd.controller.api.gate import Gate
from tests.controller.served import Served
from tests.controller.world import SHOP, World

TOKEN = "head.claims.signature"


class Reviewer:
    """A cluster that knows TOKEN as Ann's; she may do ``may``."""

    def __init__(self, *may: str) -> None:
        self.may = may
        self.asked: list[tuple[str, ...]] = []
        self.fault: AdapterError | None = None

    def allowed(self, token: str, verb: str, group: str, resource: str, namespace: str) -> tuple[str, bool] | None:
        self.asked.append((verb, group, resource, namespace))
        if self.fault is not None:
            raise self.fault
        return ("ann@shop.example", verb in self.may) if token == TOKEN else None


@pytest.fixture
def reviewer():
    return Reviewer("get", "pause")


@pytest.fixture
def served(tmp_path, reviewer):
    world = World(tmp_path)
    world.slot(0)
    served = Served(world, tmp_path, cluster=ClusterPeople(reviewer, "rollbackd"))
    yield served
    served.close()
    world.close()


def as_ann(served: Served, method: str, path: str, body: bytes | None = None, token: str = TOKEN):
    return served.ask(method, path, body, authorization=f"Bearer {token}", content_type="application/json")


def test_who_may_get_rollbacks_may_read_and_is_asked_for_as_a_virtual_resource(served, reviewer):
    assert as_ann(served, "GET", "/api/v1/status").status == 200
    assert reviewer.asked == [("get", "rollbackd.io", "rollbacks", "rollbackd")]


def test_an_order_takes_its_own_right_and_carries_the_proven_name(served):
    answer = as_ann(served, "POST", "/api/v1/pause", b'{"reason": "game day", "who": "bob"}')
    assert "paused by kubernetes:ann@shop.example" in answer.json["paused"]


def test_who_lacks_the_right_is_refused_with_its_name(served):
    answer = as_ann(served, "POST", "/api/v1/approve", b'{"incident": "inc-1", "plan": "x"}')
    assert (answer.status, answer.json["error"]) == (403, "kubernetes:ann@shop.example may not approve rollbacks.rollbackd.io")


def test_where_a_cluster_proves_names_the_shared_token_decides_nothing(served):
    assert served.post("/api/v1/reject", incident="inc-1", plan="x", reason="r", who="ann").status == 409


@pytest.mark.parametrize("token", ["head.claims.forged", "nothing", "a.b.c.d", "a.b." + "x" * 9000], ids=["forged", "no-jwt", "four-parts", "huge"])
def test_a_token_that_nobody_knows_is_refused(served, token):
    assert as_ann(served, "GET", "/api/v1/status", token=token).status == 401


@pytest.mark.parametrize("fault", [Transient("no answer"), Permanent("not allowed to create tokenreviews")])
def test_nobody_is_let_in_on_a_guess_and_the_daemons_own_token_still_works(served, reviewer, fault):
    reviewer.fault = fault
    assert (as_ann(served, "GET", "/api/v1/status").status, served.get("/api/v1/status").status) == (503, 200)


def test_an_answer_of_the_cluster_holds_ten_seconds(reviewer):
    seconds = [0.0]
    people = ClusterPeople(reviewer, "rollbackd", lambda: seconds[0])
    header = f"Bearer {TOKEN}".encode()
    for seconds[0] in (0.0, 9.9, 10.0):
        assert people.speaker(header, "get") == ("kubernetes:ann@shop.example", True)
    assert len(reviewer.asked) == 2
    reviewer.may = ()
    seconds[0] = 20.0
    assert people.speaker(header, "get") == ("kubernetes:ann@shop.example", False)


def test_a_flood_of_tokens_does_not_reach_the_cluster():
    entered, leave = threading.Semaphore(0), threading.Event()

    class Slow(Reviewer):
        def allowed(self, token: str, verb: str, group: str, resource: str, namespace: str) -> tuple[str, bool] | None:
            entered.release()
            leave.wait(20)
            return None

    people = ClusterPeople(Slow(), "rollbackd")
    askers = [threading.Thread(target=people.speaker, args=(f"Bearer a.b.{n}".encode(), "get")) for n in range(AT_ONCE)]
    for asker in askers:
        asker.start()
    for _ in askers:
        entered.acquire()
    with pytest.raises(Unanswered, match="too many tokens"):
        people.speaker(b"Bearer a.b.last", "get")
    leave.set()
    for asker in askers:
        asker.join()


def answers(gate, receive):
    """What the gate sends for one POST whose body comes from ``receive``."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(gate({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send))
    return sent


# --- hostile requests -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/status", "/healthz", "/nothing"])
def test_no_answer_may_be_kept_framed_or_taken_for_a_page(served, path):
    headers = served.get(path).headers
    assert {name: headers.get(name) for name in ("cache-control", "x-content-type-options", "content-security-policy", "referrer-policy")} == {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
    }


def test_what_an_answer_says_of_itself_holds():
    async def page(scope, receive, send):
        await PlainTextResponse("page", headers={"content-security-policy": "default-src 'self'"})(scope, receive, send)

    async def nothing():
        return {"type": "http.request", "body": b""}

    head = answers(Gate(page, None, None), nothing)[0]
    assert [value for name, value in head["headers"] if name == b"content-security-policy"] == [b"default-src 'self'"]


def test_a_body_that_does_not_come_is_not_waited_for():
    async def never(scope, receive, send):
        await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)

    async def silence():
        await asyncio.Event().wait()

    assert answers(Gate(never, None, None, body_within=0.01), silence)[0]["status"] == 408


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/v1/../v1/status HTTP/1.1",
        b"GET //api/v1/status HTTP/1.1",
        b"GET /API/v1/status HTTP/1.1",
        b"GET /%61pi/v1/status HTTP/1.1",
        b"GET http://127.0.0.1/api/v1/status HTTP/1.1",
        b"GET /healthz/../api/v1/status HTTP/1.1",
        b"GET /api%2fv1/status HTTP/1.1",
        b"GET /metrics/%2e%2e/api/v1/status HTTP/1.1",
    ],
    ids=lambda line: line.decode().split()[1],
)
def test_no_spelling_of_a_path_leads_past_the_token(served, request_line):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert b"policies" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"X: " + b"y" * 100_000 + b"\r\n",
    ],
    ids=["two-lengths", "negative", "huge", "chunked-and-length", "unknown-coding", "long-header"],
)
def test_a_malformed_request_does_nothing_and_the_next_one_is_served(served, head):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        token = f"Authorization: Bearer {served.token}\r\n".encode()
        connection.sendall(
            b"POST /api/v1/pause HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n" + token + head + b"\r\n{}\r\n"
        )
        connection.shutdown(socket.SHUT_WR)
        first = b"".join(iter(lambda: connection.recv(65536), b"")).split(b"\r\n")[0]
    assert b" 200 " not in first
    assert served.get("/api/v1/status").json["daemon"]["paused"] is None


@pytest.mark.parametrize("hidden", ["\x1b", "\x07", "\n", "\x7f", "\x9b", "\u202e", "\u2066"], ids=ascii)
def test_a_posted_revision_holds_nothing_that_a_terminal_would_obey(served, hidden):
    answer = served.post("/api/v1/changes", target=SHOP, revision=f"v{hidden}2")
    assert (answer.status, answer.json["error"]) == (400, f"'revision' holds the character U+{ord(hidden):04X}, which nobody sees")


@pytest.mark.parametrize(
    ("method", "path", "body", "hint"),
    [
        pytest.param("GET", "/api/v1/nothing", None, "rollbackd schema api", id="no-such-page"),
        pytest.param("GET", "/api/v1/pause", None, "send POST", id="wrong-method"),
        pytest.param("POST", "/api/v1/pause", b"{", "send one JSON object", id="no-json"),
        pytest.param("POST", "/api/v1/pause", b"[]", "/api/openapi.json", id="no-object"),
        pytest.param("POST", "/api/v1/pause", b'{"who": "a", "who": "b"}', "say it once", id="told-twice"),
        pytest.param("POST", "/api/v1/pause", b"x" * 70_000, "send less", id="too-large"),
    ],
)
def test_a_refusal_says_what_to_do_instead(served, method, path, body, hint):
    assert hint in served.ask(method, path, body, content_type="application/json").json["hint"]
