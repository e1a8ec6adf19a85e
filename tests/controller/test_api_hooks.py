"""Changes that a pipeline signs: what is taken, what is refused, and that a message that was overheard is worth nothing."""

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollbackd.adapters.base.signing import key_of, signature
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.api.hooks import Hooks, Unsigned
from tests.controller.served import Served
from tests.controller.test_config import SHORTEST, load_config
from tests.controller.world import SHOP, World
from tests.policies.literals import T0

SECRET = "a-secret-of-the-pipelines-own-1"
NEWER = "whsec_" + "QUJD" * 12
CHANGE = {"target": SHOP, "revision": "v2", "note": "release 2"}
BODY = json.dumps(CHANGE).encode()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    yield world
    world.close()


@pytest.fixture
def served(world, tmp_path):
    (tmp_path / "deploys").write_text(f"{SECRET}\n")
    served = Served(world, tmp_path, hooks=Hooks({"deploys": tmp_path / "deploys"}, lambda: world.at))
    yield served
    served.close()


def headers(at, message="msg-1", body=BODY, secret=SECRET, **instead):
    stamp = str(int(at.timestamp()))
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature(key_of(secret), message, stamp, body), **instead}


def post(served, at, name="deploys", body=BODY, sent=BODY, **given):
    """A message signed over ``body``, with ``sent`` as its body and without any token."""
    return served.ask("POST", f"/hooks/{name}", sent, authorization="", **headers(at, body=body, **given))


def test_a_signed_change_is_a_suspect_from_then_on_and_names_its_hook(served, world):
    answer = post(served, world.at)
    assert (answer.status, answer.json["is_posted"], answer.json["note"]) == (200, True, "release 2 (hook deploys)")
    assert [line["revision"] for line in served.get("/api/v1/changes").json["items"] if line["is_posted"]] == ["v2"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"secret": "another-secret-that-is-as-long"}, id="another-secret"),
        pytest.param({"sent": BODY.replace(b"v2", b"v3")}, id="another-body"),
        pytest.param({"name": "nothing"}, id="another-hook"),
        pytest.param({"webhook-id": "msg-2"}, id="another-id"),
        pytest.param({"webhook-timestamp": str(int(T0.timestamp()) + 11)}, id="another-time"),
        pytest.param({"webhook-timestamp": "now"}, id="no-time"),
        pytest.param({"webhook-id": ""}, id="no-id"),
        pytest.param({"message": "a.b"}, id="a-dot-in-the-id"),
        pytest.param({"webhook-signature": ""}, id="no-signature"),
        pytest.param({"webhook-signature": "v1,"}, id="empty-signature"),
        pytest.param({"webhook-signature": "v1,\xe9"}, id="no-ascii"),
    ],
)
def test_what_is_not_signed_by_the_hooks_secret_changes_nothing(served, world, wrong):
    answer = post(served, world.at, **wrong)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Webhook")
    assert answer.json["error"] == "there is no such hook, or the signature is missing or wrong"
    assert [line for line in served.get("/api/v1/changes").json["items"] if line["is_posted"]] == []


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (300, 200), (301, 401)])
def test_a_message_holds_for_five_minutes_either_way(served, world, seconds, status):
    body = json.dumps({**CHANGE, "started": world.at.isoformat()}).encode()
    assert post(served, world.at + timedelta(seconds=seconds), body=body, sent=body).status == status


def test_a_message_is_taken_once(served, world):
    assert post(served, world.at).status == 200
    again = post(served, world.at)
    assert (again.status, again.json["error"]) == (409, "message 'msg-1' was taken before")


def test_a_message_that_comes_again_while_it_is_being_taken_is_told_so_and_not_that_it_was(tmp_path):
    (tmp_path / "deploys").write_text(SECRET)
    hooks = Hooks({"deploys": tmp_path / "deploys"}, lambda: T0)

    def again():
        with pytest.raises(Denied) as denied, hooks.opened("deploys", headers(T0), BODY):
            pass
        return denied.value.why, str(denied.value)

    def fails():
        with hooks.opened("deploys", headers(T0), BODY):
            assert again() == ("failed", "message 'msg-1' is being taken just now")
            raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        fails()
    with hooks.opened("deploys", headers(T0), BODY):  # nothing was taken before
        assert again() == ("failed", "message 'msg-1' is being taken just now")
    assert again() == ("blocked", "message 'msg-1' was taken before")


