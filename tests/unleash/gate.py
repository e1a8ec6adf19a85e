"""A gate in front of the real Unleash: it passes everything on and remembers it, but for what it is told to answer by itself."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.exposition import Reply, Request, serving


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of the gate's own."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Gate:
    """``answers``: by method and the beginning of the path, ``POST /api/admin``. ``asked``: method and path of all that came."""

    upstream: str
    url: str = ""
    answers: dict[str, Said] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def reply(self, request: Request) -> Reply:
        """Its own answer, if it has one for this request, else Unleash's."""
        line = f"{request.method} {request.path}"
        self.asked.append(line)
        said = next((said for start, said in self.answers.items() if line.startswith(start)), None)
        if said is not None:
            return Reply(said.status, json.dumps(said.document).encode(), said.headers)
        parts = urlsplit(self.upstream)
        with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
            sent = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
            connection.request(request.method, request.path, request.body or None, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())


@contextlib.contextmanager
def gate(upstream: str) -> Iterator[Gate]:
    """A gate on a loopback port of its own."""
    made = Gate(upstream)
    with serving(made.reply) as server:
        made.url = server.url
        yield made
