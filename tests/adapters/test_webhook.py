"""The signed webhook against a real receiver on loopback."""

import base64
import hashlib
import hmac
import json
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.webhook import Webhook
from tests.exposition import Loopback, Reply, serving
from tests.servers import free_port

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTICE = Notice(
    id="msg-1",
    key="inc-1",
    kind="rolled-back",
    title="ROLLED BACK checkout: error ratio 8.4% > 2% für 3m",
    lines=("v142 -> v141", "verified 0.3%"),
    urgency="page",
    resolved=False,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    fields={"target": "command:deploy"},
)


@pytest.fixture
def receiver() -> Iterator[Loopback]:
    with serving(Reply(status=204)) as server:
        yield server


def webhook(url: str, **options: object) -> Webhook:
    return Webhook("oncall", url=url, now=lambda: NOW, **options)  # type: ignore[arg-type]


def mark(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """The signature as the Standard Webhooks specification defines it, written from the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    return "v1," + base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode()


def test_our_reading_of_the_signature_is_that_of_its_published_example() -> None:
    headers = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"}
    assert mark(SECRET, headers, b'{"test": 2432232314}') == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_body_is_a_cloud_event_with_the_whole_notice(receiver: Loopback) -> None:
    webhook(f"{receiver.url}/hooks/x?token=1").send(NOTICE)
    (request,) = receiver.asked
    assert (request.method, request.path) == ("POST", "/hooks/x?token=1")
    assert request.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(request.body) == {
        "specversion": "1.0",
        "id": "msg-1",
        "source": "rollbackd",
        "type": "rollbackd.notice.rolled-back",
        "subject": "inc-1",
        "time": "2026-03-01T12:00:00+00:00",
        "datacontenttype": "application/json",
        "data": {
            "key": "inc-1",
            "kind": "rolled-back",
            "title": "ROLLED BACK checkout: error ratio 8.4% > 2% für 3m",
            "lines": ["v142 -> v141", "verified 0.3%"],
            "urgency": "page",
            "resolved": False,
            "fields": {"target": "command:deploy"},
        },
    }


def test_without_a_secret_the_message_is_named_and_not_signed(receiver: Loopback) -> None:
    webhook(receiver.url).send(NOTICE)
    headers = receiver.asked[0].headers
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg-1", str(int(NOW.timestamp())))
    assert "webhook-signature" not in headers


@pytest.mark.parametrize("secrets", [[SECRET], ["plain words"], [SECRET, "the former one"]], ids=["base64", "plain", "two-while-rotating"])
def test_each_secret_signs_the_message(receiver: Loopback, tmp_path: Path, secrets: list[str]) -> None:
    file = tmp_path / "secret"
    file.write_text("\n".join(secrets) + "\n")
    webhook(receiver.url, secret_file=file).send(NOTICE)
    (request,) = receiver.asked
    assert request.headers["webhook-signature"].split() == [mark(secret, request.headers, request.body) for secret in secrets]


def test_a_message_sent_again_has_the_same_name(receiver: Loopback) -> None:
    target = webhook(receiver.url)
    target.send(NOTICE)
    target.send(NOTICE)
    assert [request.headers["webhook-id"] for request in receiver.asked] == ["msg-1", "msg-1"]


def test_a_name_that_no_header_may_hold_is_told_by_its_digest(receiver: Loopback) -> None:
    webhook(receiver.url).send(replace(NOTICE, id="inc-1:acked:Jürgen\r\nX: y"))
    assert receiver.asked[0].headers["webhook-id"] == hashlib.sha256("inc-1:acked:Jürgen\r\nX: y".encode()).hexdigest()


def test_files_that_changed_count_from_the_next_message_on(receiver: Loopback, tmp_path: Path) -> None:
    secret, address = tmp_path / "secret", tmp_path / "url"
    secret.write_text("old")
    address.write_text(f"{receiver.url}/old\n")
    target = Webhook("oncall", url_file=address, secret_file=secret, now=lambda: NOW)
    target.send(NOTICE)
    secret.write_text("new")
    address.write_text(f"{receiver.url}/new\n")
    target.send(NOTICE)
    assert [request.path for request in receiver.asked] == ["/old", "/new"]
    assert [request.headers["webhook-signature"] for request in receiver.asked] == [
        mark(secret, request.headers, request.body) for secret, request in zip(("old", "new"), receiver.asked, strict=True)
    ]


@pytest.mark.parametrize(
    ("reply", "retry_after"),
    [
        pytest.param(Reply(status=500), None, id="500"),
        pytest.param(Reply(status=408), None, id="408"),
        pytest.param(Reply(status=429, headers={"Retry-After": "120"}), 120, id="429-with-seconds"),
        pytest.param(Reply(status=429, headers={"Retry-After": "9" * 400}), 3600, id="429-for-ever"),
        pytest.param(Reply(status=503, headers={"Retry-After": "Sun, 01 Mar 2026 12:01:00 GMT"}), 30, id="503-with-a-date"),
        pytest.param(Reply(status=503, headers={"Retry-After": "Sun, 01 Mar 9999 12:01:00 GMT"}), 3600, id="503-with-a-far-date"),
        pytest.param(Reply(status=503, headers={"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}), 0, id="503-with-a-date-gone-by"),
        pytest.param(Reply(status=503, headers={"Retry-After": "soon"}), None, id="503-with-a-word"),
    ],
)
def test_what_time_may_cure_is_transient_with_the_receivers_wish(reply: Reply, retry_after: float | None) -> None:
    with serving(reply) as receiver, pytest.raises(Transient, match=f"HTTP {reply.status}") as failed:
        webhook(receiver.url).send(NOTICE)
    assert failed.value.retry_after == retry_after


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 413])
def test_what_repeating_does_not_cure_is_permanent_and_no_redirect_is_followed(status: int) -> None:
    with serving(Reply(status=status, headers={"Location": "/elsewhere"})) as receiver:
        with pytest.raises(Permanent, match=f"HTTP {status}"):
            webhook(receiver.url).send(NOTICE)
        assert len(receiver.asked) == 1


def test_a_receiver_that_hangs_is_given_up_after_the_time_out() -> None:
    with serving(Reply(wait=60)) as receiver, pytest.raises(Transient, match="gave no answer"):
        webhook(receiver.url, timeout=timedelta(seconds=0.3)).send(NOTICE)


def failures(tmp_path: Path) -> Iterator[Webhook]:
    """Every way to fail, with an address that holds a secret."""
    secret = "/services/T0/hunter2"
    yield webhook(f"http://127.0.0.1:{free_port()}{secret}")
    yield webhook(f"http://user:hunter2@no-such-name.invalid{secret}")
    yield webhook(f"ftp://127.0.0.1{secret}")
    yield webhook(f"http://127.0.0.1{secret} ")
    yield webhook(f"http://127.0.0.1:port{secret}")
    yield Webhook("oncall", url_file=tmp_path / "missing", now=lambda: NOW)
    two = tmp_path / "two"
    two.write_text(f"http://a{secret}\nhttp://b{secret}")
    yield Webhook("oncall", url_file=two, now=lambda: NOW)
    bad = tmp_path / "bad"
    bad.write_text("whsec_hunter2!")
    yield webhook("http://127.0.0.1/", secret_file=bad)
    bare = tmp_path / "bare"
    bare.write_text("\n")
    yield webhook("http://127.0.0.1/", secret_file=bare)


def test_no_failure_shows_a_secret_not_even_in_its_traceback(tmp_path: Path) -> None:
    for target in failures(tmp_path):
        with pytest.raises((Transient, Permanent)) as failed:
            target.send(NOTICE)
        told = "".join(traceback.format_exception(failed.value)) + repr(target)
        assert "hunter2" not in told.replace("test_webhook", "")


def test_the_failure_names_the_contact_and_the_host() -> None:
    with serving(Reply(status=404, body=b"no such hook: /services/T0/hunter2")) as receiver, pytest.raises(Permanent) as failed:
        webhook(f"{receiver.url}/services/T0/hunter2").send(NOTICE)
    assert str(failed.value).startswith(f"contact oncall at {receiver.address} answered HTTP 404; it was not delivered")


def test_a_login_in_the_address_is_sent_as_one(receiver: Loopback) -> None:
    webhook(f"http://me:p%40ss@{receiver.address}/").send(NOTICE)
    assert receiver.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()


@pytest.mark.parametrize("options", [{}, {"url": "http://a/", "url_file": Path("/b")}], ids=["neither", "both"])
def test_a_contact_has_exactly_one_address(options: dict[str, object]) -> None:
    with pytest.raises(Permanent, match="either url or url_file"):
        Webhook("oncall", now=lambda: NOW, **options)  # type: ignore[arg-type]
