"""People, or their machines, told through a signed HTTP request: a CloudEvents 1.0 document with Standard-Webhooks signatures.

The receiver knows a repeated message by its ``webhook-id``. The address is a secret: only its host is ever shown.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.posting import accepted, host_of, post
from rollbackd.adapters.base.secret_files import only_secret, secret_lines, spoiled
from rollbackd.adapters.base.signing import key_of, signature
from rollbackd.adapters.base.wording import header_id


class Webhook:
    """A Notifier that posts each notice to one address.

    Give ``url`` or ``url_file``. ``secret_file`` holds one secret a line, ``whsec_`` and base64 or plain text; each signs, so that secrets can
    be rotated. Files are read anew for each message.
    """

    def __init__(
        self,
        name: str,
        *,
        now: Callable[[], datetime],
        url: str | None = None,
        url_file: Path | None = None,
        secret_file: Path | None = None,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        if (url is None) == (url_file is None):
            raise Permanent(f"contact {name} needs either url or url_file; it tells nobody; correct the daemon's config")
        self.name = name
        self._now = now
        self._url = url
        self._url_file = url_file
        self._secret_file = secret_file
        self._timeout = timeout

    def send(self, notice: Notice) -> None:
        """Delivered once this returns. Raises Transient, with the receiver's wish for a pause, or Permanent."""
        url = self._address()
        now = self._now()
        body = json.dumps(_event(notice), separators=(",", ":")).encode()
        reply = post(
            url, body, {"Content-Type": "application/cloudevents+json; charset=utf-8", **self._signed(header_id(notice.id), now, body)}, self._timeout
        )
        # What the receiver says may repeat the address.
        accepted(f"contact {self.name} at {host_of(url)}", reply, now, excerpt=False)

    def check(self) -> tuple[str, ...]:
        """What keeps its secrets from being used for a message, with what to do."""
        return spoiled(self._address, self._keys)

    def _address(self) -> str:
        if self._url_file is None:
            return self._url or ""
        return only_secret(self.name, self._url_file, "one address")

    def _signed(self, message: str, now: datetime, body: bytes) -> dict[str, str]:
        stamp = str(int(now.timestamp()))
        named = {"webhook-id": message, "webhook-timestamp": stamp}
        if not (keys := self._keys()):
            return named
        return {**named, "webhook-signature": " ".join(signature(key, message, stamp, body) for key in keys)}

    def _keys(self) -> list[bytes]:
        """What signs; nothing where no file is named. Raises Permanent."""
        if self._secret_file is None:
            return []
        secrets = secret_lines(self.name, self._secret_file)
        if not secrets:
            # Unsigned, it would be dropped by the receiver, or worse, teach it to accept unsigned messages.
            raise Permanent(f"contact {self.name}: {self._secret_file} holds no secret; nothing was sent; write one")
        return [self._key(secret) for secret in secrets]

    def _key(self, secret: str) -> bytes:
        try:
            return key_of(secret)
        except ValueError as error:
            raise Permanent(f"contact {self.name}: {error}; nothing was sent; correct it") from error


def _event(notice: Notice) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": "rollbackd",
        "type": f"rollbackd.notice.{notice.kind}",
        "subject": notice.key,
        "time": notice.at.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "key": notice.key,
            "kind": notice.kind,
            "title": notice.title,
            "lines": list(notice.lines),
            "urgency": notice.urgency,
            "resolved": notice.resolved,
            "fields": dict(notice.fields),
        },
    }