def test_a_message_that_was_refused_for_what_it_says_may_come_again(served, world):
    nonsense = b'{"target": "command:shop"}'
    assert post(served, world.at, body=nonsense, sent=nonsense).status == 400
    assert post(served, world.at).status == 200


def test_after_a_restart_a_replayed_message_is_the_same_change(served, world, tmp_path):
    sent = world.at
    assert post(served, sent).status == 200
    world.at += timedelta(seconds=100)
    after = Served(world, tmp_path, hooks=Hooks({"deploys": tmp_path / "deploys"}, lambda: world.at))
    assert post(after, sent).status == 200
    after.close()
    assert len([line for line in served.get("/api/v1/changes").json["items"] if line["is_posted"]]) == 1


def test_secrets_are_rotated_by_a_second_line(served, world, tmp_path):
    (tmp_path / "deploys").write_text(f"{SECRET}\n{NEWER}\n")
    assert [post(served, world.at, message=f"m-{i}", secret=secret).status for i, secret in enumerate([SECRET, NEWER])] == [200, 200]
    (tmp_path / "deploys").write_text(f"{NEWER}\n")
    assert [post(served, world.at, message=f"n-{i}", secret=secret).status for i, secret in enumerate([SECRET, NEWER])] == [401, 200]


def test_a_hook_opens_nothing_else(served, world):
    assert served.ask("POST", "/api/v1/changes", BODY, authorization="", content_type="application/json", **headers(world.at)).status == 401
    assert served.ask("POST", "/hooks/deploys/more", BODY, authorization="", **headers(world.at)).status == 404


@pytest.mark.parametrize(("text", "says"), [("", "of 24 bytes"), ("short\n", "of 24 bytes"), ("whsec_%%%\n", "no base64"), ("é\n", "no plain")])
def test_a_secret_that_is_none_stops_the_daemon_and_later_the_hook(tmp_path, text, says):
    file = tmp_path / "deploys"
    file.write_text(text)
    with pytest.raises(ValueError, match=says) as found:
        Hooks({"deploys": file}, lambda: T0)
    assert "short" not in str(found.value)
    file.write_text(SECRET)
    hooks = Hooks({"deploys": file}, lambda: T0)
    file.write_text(text)
    with pytest.raises(Unsigned), hooks.opened("deploys", headers(T0), BODY):
        pass


def test_no_more_messages_are_taken_than_can_be_remembered(tmp_path):
    (tmp_path / "deploys").write_text(SECRET)
    hooks = Hooks({"deploys": tmp_path / "deploys"}, lambda: T0, most_kept=2)
    for message in ("a", "b"):
        with hooks.opened("deploys", headers(T0, message), BODY):
            pass
    with pytest.raises(Denied, match="more than 2 messages"), hooks.opened("deploys", headers(T0, "c"), BODY):
        pass


def test_the_config_names_a_hooks_secret_file(tmp_path):
    config = load_config(f"{SHORTEST}api: {{hooks: {{deploys: {{secret_file: hook}}}}}}\n", "rollbackd.yaml", tmp_path)
    assert config.api.hooks["deploys"].secret_file == tmp_path / "hook"


ANY = (
    st.text(max_size=20) | st.integers() | st.none() | st.booleans() | st.lists(st.text(max_size=3), max_size=2) | st.sampled_from(["\ud800", "\x00"])
)
FIELDS = st.dictionaries(st.sampled_from(["target", "revision", "started", "note", "irreversible", "other"]), ANY, max_size=6)


@settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FIELDS, st.booleans())
def test_whatever_is_posted_is_taken_or_refused_and_can_be_read_again(served, world, fields, is_known):
    body = json.dumps({**fields, **({"target": SHOP} if is_known else {})}).encode()
    world.at += timedelta(minutes=6)  # so that no id is known any more
    assert post(served, world.at, body=body, sent=body).status in (200, 400)
    assert [served.get(f"/api/v1/{path}").status for path in ("changes", "history")] == [200, 200]
