"""What the doubles of the flag vendors share: one HTTP server on loopback each, and its weather.

Each double says what its vendor documents, and nothing that only our client would need.
"""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.exposition import Loopback, Reply, Request


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart. ``parts``: the words of the path; ``headers``: by name in lower case; ``body``: decoded, None if there is none."""

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    @property
    def is_write(self) -> bool:
        return self.method not in ("GET", "HEAD")


def answered(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})


class Vendor:
    """One vendor's API.

    ``weather``: what the next requests are answered with instead, in order. ``before_write``: what somebody else does just before the next
    write arrives. ``next_write``: what the next write is answered with instead. ``cut_writes``: so many writes are applied, and their answers
    never arrive whole. ``lagging``: what evaluates flags does not see writes until ``propagate`` is called. ``calls``: what it was asked.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.weather: list[Reply] = []
        self.calls: list[Call] = []
        self.before_write: list[Any] = []
        self.next_write: Reply | None = None
        self.cut_writes = 0
        self.lagging = False
        self.url = ""

    def answer(self, call: Call) -> Reply:
        """What the vendor documents."""
        raise NotImplementedError

    def propagate(self) -> None:
        """Whoever evaluates flags sees what was written."""
        raise NotImplementedError

    def wrote(self) -> None:
        """A write was applied: whoever evaluates sees it now, unless that lags."""
        if not self.lagging:
            self.propagate()

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write]

    def reply(self, request: Request) -> Reply:
        call = _call(request)
        with self.lock:
            self.calls.append(call)
            if self.weather:
                return self.weather.pop(0)
            if call.is_write and self.before_write:
                self.before_write.pop(0)()
            if call.is_write and self.next_write is not None:
                reply, self.next_write = self.next_write, None
                return reply
            reply = self.answer(call)
            if call.is_write and reply.status < 300 and self.cut_writes:
                self.cut_writes -= 1
                return replace(reply, promise=10_000)
            return reply


def _call(request: Request) -> Call:
    url = urlsplit(request.path)
    headers = {name.lower(): value for name, value in request.headers.items()}
    parts = tuple(unquote(part) for part in url.path.split("/") if part)
    body = json.loads(request.body) if request.body else None
    return Call(request.method, parts, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)


V = TypeVar("V", bound=Vendor)


@contextlib.contextmanager
def standing(vendor: V) -> Iterator[V]:
    """The vendor answers at ``vendor.url`` for the length of the block."""
    server = Loopback(vendor.reply)
    vendor.url = server.url
    try:
        yield vendor
    finally:
        server.close()
