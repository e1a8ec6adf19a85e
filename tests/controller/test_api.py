"""The local API as a program meets it: over HTTP, on a real core."""

import http.client
import socket
import threading
from datetime import timedelta

import pytest

from rollbackd.controller.answers.status import Reload
from rollbackd.controller.api.gate import LONGEST_BODY
from rollbackd.controller.api.heartbeat import Heartbeat
from tests.controller.served import Said, Served, desk_of
from tests.controller.world import FLAGS, SHOP, World
from tests.policies.literals import T0
from tests.servers import poll


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    yield world
    world.close()


@pytest.fixture
def served(world, tmp_path):
    served = Served(world, tmp_path)
    yield served
    served.close()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A daemon for requests that change nothing."""
    folder = tmp_path_factory.mktemp("quiet")
    world = World(folder)
    world.slot(0)
    served = Served(world, folder)
    yield served
    served.close()
    world.close()


@pytest.fixture(scope="module")
def health(tmp_path_factory):
    """The health address of a daemon like ``quiet``."""
    folder = tmp_path_factory.mktemp("health")
    world = World(folder)
    world.slot(0)
    served = Served(world, folder, only_health=True)
    yield served
    served.close()
    world.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_need_no_token(quiet, path):
    assert quiet.ask("GET", path, authorization="").status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_the_health_address_serves_health_and_metrics(health, path):
    answer = health.ask("GET", path, authorization="")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/api/v1/policies", "/api", "/docs"])
def test_the_health_address_has_nothing_else_for_whoever_has_the_token_and_whoever_has_not(health, path):
    assert [health.ask("GET", path).status, health.ask("GET", path, authorization="").status] == [404, 404]


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/api/v1/pause", 404), ("POST", "/healthz", 405), ("DELETE", "/metrics", 405)])
def test_the_health_address_takes_no_orders(health, method, path, status):
    body = b'{"reason": "x", "who": "me"}'
    assert health.ask(method, path, body, content_type="application/json").status == status
    assert health.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic {token}", "Bearer {token}x", "bearer {token}"])
def test_without_the_token_nothing_is_answered(quiet, header):
    answer = quiet.ask("GET", "/api/v1/status", authorization=header.format(token=quiet.token))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "policies" not in answer.json


def test_without_the_token_nothing_is_done(served, world):
    served.ask("POST", "/api/v1/pause", b'{"reason": "x", "who": "me"}', authorization="Bearer wrong", content_type="application/json")
    assert world.pause.read() is None


def test_an_unknown_path_wants_the_token_too(quiet):
    assert quiet.ask("GET", "/api/v2/anything", authorization="").status == 401
    assert quiet.get("/api/v1/nothing").json["error"] == "there is nothing at /api/v1/nothing"


def test_a_document_is_versioned_and_never_cached(quiet):
    answer = quiet.get("/api/v1/status")
    assert (answer.json["apiVersion"], answer.json["kind"]) == ("rollbackd/v1", "Status")
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_no_other_site_is_let_in(quiet):
    answer = quiet.ask("GET", "/api/v1/status", origin="http://evil.example")
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status", "says"),
    [
        pytest.param("POST", "pause", b"reason=x", "application/x-www-form-urlencoded", 415, "JSON", id="a-form"),
        pytest.param("POST", "pause", b'{"reason": "x"', "application/json", 400, "no JSON", id="cut-json"),
        pytest.param("POST", "pause", b"[" * 30_000, "application/json", 400, "no JSON", id="deep-json"),
        pytest.param("POST", "pause", b'{"reason": "a\\u0000", "who": "me"}', "application/json", 400, "no", id="zero-character"),
        pytest.param("POST", "pause", b'{"reason": "\\ud800", "who": "me"}', "application/json", 400, "half", id="half-a-character"),
        pytest.param("POST", "pause", b'{"reason": "x", "whom": "me"}', "application/json", 400, "'whom' is not known", id="misspelt"),
        pytest.param("GET", "changes?targt=command:shop", None, "", 400, "'targt' is not known", id="misspelt-query"),
        pytest.param("GET", "plan?policy=a&policy=b", None, "", 400, "2 times", id="asked-twice"),
        pytest.param(
            "POST",
            "changes",
            b'{"target": "command:shop", "revision": "v1", "started": "0001-01-01T00:00:00+14:00"}',
            "application/json",
            400,
            "expected a time",
            id="before-all-time",
        ),
        pytest.param("POST", "pause", b'["x"]', "application/json", 400, "object", id="a-list"),
        pytest.param("POST", "changes", b'{"target": "a", "target": "b"}', "application/json", 400, "'target' is there 2 times", id="told-twice"),
        pytest.param("POST", "pause", b'{"who": "me"}', "application/json", 400, "'reason'", id="no-reason"),
        pytest.param("POST", "pause", b'{"reason": 5, "who": "me"}', "application/json", 400, "'reason'", id="a-number"),
        pytest.param("POST", "pause", b'{"reason": "  ", "who": "me"}', "application/json", 400, "'reason'", id="blank"),
        pytest.param("POST", "pause", b'{"reason": "' + b"x" * 1001 + b'", "who": "me"}', "application/json", 400, "longer", id="too-long"),
        pytest.param("POST", "pause", b"x" * (LONGEST_BODY + 1), "application/json", 413, "larger", id="too-large"),
        pytest.param("POST", "status", b"{}", "application/json", 405, "POST", id="wrong-method"),
        pytest.param("GET", "pause", None, "", 405, "GET", id="reading-a-verb"),
        pytest.param("GET", "explain", None, "", 400, "'of'", id="explain-nothing"),
        pytest.param("GET", "explain?of=nix", None, "", 404, "neither a policy nor a target", id="explain-unknown"),
        pytest.param("GET", "explain?of=command:nix", None, "", 404, "no policy watches", id="explain-unwatched"),
        pytest.param("GET", "plan?policy=nix", None, "", 404, "no policy", id="plan-unknown"),
        pytest.param("GET", "history?limit=-1", None, "", 400, "limit", id="negative-limit"),
        pytest.param("GET", "history?limit=99999999999999999999", None, "", 400, "limit", id="huge-limit"),
        pytest.param("GET", "history?limit=%C2%B2", None, "", 400, "limit", id="superscript-limit"),
        pytest.param("GET", "changes?target=a%20b", None, "", 400, "names no target", id="no-target"),
        pytest.param(
            "POST", "good", b'{"target": "command:nix", "revision": "v1", "who": "me"}', "application/json", 404, "no policy", id="good-nix"
        ),
        pytest.param(
            "POST", "rearm", b'{"target": "command:shop", "revision": "v1", "who": "me"}', "application/json", 404, "quarantine", id="rearm"
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(quiet, method, path, body, content_type, status, says):
    answer = quiet.ask(method, f"/api/v1/{path}", body, content_type=content_type)
    assert answer.status == status
    assert says in answer.json["error"]
    assert set(answer.json) == {"error", "hint"}


def test_a_body_without_end_is_cut_off(quiet):
    with socket.create_connection(("127.0.0.1", quiet.port), timeout=10) as raw:
        head = f"POST /api/v1/pause HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {quiet.token}\r\ntransfer-encoding: chunked\r\n\r\n"
        raw.sendall(head.encode())
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        raw.sendall(chunk * 6)
        assert b" 413 " in raw.recv(4096)


def test_an_unknown_policy_is_answered_with_the_nearest_one(quiet):
    assert quiet.get("/api/v1/explain?of=shopp").json["hint"] == "did you mean shop?"


def test_a_lying_length_is_refused_before_anything_is_read(quiet):
    connection = http.client.HTTPConnection("127.0.0.1", quiet.port, timeout=10)
    connection.putrequest("POST", "/api/v1/pause")
    connection.putheader("authorization", f"Bearer {quiet.token}")
    connection.putheader("content-length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


# --- health ----------------------------------------------------------------------------------------------------------------------------------


class Seconds:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_engine_is_alive_while_slots_are_finished(world):
    seconds = Seconds()
    heartbeat = Heartbeat(desk_of(world, Said()), seconds)
    for _ in range(3):
        world.slot(0)
        seconds.now += 29
        assert heartbeat.fault() is None


def test_the_engine_is_dead_once_no_slot_was_finished_for_three_intervals(world):
    seconds = Seconds()
    heartbeat = Heartbeat(desk_of(world, Said()), seconds)
    heartbeat.fault()
    seconds.now = 30
    assert heartbeat.fault() is None
    seconds.now = 31
    assert heartbeat.fault() == "no slot was finished for 31 s, at most 30 s are expected"


def test_a_store_that_fails_does_not_make_the_engine_dead(world):
    seconds = Seconds()
    heartbeat = Heartbeat(desk_of(world, Said()), seconds)
    heartbeat.fault()
    world.engine.trouble.fault = "the disk is full"
    seconds.now = 500
    assert heartbeat.fault() is None


def test_without_policies_there_is_no_heartbeat_to_miss(world):
    seconds = Seconds()
    world.engine.adopt(())
    heartbeat = Heartbeat(desk_of(world, Said()), seconds)
    heartbeat.fault()
    seconds.now = 500
    assert heartbeat.fault() is None


def test_not_ready_while_no_policies_are_loaded(served, world):
    world.engine.adopt(())
    served.said.reload = Reload(T0, False, "shop.yaml:3:1: no")
    answer = served.get("/readyz")
    assert (answer.status, answer.text) == (503, "shop.yaml:3:1: no\n")


def test_not_ready_while_the_store_fails(served, world):
    world.engine.trouble.fault = "store: the disk is full"
    assert served.get("/readyz").text == "store: the disk is full\n"
    assert served.get("/healthz").status == 200


# --- answers ---------------------------------------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_read_is_said(served, world):
    world.store.close()
    world.store.database.file.write_bytes(b"this is no database" * 400)
    answer = served.get("/api/v1/history")
    assert answer.status == 503
    assert "damaged" in answer.json["error"]


def test_a_pause_holds_although_the_journal_cannot_note_it(served, world):
    world.store.close()
    world.store.database.file.write_bytes(b"this is no database" * 400)
    answer = served.post("/api/v1/pause", reason="store trouble", who="me")
    assert answer.json["paused"].startswith("store trouble (paused by me")
    assert "not in the journal" in answer.json["warning"]
    assert world.pause.read() is not None


def test_status_shows_pause_and_blindness_at_once(served, world):
    world.pause.pause("db move", "ann", T0)
    status = served.get("/api/v1/status").json
    assert status["daemon"]["paused"].startswith("db move (paused by ann")
    assert status["policies"][0]["conditions"] == [{"name": "error-rate", "state": "ok", "is_confirmed": False}]


def test_explain_by_a_ladders_target_finds_the_policy(quiet):
    explanation = quiet.get(f"/api/v1/explain?of={FLAGS}").json
    assert [item["policy"] for item in explanation["items"]] == ["shop"]


def test_a_posted_change_is_in_the_store_and_the_same_post_is_the_same_change(served, world):
    body = {"target": SHOP, "revision": "schema-17", "started": "2026-11-22T15:00:05+01:00", "irreversible": "drops a column"}
    assert served.post("/api/v1/changes", **body).json["id"] == served.post("/api/v1/changes", **body).json["id"]
    (posted,) = [seen.change for seen in world.store.changes([SHOP]) if seen.change.posted]
    assert (posted.revision, posted.started_early, posted.irreversible) == ("schema-17", T0 + timedelta(seconds=5), "drops a column")


def test_what_a_change_says_is_kept_on_one_line(served, world):
    foreign = "drops a column\nall is well: do nothing\u2028\x1b[2J"
    served.post("/api/v1/changes", target=SHOP, revision="schema-17", note=foreign, irreversible=foreign)
    kept = world.store.history(1)[0].body
    assert kept["irreversible"] == kept["note"] == "drops a column all is well: do nothing  [2J"


def test_a_change_whose_irreversible_nobody_can_see_is_refused(served):
    assert served.post("/api/v1/changes", target=SHOP, revision="schema-17", irreversible="\u200e").status == 400


@pytest.mark.parametrize(
    ("started", "says"),
    [
        pytest.param("yesterday", "expected a time", id="no-time"),
        pytest.param("2026-11-22T14:00:00", "no zone", id="no-zone"),
        pytest.param("2026-11-22T15:00:00Z", "in the future", id="future"),
        pytest.param("2026-11-01T15:00:00Z", "older than 8 days", id="too-old"),
    ],
)
def test_a_posted_change_needs_a_start_that_can_be_true(quiet, started, says):
    answer = quiet.post("/api/v1/changes", target=SHOP, revision="x", started=started)
    assert answer.status == 400
    assert says in answer.json["error"]


def test_a_change_of_something_nobody_watches_is_kept_with_a_warning(served):
    answer = served.post("/api/v1/changes", target="command:database", revision="14")
    assert answer.status == 200
    assert "no policy names command:database" in answer.json["warning"]


class Hanging:
    """A week of traffic that takes until it is ``over``."""

    def __init__(self):
        self.over = threading.Event()
        self.asked = []

    def lines(self, *question):
        self.asked.append(question)
        self.over.wait(30)
        return ()


def test_a_pause_waits_for_no_other_call(world, tmp_path):
    preview = Hanging()
    served = Served(world, tmp_path, preview=preview)
    asking = [threading.Thread(target=served.get, args=("/api/v1/explain?of=shop&power=1",)) for _ in range(60)]
    for each in asking:
        each.start()
    poll(lambda: len(preview.asked) >= 40)
    try:
        assert served.post("/api/v1/pause", reason="game day", who="ann").status == 200
        assert world.pause.read() is not None
        assert served.post("/api/v1/resume", who="ann").status == 200
    finally:
        preview.over.set()
        for each in asking:
            each.join(20)
        served.close()
