"""One question to a JSON API, and one checked answer: every fault of the other side becomes Transient, Permanent or Refused here.

Follows no redirect and uses no proxy: a token goes to the configured address only. Repeats a question only
where the door was shut and the token has changed since.
"""

import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.http_deadline import Followed, FollowedSecurely, answered_within
from rollbackd.adapters.base.posting import host_of

Document: TypeAlias = Any  # what json.loads gives; it does not leave the adapters
MAX_BYTES = 32 * 1024 * 1024
_PIECE = 1 << 16
_TRANSIENT = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``document`` None: no body. ``headers``: names in lower case."""

    status: int
    document: Document
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The other side's own words about a failure, in one short line; "" if it has none."""
        found = self.document
        if isinstance(found, dict):
            details = found.get("details")
            first = details[0].get("message") if isinstance(details, list) and details and isinstance(details[0], dict) else None
            found = first or found.get("message") or found.get("error") or found.get("detail") or found.get("name") or ""
        return " ".join(str(found or "").split())[:200]


@dataclass(frozen=True, slots=True)
class JsonApi:
    """An API at one address with one token.

    ``sign``: the headers that a token makes. ``token_file``: read anew for every question, so that a rotated token needs no restart.
    ``timeout``: to connect, and of the whole answer, headers and body.
    """

    url: str
    token_file: Path
    sign: Callable[[str], Mapping[str, str]]
    timeout: timedelta = timedelta(seconds=10)
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """What messages call it. Raises Permanent if its address is none."""
        return host_of(self.url)

    def ask(self, method: str, path: str, body: Document = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer, whatever its status. Raises Transient if there was none, Permanent if nothing could be asked.

        ``path``: below the address, starting with a slash, quoted by the caller.
        """
        token = self._token()
        answer = self._asked(token, method, path, body, headers or {})
        # Refused at the door, nothing was done: asking once more is safe where the token was rotated between our reading and their looking.
        if answer.status == 401 and (newer := self._token()) != token:
            return self._asked(newer, method, path, body, headers or {})
        return answer

    def _asked(self, token: str, method: str, path: str, body: Document, headers: Mapping[str, str]) -> Answer:
        host, parts = self.host, urlsplit(self.url)
        sent = None if body is None else json.dumps(body).encode()
        known = {"User-Agent": "rollbackd", "Accept": "application/json", **({} if sent is None else {"Content-Type": "application/json"})}
        try:
            with contextlib.closing(self._connection()) as connection, answered_within(self.timeout):
                connection.request(method, parts.path.rstrip("/") + path, sent, {**known, **self.sign(token), **headers})
                reply = connection.getresponse()
                raw = _read(reply)
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(getattr(error, "reason", "")) or type(error).__name__
            outcome = "nothing was changed" if method == "GET" else "it is unknown whether it was written; it is looked for"
            raise Transient(f"{host} gave no answer ({why}); {outcome}; see whether it runs and the address is right") from error
        found = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, _document(host, reply.status, raw, token), found)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Document:
        """The document at ``path``. Raises what ``failure`` makes of any status but 200."""
        answer = self.ask("GET", path, headers=headers)
        if answer.status != 200 or answer.document is None:
            raise self.failure(answer)
        return answer.document

    def failure(self, answer: Answer) -> AdapterError:
        """A status that means no success, in one of the three words."""
        said = f": {answer.said}" if answer.said else ""
        line = f"{self.host} answered HTTP {answer.status}{said}"
        if answer.status in _TRANSIENT or answer.status >= 500:
            return Transient(
                f"{line}; it may not have been carried out; try again later", retry_after=_seconds(answer.headers.get("retry-after", ""))
            )
        if answer.status == 401:
            return Permanent(f"{line}; nothing was changed; put a valid token into {self.token_file}")
        if answer.status == 403:
            return Permanent(f"{line}; nothing was changed; give the token in {self.token_file} the right to do this")
        if 300 <= answer.status < 400:
            return Permanent(f"{self.host} answered HTTP {answer.status}, which is not followed; nothing was changed; configure where it leads to")
        if 200 <= answer.status < 300:
            return Transient(f"{self.host} answered HTTP {answer.status} without what was asked for; look at it by hand")
        return Permanent(f"{line}; nothing was changed")

    def secret(self) -> str:
        """What the token file holds now, for an API that wants it elsewhere than in a header. Raises Permanent if it holds none."""
        return self._token()

    def _connection(self) -> http.client.HTTPConnection:
        parts, timeout = urlsplit(self.url), self.timeout.total_seconds()
        if parts.scheme == "http":
            return Followed(parts.hostname or "", parts.port, timeout=timeout)
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except OSError as error:
            raise Permanent(f"{self.host}: the certificates in {self.ca_file} cannot be read, so nothing was asked: put them right") from error
        return FollowedSecurely(parts.hostname or "", parts.port, timeout=timeout, context=context)

    def _token(self) -> str:
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            # Not chained: the cause's text may hold the file's bytes.
            raise Permanent(f"{self.host}: token file {self.token_file} cannot be read ({reason}), so nothing was asked: put it right") from None
        if not token or not token.isprintable() or " " in token:
            raise Permanent(f"{self.host}: the token file {self.token_file} holds no token, so nothing was asked: put one in")
        return token


def _read(reply: http.client.HTTPResponse) -> bytes:
    """The whole body. Raises HTTPException for one that is too large or cut."""
    pieces, size = [], 0
    while piece := reply.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise http.client.HTTPException(f"more than {MAX_BYTES} bytes")
    if reply.length:  # what was promised and did not come
        raise http.client.IncompleteRead(b"", reply.length)
    return b"".join(pieces)


def _document(host: str, status: int, raw: bytes, token: str) -> Document:
    if not raw.strip():
        return None
    try:
        # A server that repeats our token in its answer must not bring it into a message.
        return json.loads(raw.decode().replace(token, "***"))
    except (ValueError, RecursionError) as error:
        if status < 300:
            raise Transient(f"{host} answered HTTP {status} with what is no JSON; nothing is known from it; look whether a proxy answers") from error
        return None


def _seconds(wish: str) -> float | None:
    return float(wish) if wish.strip().isdecimal() else None
