"""What every Notifier promises, whatever its channel: it delivers, it fails in two words, it keeps secrets, it says what it cut.

A further channel joins by one ``Stage`` in ``STAGES``.
"""

import contextlib
import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.alertmanager import Alertmanager
from rollbackd.adapters.apprise import Apprise
from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.notice import Notifier
from rollbackd.adapters.mail import Mail, MailServer
from rollbackd.adapters.pagerduty import PagerDuty
from rollbackd.adapters.slack import Slack
from rollbackd.adapters.teams import Teams
from rollbackd.adapters.webhook import Webhook
from tests.adapters.notices import HELD, HOSTILE, KINDS, NOW, OVERSIZE
from tests.doubles.chats import FLOW, HOOK, TOKEN, SlackDouble, TeamsDouble
from tests.doubles.dripper import dripping
from tests.doubles.mailbox import PASSWORD, USER, mailbox
from tests.doubles.pagerduty import KEY, PagerDutyDouble
from tests.exposition import Reply, Request, serving
from tests.servers import free_port

# apprise imports a module of the standard library's that is on its way out.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
]
WAIT, SHORT = timedelta(seconds=10), timedelta(seconds=0.4)


@dataclass(frozen=True, slots=True)
class Other:
    """The other side. ``messages``: the texts of each message that it took."""

    port: int
    messages: Callable[[], list[list[str]]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A channel: a notifier whose secrets are in files of a folder, which speaks to a port and waits so long, and the ``other`` side in a weather.

    ``greeting``: how its server begins an answer. ``secret``: what may be told to nobody.
    ``is_for_people``: texts are cleaned and cut here; what a machine reads keeps them as they are.
    ``knows_why``: a final refusal can be told from one that may pass, and every wait ends; apprise does neither.
    """

    make: Callable[[Path, int, timedelta], Notifier]
    other: Callable[[str], AbstractContextManager[Other]]
    greeting: bytes = b"HTTP/1.1 200 OK\r\nX: "
    secret: str = "hunter2"
    is_for_people: bool = True
    knows_why: bool = True


STATUS = {"throttled": 429, "broken": 500, "down": 503, "malformed": 400, "unauthorised": 401, "forbidden": 403, "gone": 404}
SMTP = {
    "throttled": "451 4.7.1",
    "broken": "421 4.3.0",
    "down": "452 4.3.1",
    "malformed": "554 5.6.0",
    "unauthorised": "530 5.7.0",
    "gone": "550 5.1.1",
}
PASSING, LASTING = ("throttled", "broken", "down"), ("malformed", "unauthorised", "forbidden", "gone")


def over_http(double: Callable[[], Callable[[Request], Reply]]) -> Callable[[str], AbstractContextManager[Other]]:
    @contextlib.contextmanager
    def other(weather: str) -> Iterator[Other]:
        # What the other side says of a failure repeats what it was sent, as some do.
        def failing(request: Request) -> Reply:
            return Reply(STATUS[weather], (request.path + str(dict(request.headers))).encode() + request.body[:3000], {"Retry-After": "77"})

        with serving(double() if weather == "fine" else failing) as server:
            yield Other(int(server.address.partition(":")[2]), lambda: [list(texts(json.loads(each.body))) for each in server.asked])

    return other


@contextlib.contextmanager
def over_smtp(weather: str) -> Iterator[Other]:
    with mailbox(login=True) as box:
        box.says += [] if weather == "fine" else [f"{SMTP.get(weather, '550 5.0.0')} no"]
        yield Other(box.port, lambda: [[str(mail["Subject"]), str(mail.get_content())] for mail in box.mails])


def texts(value: object) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(item)


def written(folder: Path, text: str) -> Path:
    file = folder / "secret"
    file.write_text(text + "\n")
    return file


def now() -> datetime:
    return NOW


def pagerduty(folder: Path, port: int, wait: timedelta) -> Notifier:
    return PagerDuty("oncall", written(folder, KEY), now=now, url=f"http://127.0.0.1:{port}", timeout=wait)


def slack_webhook(folder: Path, port: int, wait: timedelta) -> Notifier:
    return Slack("oncall", now=now, url_file=written(folder, f"http://127.0.0.1:{port}{HOOK}"), timeout=wait)


def slack_token(folder: Path, port: int, wait: timedelta) -> Notifier:
    return Slack("oncall", now=now, token_file=written(folder, TOKEN), channel="C1", api_url=f"http://127.0.0.1:{port}/api", timeout=wait)


def teams(folder: Path, port: int, wait: timedelta) -> Notifier:
    return Teams("oncall", written(folder, f"http://127.0.0.1:{port}{FLOW}"), now=now, timeout=wait)


def mail(folder: Path, port: int, wait: timedelta) -> Notifier:
    server = MailServer("127.0.0.1", port, "none", USER, written(folder, PASSWORD))
    return Mail("oncall", server, sender="rollbackd@shop.example", recipients=["ada@shop.example"], timeout=wait)


def webhook(folder: Path, port: int, wait: timedelta) -> Notifier:
    return Webhook("oncall", now=now, url_file=written(folder, f"http://127.0.0.1:{port}{HOOK}"), timeout=wait)


def alertmanager(folder: Path, port: int, wait: timedelta) -> Notifier:
    return Alertmanager("oncall", [f"http://127.0.0.1:{port}"], now=now, timeout=wait)


def apprise(folder: Path, port: int, wait: timedelta) -> Notifier:
    limits = f"rto={wait.total_seconds()}&cto={wait.total_seconds()}"
    return Apprise("oncall", written(folder, f"json://127.0.0.1:{port}{HOOK}?{limits}"))


def accepting() -> Callable[[Request], Reply]:
    return lambda request: Reply(200)


STAGES = {
    "pagerduty": Stage(pagerduty, over_http(PagerDutyDouble), secret=KEY),
    "slack-webhook": Stage(slack_webhook, over_http(SlackDouble)),
    "slack-token": Stage(slack_token, over_http(SlackDouble)),
    "teams": Stage(teams, over_http(TeamsDouble)),
    "email": Stage(mail, over_smtp, b"220 "),
    "webhook": Stage(webhook, over_http(accepting), is_for_people=False),
    "alertmanager": Stage(alertmanager, over_http(accepting), is_for_people=False),
    "apprise": Stage(apprise, over_http(accepting), knows_why=False),
}


@pytest.fixture(params=STAGES.values(), ids=STAGES)
def stage(request: pytest.FixtureRequest) -> Stage:
    found: Stage = request.param
    return found


def failure(stage: Stage, folder: Path, port: int, wait: timedelta = WAIT) -> AdapterError:
    """How it fails to send there; no failure shows a secret, not even in its traceback."""
    with pytest.raises((Transient, Permanent)) as failed:
        stage.make(folder, port, wait).send(HELD)
    assert isinstance(failed.value, AdapterError)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    assert stage.secret not in told.replace(str(folder), "")
    return failed.value


def test_a_notice_of_every_kind_is_delivered(stage: Stage, tmp_path: Path) -> None:
    with stage.other("fine") as other:
        notifier = stage.make(tmp_path, other.port, WAIT)
        for notice in KINDS:
            notifier.send(notice)
        assert len(other.messages()) == len(KINDS)


def test_the_title_and_every_line_arrive(stage: Stage, tmp_path: Path) -> None:
    with stage.other("fine") as other:
        stage.make(tmp_path, other.port, WAIT).send(HELD)
        (message,) = other.messages()
    assert [text for text in (HELD.title, *HELD.lines) if text not in "\n".join(message)] == []


@pytest.mark.parametrize("weather", PASSING)
def test_what_time_may_cure_is_transient(stage: Stage, tmp_path: Path, weather: str) -> None:
    with stage.other(weather) as other:
        found = failure(stage, tmp_path, other.port)
    assert isinstance(found, Transient)
    assert "it will be sent again" in str(found)


@pytest.mark.parametrize("weather", LASTING)
def test_what_repeating_does_not_cure_is_permanent_and_says_what_to_do(stage: Stage, tmp_path: Path, weather: str) -> None:
    with stage.other(weather) as other:
        found = failure(stage, tmp_path, other.port)
    assert isinstance(found, Permanent if stage.knows_why else Transient)


@pytest.mark.parametrize("channel", ["pagerduty", "slack-webhook", "slack-token", "teams", "webhook", "alertmanager"])
def test_a_wish_for_a_pause_is_passed_on(channel: str, tmp_path: Path) -> None:
    with STAGES[channel].other("throttled") as other:
        found = failure(STAGES[channel], tmp_path, other.port)
    assert isinstance(found, Transient)
    assert found.retry_after == 77


def test_a_server_that_is_not_there_is_transient(stage: Stage, tmp_path: Path) -> None:
    assert isinstance(failure(stage, tmp_path, free_port()), Transient)


def test_a_server_that_says_nothing_is_given_up(stage: Stage, tmp_path: Path) -> None:
    with dripping(b"", rest=b"") as port:
        assert isinstance(failure(stage, tmp_path, port, SHORT), Transient)


def test_a_server_that_says_a_byte_at_a_time_is_given_up(stage: Stage, tmp_path: Path) -> None:
    if stage.knows_why:
        with dripping(stage.greeting) as port:
            assert isinstance(failure(stage, tmp_path, port, SHORT), Transient)


def test_no_notifier_shows_or_logs_its_secret(stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for weather in ("fine", "down", "gone"):
        with stage.other(weather) as other, contextlib.suppress(AdapterError):
            notifier = stage.make(tmp_path, other.port, WAIT)
            assert stage.secret not in repr(notifier)
            notifier.send(HELD)
    assert stage.secret not in caplog.text


def test_a_text_of_strangers_breaks_no_line_and_hides_nothing(stage: Stage, tmp_path: Path) -> None:
    with stage.other("fine") as other:
        stage.make(tmp_path, other.port, WAIT).send(HOSTILE)
        (message,) = other.messages()
    if stage.is_for_people:
        assert not set("\r\u2028\x00\u202e\ud800").intersection("".join(message).replace("\r\n", "\n"))
        assert not any(line.startswith(("Bcc:", "b")) for text in message for line in text.splitlines())


def test_what_does_not_fit_is_cut_and_said(stage: Stage, tmp_path: Path) -> None:
    with stage.other("fine") as other:
        stage.make(tmp_path, other.port, WAIT).send(OVERSIZE)
        (message,) = other.messages()
    if stage.is_for_people:
        said = "\n".join(message)
        assert "the first line stands" in said
        assert "more lines did not fit; rollbackd history has everything]" in said
        assert "ttt…" in said


def test_a_message_is_only_as_long_as_its_own_title_where_nothing_was_cut(stage: Stage, tmp_path: Path) -> None:
    with stage.other("fine") as other:
        stage.make(tmp_path, other.port, WAIT).send(HELD)
        assert "did not fit" not in str(other.messages())


@pytest.mark.parametrize("content", [None, b"", b"one\ntwo\n", b"\xff\xfe"], ids=["missing", "empty", "two-lines", "no-text"])
@pytest.mark.parametrize("channel", ["pagerduty", "slack-webhook", "slack-token", "teams", "email", "webhook", "apprise"])
def test_a_secret_file_that_cannot_be_used_is_permanent_and_named(channel: str, tmp_path: Path, content: bytes | None) -> None:
    stage = STAGES[channel]
    with stage.other("fine") as other:
        notifier, file = stage.make(tmp_path, other.port, WAIT), tmp_path / "secret"
        file.unlink() if content is None else file.write_bytes(content)
        with pytest.raises(Permanent, match=f"contact oncall: .*{file}"):
            notifier.send(HELD)
        assert other.messages() == []


@pytest.mark.parametrize("channel", ["pagerduty", "slack-webhook", "slack-token", "teams", "email", "webhook", "apprise"])
def test_a_secret_that_was_changed_counts_from_the_next_message_on(channel: str, tmp_path: Path) -> None:
    stage = STAGES[channel]
    with stage.other("fine") as other:
        notifier, file = stage.make(tmp_path, other.port, WAIT), tmp_path / "secret"
        right = file.read_text()
        file.write_text("")
        with pytest.raises(Permanent):
            notifier.send(HELD)
        file.write_text(right)
        notifier.send(HELD)
        assert len(other.messages()) == 1
