"""Any body on any path of the API: an answer with a reason, never a crash."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.controller.served import Served
from tests.controller.world import World

POSTS = ["changes", "pause", "resume", "good", "good/history", "bad", "rearm", "approve", "reject", "ack", "label", "rollback", "undo"]
GETS = ["status", "coverage", "policies", "explain", "changes", "history", "plan", "undo", "standing", "audit"]
NAMES = ["target", "revision", "who", "reason", "note", "incident", "plan", "rung", "overrides", "close", "label", "of", "started", "irreversible"]
WORDS = st.sampled_from(
    ["command:shop", "shop", "v1", "inc-000000000000", "2026-11-22T14:00:00Z", "right", "", "\x00", "é" * 40, "../..", "a" * 2000]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
REFUSALS = frozenset({200, 400, 404, 409, 413})
QUIETLY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    world = World(folder)
    world.slot(0)
    served = Served(world, folder)
    yield served
    served.close()
    world.close()


@QUIETLY
@given(path=st.sampled_from(POSTS), body=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
def test_any_object_posted_anywhere_is_done_or_refused(served, path, body):
    answer = served.ask("POST", f"/api/v1/{path}", json.dumps(body).encode(), content_type="application/json")
    assert answer.status in REFUSALS, answer.text
    assert answer.status == 200 or answer.json["error"]


@QUIETLY
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=200))
def test_any_bytes_posted_anywhere_are_done_or_refused(served, path, body):
    assert served.ask("POST", f"/api/v1/{path}", body, content_type="application/json").status in REFUSALS


@QUIETLY
@given(path=st.sampled_from(GETS), name=st.sampled_from(["of", "target", "limit", "policy", "revision", "incident", "kept", "power"]), value=WORDS)
def test_any_query_is_answered_or_refused(served, path, name, value):
    assert served.get(f"/api/v1/{path}?{name}={quote(value)}").status in REFUSALS
