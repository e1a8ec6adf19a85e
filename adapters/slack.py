"""People told in a Slack channel, through an incoming webhook or, with a bot's token, through chat.postMessage.

All text is sent as plain_text, in which Slack looks for no mentions and no marks, and without what begins one: a label's value calls nobody. Each
message stands in the channel by itself, with its incident in it; there are no threads, because what a thread is begun with would have to outlive the
daemon.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.posting import Reply, accepted, host_of, post
from rollbackd.adapters.base.secret_files import only_secret, spoiled
from rollbackd.adapters.base.wording import cut, fitted, one_line, utf16

SLACK_API = "https://slack.com/api"

# Slack's limits: a header, a section; of all blocks together about 13,000 were seen to be refused (msg_blocks_too_long).
_HEADER, _SECTION, _ALL = 150, 3000, 11_000
# What chat.postMessage answers where the same message may be taken later; every other error is for a person to mend.
_LATER = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_TOKEN = frozenset({"invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive", "missing_scope", "no_permission"})


class Slack:
    """A Notifier that posts each notice to one channel.

    Give ``url_file``, which holds the address of an incoming webhook, or ``token_file`` and ``channel``. Files are read anew for each message.
    """

    def __init__(
        self,
        contact: str,
        *,
        now: Callable[[], datetime],
        url_file: Path | None = None,
        token_file: Path | None = None,
        channel: str | None = None,
        api_url: str = SLACK_API,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        if (url_file is None) == (token_file is None) or (token_file is None) != (channel is None):
            raise Permanent(f"contact {contact}: slack needs either url_file, or token_file and channel; correct the daemon's config")
        self.name = "slack"
        self._contact = contact
        self._now = now
        self._url_file = url_file
        self._token_file = token_file
        self._channel = channel
        self._api_url = api_url.rstrip("/")
        self._timeout = timeout

    def send(self, notice: Notice) -> None:
        """In the channel once this returns; sent twice, it stands there twice. Raises Transient, with Slack's wish for a pause, or Permanent."""
        if self._url_file is not None:
            self._to_webhook(self._url_file, notice)
        elif self._token_file is not None:
            self._to_channel(self._token_file, notice)

    def check(self) -> tuple[str, ...]:
        """What keeps its secrets from being used for a message, with what to do."""
        if self._url_file is not None:
            return spoiled(partial(self._address, self._url_file))
        return spoiled(partial(self._token, self._token_file)) if self._token_file is not None else ()

    def _address(self, url_file: Path) -> str:
        return only_secret(self._contact, url_file, "one address")

    def _token(self, token_file: Path) -> str:
        return only_secret(self._contact, token_file, "one token")

    def _to_webhook(self, url_file: Path, notice: Notice) -> None:
        url = self._address(url_file)
        # Slack's errors are a word; of whatever else may answer, no part of the address is repeated.
        reply = post(url, json.dumps(_message(notice)).encode(), _headers(), self._timeout)
        accepted(f"contact {self._contact}: Slack at {host_of(url)}", _worded(reply), self._now(), excerpt=True)

    def _to_channel(self, token_file: Path, notice: Notice) -> None:
        token = self._token(token_file)
        url = f"{self._api_url}/chat.postMessage"
        body = {"channel": self._channel, **_message(notice), "unfurl_links": False, "unfurl_media": False}
        reply = post(url, json.dumps(body).encode(), _headers(Authorization=f"Bearer {token}"), self._timeout, hide=(token,))
        at = f"contact {self._contact}: Slack at {host_of(url)}"
        accepted(at, _worded(reply), self._now(), excerpt=True)
        self._judge(at, reply)

    def _judge(self, at: str, reply: Reply) -> None:
        """chat.postMessage answers 200 to what it refuses, too."""
        try:
            said = json.loads(reply.body)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
            raise Transient(f"{at} answered with something that is not Slack's; it is unknown whether it was delivered; it will be sent again")
        if said["ok"]:
            return
        error = _word(str(said.get("error", "")))
        if error in _LATER:
            raise Transient(f"{at} answered {error}; it was not delivered; it will be sent again")
        raise Permanent(f"{at} answered {error or 'an error'}; it was not delivered; {self._advice(error)}")

    def _advice(self, error: str) -> str:
        if error in _TOKEN:
            return "write a token that is valid and has the scope chat:write"
        if "channel" in error or error == "is_archived":
            return f"check that the channel {self._channel} exists and has the app in it"
        return "Slack's page on chat.postMessage says what it means"


def _headers(**more: str) -> Mapping[str, str]:
    return {"Content-Type": "application/json; charset=utf-8", **more}


def _worded(reply: Reply) -> Reply:
    return Reply(reply.status, _word(reply.excerpt), reply.retry_after)


def _word(text: str) -> str:
    return text if re.fullmatch(r"[a-z_]{1,60}", text) else ""


def _message(notice: Notice) -> Mapping[str, object]:
    title = cut(_blunt(one_line(notice.title)), _HEADER, utf16) or notice.kind
    lines = fitted([_blunt(line) for line in notice.lines], _ALL, lambda line: utf16(line) + 1)
    return {
        # For the notification and for screen readers. Here, alone, Slack looks for marks.
        "text": _escaped(title),
        "mrkdwn": False,
        "link_names": False,
        "blocks": [{"type": "header", "text": _plain(title)}, *({"type": "section", "text": _plain(text)} for text in _sections(lines))],
    }


def _plain(text: str) -> Mapping[str, object]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _blunt(text: str) -> str:
    """The text without what begins a mention or a link anywhere in Slack, still to be read and copied."""
    return re.sub(r"<(?=\S)", "< ", text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _sections(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines in as few texts as a section's limit allows; a line is no longer than one."""
    texts: list[str] = []
    for line in filter(str.strip, lines):
        joined = f"{texts[-1]}\n{line}" if texts else line
        if texts and utf16(joined) <= _SECTION:
            texts[-1] = joined
        else:
            texts.append(cut(line, _SECTION, utf16))
    return tuple(texts)
