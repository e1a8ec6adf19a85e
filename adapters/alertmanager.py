"""People told through Alertmanager: one alert per incident and severity, which routes, groups and silences as their other alerts do.

Posted once with an end far ahead, so that nothing has to be sent again and again; a restarted Alertmanager forgets it, having told people already.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.posting import accepted, host_of, post
from rollbackd.adapters.base.wording import fitted, one_line

_SEVERITY = {"page": "critical", "notice": "warning"}
# An end that comes by itself reads as "resolved", and a held incident may wait for people over a holiday.
_LASTS = timedelta(days=30)
# What ends in Alertmanager's future has not ended for it, and the end that it has, the later one, stays. Its clock may be behind ours.
_ENDED_SINCE = timedelta(hours=1)
# Where the alert goes on to is not ours to know: Slack's limit is the lowest that its usual receivers have for a text.
_DESCRIPTION = 11_000


class Alertmanager:
    """A Notifier that posts each notice to every instance of ``urls``.

    The alert's labels are its identity: ``alertname``, ``incident`` (the notice's key), ``severity``, and the notice's field ``target``, which is
    therefore the same in each notice of a key. ``policy`` is an annotation.
    """

    def __init__(self, name: str, urls: Sequence[str], *, now: Callable[[], datetime], timeout: timedelta = timedelta(seconds=10)) -> None:
        if not urls:
            raise Permanent(f"contact {name} names no Alertmanager; it tells nobody; correct the daemon's config")
        self.name = name
        self.missed: tuple[str, ...] = ()
        """One line for each instance that the last notice did not reach."""
        self._urls = tuple(urls)
        self._now = now
        self._timeout = timeout

    def send(self, notice: Notice) -> None:
        """Delivered once any instance has an alert, or all of them know that it is resolved: one that does not would tell people for days.

        Raises Permanent if every instance rejects it, Transient if it may work later. Sending it again changes nothing.
        """
        body = json.dumps(_alerts(notice)).encode()
        faults = [fault for url in self._urls if (fault := self._fault(url, body)) is not None]
        self.missed = tuple(str(fault) for fault in faults)
        if not faults or (len(faults) < len(self._urls) and not notice.resolved):
            return
        said = "; ".join(self.missed)
        if all(isinstance(fault, Permanent) for fault in faults):
            raise Permanent(said)
        waits = [fault.retry_after for fault in faults if isinstance(fault, Transient) and fault.retry_after is not None]
        raise Transient(said, retry_after=max(waits, default=None))

    def _fault(self, url: str, body: bytes) -> AdapterError | None:
        try:
            reply = post(f"{url.rstrip('/')}/api/v2/alerts", body, {"Content-Type": "application/json"}, self._timeout)
            accepted(f"Alertmanager at {host_of(url)}", reply, self._now(), excerpt=True)
        except (Transient, Permanent) as error:
            return error
        return None


def _alerts(notice: Notice) -> list[dict[str, object]]:
    # What was said as a page and as a notice are two alerts; the end is the end of both.
    severities = sorted(_SEVERITY.values()) if notice.resolved else [_SEVERITY[notice.urgency]]
    return [_alert(notice, severity) for severity in severities]


def _alert(notice: Notice, severity: str) -> dict[str, object]:
    since, until = (notice.at - _ENDED_SINCE,) * 2 if notice.resolved else (notice.at, notice.at + _LASTS)
    # The policy is no label: another one may take the incident on, and the end would then be that of an alert that never fired.
    return {
        "labels": {"alertname": "RollbackdIncident", "incident": notice.key, "severity": severity, **_named(notice, "target")},
        "annotations": {"summary": _blunt(one_line(notice.title)), "description": _description(notice), **_named(notice, "policy")},
        "startsAt": since.isoformat(),
        "endsAt": until.isoformat(),
    }


def _named(notice: Notice, field: str) -> dict[str, str]:
    return {field: value} if (value := notice.fields.get(field)) else {}


def _description(notice: Notice) -> str:
    return "\n".join(fitted([_blunt(line) for line in notice.lines], _DESCRIPTION, lambda line: len(line) + 1))


def _blunt(text: str) -> str:
    """The text without what begins a mention or makes a link in the chats that Alertmanager writes to, still to be read and copied."""
    return re.sub(r"<(?=\S)|@(?=(?:everyone|here|all|channel)\b)|\](?=\()", r"\g<0> ", text, flags=re.IGNORECASE)
