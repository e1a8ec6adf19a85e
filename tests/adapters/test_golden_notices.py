"""What each channel makes of each kind of notice, as it goes over the wire, kept under golden/CHANNEL/KIND.

A change that is meant is written down, and then read in the diff, with: ROLLBACKD_GOLDEN=write pytest tests/adapters/test_golden_notices.py
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rollbackd.adapters.alertmanager import Alertmanager
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.mail import Mail, MailServer
from rollbackd.adapters.pagerduty import PagerDuty
from rollbackd.adapters.slack import Slack
from rollbackd.adapters.teams import Teams
from rollbackd.adapters.webhook import Webhook
from tests.adapters.notices import HOSTILE, KINDS, NOW
from tests.doubles.mailbox import mailbox
from tests.exposition import Reply, serving

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = {**{notice.kind: notice for notice in KINDS}, "hostile": HOSTILE}


def over_http(send: Callable[[str, Path, Notice], None], url_path: str = "/") -> Callable[[Path, Notice], str]:
    """The request as JSON: its path and its body."""

    def rendered(folder: Path, notice: Notice) -> str:
        with serving(Reply(200, b'{"ok": true}')) as server:
            (folder / "secret").write_text(f"{server.url}{url_path}")
            send(server.url, folder / "secret", notice)
            (request,) = server.asked
        return json.dumps({"path": request.path, "body": json.loads(request.body)}, indent=1, ensure_ascii=True) + "\n"

    return rendered


def by_pagerduty(url: str, secret: Path, notice: Notice) -> None:
    secret.write_text("the-integration-key")
    PagerDuty("oncall", secret, now=lambda: NOW, url=url).send(notice)


def by_mail(folder: Path, notice: Notice) -> str:
    with mailbox() as box:
        Mail("oncall", MailServer("127.0.0.1", box.port, "none"), sender="rollbackd@shop.example", recipients=["ada@shop.example"]).send(notice)
    return box.raw[0].decode().replace("\r\n", "\n")


CHANNELS: dict[str, Callable[[Path, Notice], str]] = {
    "pagerduty": over_http(by_pagerduty),
    "slack": over_http(lambda url, secret, notice: Slack("oncall", now=lambda: NOW, url_file=secret).send(notice), "/services/x"),
    "teams": over_http(lambda url, secret, notice: Teams("oncall", secret, now=lambda: NOW).send(notice), "/workflows/x"),
    "webhook": over_http(lambda url, secret, notice: Webhook("oncall", url_file=secret, now=lambda: NOW).send(notice), "/hook"),
    "alertmanager": over_http(lambda url, secret, notice: Alertmanager("oncall", [url], now=lambda: NOW).send(notice)),
    "email": by_mail,
}


def golden_file(channel: str, kind: str) -> Path:
    return GOLDEN / channel / f"{kind}.{'txt' if channel == 'email' else 'json'}"


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_notice_is_rendered_as_it_was_last_agreed(channel: str, kind: str, tmp_path: Path) -> None:
    file, rendered = golden_file(channel, kind), CHANNELS[channel](tmp_path, SAMPLES[kind])
    if os.environ.get("ROLLBACKD_GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rendered)
    assert rendered == file.read_text(), "if that is meant: ROLLBACKD_GOLDEN=write pytest tests/adapters/test_golden_notices.py"


def test_there_is_no_golden_file_that_no_test_reads() -> None:
    assert set(GOLDEN.rglob("*.*")) == {golden_file(channel, kind) for channel in CHANNELS for kind in SAMPLES}
