"""What each channel makes of each kind of notice, as it goes over the wire, kept under golden/CHANNEL/KIND.

A change that is meant is written down, and then read in the diff, with: ROLLBACKD_GOLDEN=write pytest tests/adapters/test_golden_notices.py
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rollbackd.adapters.alertmanager import Alertmanager
from rollbackd.adapters.base.notice import Notifier
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


def over_http(notifier: Callable[[str, Path], Notifier], path: str = "/") -> Callable[[Path], dict[str, str]]:
    """Each request as JSON: its path and its body."""

    def rendered(folder: Path) -> dict[str, str]:
        with serving(Reply(200)) as server:
            (folder / "secret").write_text(f"{server.url}{path}")
            sender = notifier(server.url, folder / "secret")
            for notice in SAMPLES.values():
                sender.send(notice)
            bodies = [{"path": request.path, "body": json.loads(request.body)} for request in server.asked]
        return {kind: json.dumps(body, indent=1) + "\n" for kind, body in zip(SAMPLES, bodies, strict=True)}

    return rendered


def pagerduty(url: str, secret: Path) -> Notifier:
    secret.write_text("the-integration-key")
    return PagerDuty("oncall", secret, now=lambda: NOW, url=url)


def by_mail(folder: Path) -> dict[str, str]:
    with mailbox() as box:
        sender = Mail("oncall", MailServer("127.0.0.1", box.port, "none"), sender="rollbackd@shop.example", recipients=["ada@shop.example"])
        for notice in SAMPLES.values():
            sender.send(notice)
    return {kind: raw.decode().replace("\r\n", "\n") for kind, raw in zip(SAMPLES, box.raw, strict=True)}


CHANNELS: dict[str, Callable[[Path], dict[str, str]]] = {
    "pagerduty": over_http(pagerduty),
    "slack": over_http(lambda url, secret: Slack("oncall", now=lambda: NOW, url_file=secret), "/services/x"),
    "teams": over_http(lambda url, secret: Teams("oncall", secret, now=lambda: NOW), "/workflows/x"),
    "webhook": over_http(lambda url, secret: Webhook("oncall", url_file=secret, now=lambda: NOW), "/hook"),
    "alertmanager": over_http(lambda url, secret: Alertmanager("oncall", [url], now=lambda: NOW)),
    "email": by_mail,
}


def golden_file(channel: str, kind: str) -> Path:
    return GOLDEN / channel / f"{kind}.{'txt' if channel == 'email' else 'json'}"


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_notice_is_rendered_as_it_was_last_agreed(channel: str, tmp_path: Path) -> None:
    rendered = CHANNELS[channel](tmp_path)
    if os.environ.get("ROLLBACKD_GOLDEN") == "write":
        (GOLDEN / channel).mkdir(parents=True, exist_ok=True)
        for kind, text in rendered.items():
            golden_file(channel, kind).write_text(text)
    agreed = {kind: golden_file(channel, kind).read_text() for kind in SAMPLES}
    assert rendered == agreed, "if that is meant: ROLLBACKD_GOLDEN=write pytest tests/adapters/test_golden_notices.py"


def test_there_is_no_golden_file_that_no_test_reads() -> None:
    assert set(GOLDEN.rglob("*.*")) == {golden_file(channel, kind) for channel in CHANNELS for kind in SAMPLES}
