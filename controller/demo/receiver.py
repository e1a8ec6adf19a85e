"""On-call's end of the webhook: a loopback receiver that checks each signature (Standard Webhooks) before it believes a message."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE = 300.0
"""Seconds that a message's timestamp may be off: older ones could be replayed."""
MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose signature held. ``body`` is the JSON as it came."""

    id: str
    body: Mapping[str, Any]


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether one of the signatures over id, timestamp and body was made with ``secret``, and lately."""
    identity, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not stamp.isdecimal() or abs(now - int(stamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    return any(hmac.compare_digest(wanted, given) for given in headers.get("webhook-signature", "").split())


class Receiver(ThreadingHTTPServer):
    """Keeps the messages whose signature holds, each once; the others are refused and counted. As a context, it serves."""

    daemon_threads = True

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._messages: dict[str, Message] = {}
        self.refused = 0
        super().__init__(("127.0.0.1", 0), _Delivery)

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.serve_forever, args=(0.05,), name="receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        """Where messages are to be sent."""
        return f"http://127.0.0.1:{self.server_port}/oncall"

    @property
    def messages(self) -> list[Message]:
        """Those that came, in their order; one that came twice is one."""
        return list(self._messages.values())

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status to answer with."""
        if not is_signed(self._secret, headers, body, time.time()):
            self.refused += 1
            return 401
        message = Message(headers["webhook-id"], json.loads(body))
        self._messages.setdefault(message.id, message)
        return 204


class _Delivery(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """A message that somebody sends."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, MAX_BODY))
        self.send_response(self.server.take({name.lower(): value for name, value in self.headers.items()}, body))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """The story tells what arrived."""
