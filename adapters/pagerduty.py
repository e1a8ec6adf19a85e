"""On-call told through PagerDuty's Events API v2: an alert where a human is needed, a change event for everything else.

The key of a notice is the alert's dedup_key: what was triggered under it is acknowledged and resolved under it. PagerDuty drops an acknowledgement
or a resolution of an alert that it does not have. Escalation is PagerDuty's own.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.posting import accepted, host_of, post
from rollbackd.adapters.base.secret_files import only_secret, spoiled
from rollbackd.adapters.base.wording import cut, fitted, one_line, short_id

PAGERDUTY = "https://events.pagerduty.com"
"""Accounts in the EU: https://events.eu.pagerduty.com."""
Action: TypeAlias = Literal["trigger", "acknowledge", "resolve"]

# The API's own limits; the body may have 512 KB, which nobody reads.
_SUMMARY, _DEDUP_KEY, _DETAILS = 1024, 255, 64 * 1024
# "Preferably a back-off of a few minutes": a page that waits for minutes is no page, and more attempts at once make it worse.
_BREATH = 30.0


class PagerDuty:
    """A Notifier that sends each notice to one service. ``key_file`` holds its integration key and is read anew for each message."""

    def __init__(
        self, contact: str, key_file: Path, *, now: Callable[[], datetime], url: str = PAGERDUTY, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self.name = "pagerduty"
        self._contact = contact
        self._key_file = key_file
        self._now = now
        self._url = url.rstrip("/")
        self._timeout = timeout

    def send(self, notice: Notice) -> None:
        """Accepted by PagerDuty once this returns; sent twice, an alert is one alert and a change event is two.

        Raises Transient, with a pause for the whole channel where PagerDuty throttles it, or Permanent.
        """
        key = self._key()
        action = _action(notice)
        path = "/v2/enqueue" if action else "/v2/change/enqueue"
        body = json.dumps({"routing_key": key, **(_alert(notice, action) if action else _change(notice))}).encode()
        reply = post(f"{self._url}{path}", body, {"Content-Type": "application/json"}, self._timeout, hide=(key,))
        try:
            accepted(f"contact {self._contact}: PagerDuty at {host_of(self._url)}", reply, self._now(), excerpt=True)
        except Transient as error:
            if reply.status == 429 and error.retry_after is None:
                raise Transient(str(error), retry_after=_BREATH) from error
            raise

    def check(self) -> tuple[str, ...]:
        """What keeps its secrets from being used for a message, with what to do."""
        return spoiled(self._key)

    def _key(self) -> str:
        return only_secret(self._contact, self._key_file, "one integration key")


def _action(notice: Notice) -> Action | None:
    """What happens to the alert of the notice's key; None: nobody has to do anything, so it is a change event."""
    if notice.resolved:
        return "resolve"
    if notice.is_taken:
        return "acknowledge"
    return "trigger" if notice.urgency == "page" else None


def _alert(notice: Notice, action: Action) -> Mapping[str, object]:
    return {
        "event_action": action,
        "dedup_key": short_id(notice.key, _DEDUP_KEY),
        "payload": {**_payload(notice), "severity": "critical" if notice.urgency == "page" else "info", "class": notice.kind},
        "client": "rollbackd",
    }


def _change(notice: Notice) -> Mapping[str, object]:
    return {"payload": _payload(notice)}


def _payload(notice: Notice) -> Mapping[str, object]:
    facts = {name: cut(one_line(value), _SUMMARY) for name, value in notice.fields.items()}
    lines = fitted(notice.lines, _DETAILS, lambda line: len(json.dumps(line)) + 2)
    return {
        "summary": cut(one_line(notice.title), _SUMMARY) or notice.kind,
        "source": facts.get("target") or "rollbackd",
        "timestamp": notice.at.isoformat(),
        "custom_details": {**facts, "kind": notice.kind, "lines": lines},
    }
