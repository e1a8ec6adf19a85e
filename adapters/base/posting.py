"""One JSON document posted to one address: what all channels over HTTP share. Follows no redirect, uses no proxy.

The standard library's client is used because its errors do not repeat the address, which may be a secret.
"""

import base64
import contextlib
import email.utils
import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import SplitResult, unquote, urlsplit

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.http_deadline import Followed, FollowedSecurely, answered_within
from rollbackd.adapters.base.metadata import is_metadata

_TRANSIENT = frozenset({408, 425, 429})
_LONGEST_PAUSE = 3600.0  # a wish for a day, or for ever, would keep a page from being tried again
_LONGEST = 64 * 1024  # of a body; what no channel reads further


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, the first 200 characters of the body, the Retry-After header as sent, and the body, up to 64 KB of it."""

    status: int
    excerpt: str
    retry_after: str
    body: bytes = field(default=b"", repr=False)


def host_of(url: str) -> str:
    """The part of an address that may be shown. Raises Permanent, without showing it, if it is no address to post to."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise Permanent("the address to post to is no http:// or https:// address; nothing was sent; correct it in the daemon's config or its file")
    if is_metadata(parts.hostname):
        raise Permanent("the address to post to is where a cloud hands out credentials; nothing was sent; correct the daemon's config or its file")
    return f"{parts.hostname}:{port}" if port else parts.hostname


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: timedelta, hide: Sequence[str] = ()) -> Reply:
    """The answer to one POST, which takes no longer than ``timeout``, connecting included. None of ``hide`` is in its excerpt.

    Raises Transient if there was no answer, Permanent if the address is none.
    """
    host, parts = host_of(url), urlsplit(url)
    kind = FollowedSecurely if parts.scheme == "https" else Followed
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with contextlib.closing(kind(parts.hostname or "", parts.port, timeout=timeout.total_seconds())) as connection, answered_within(timeout):
            connection.request("POST", path, body, {"User-Agent": "rollbackd", "Accept": "*/*", **_login(parts), **headers})
            answer = connection.getresponse()
            read = answer.read(_LONGEST)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise Transient(f"{host} gave no answer ({why}); it is unknown whether it was delivered; it will be sent again") from error
    return Reply(answer.status, _excerpt(read, hide), answer.headers.get("Retry-After", ""), read)


def _excerpt(body: bytes, hide: Sequence[str]) -> str:
    # Hidden before it is cut: half a secret is one too.
    text = body.decode(errors="replace")
    for secret in sorted(filter(None, hide), key=len, reverse=True):
        text = text.replace(secret, "[hidden]")
    return " ".join(text.split())[:200]


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def accepted(host: str, reply: Reply, now: datetime, *, excerpt: bool) -> None:
    """Returns if the reply means delivered. Raises Transient or Permanent otherwise; ``excerpt``: the body may be shown."""
    said = f": {reply.excerpt}" if excerpt and reply.excerpt else ""
    if 200 <= reply.status < 300:
        return
    if reply.status in _TRANSIENT or reply.status >= 500:
        wish = _seconds(reply.retry_after, now)
        raise Transient(f"{host} answered HTTP {reply.status}{said}; it was not delivered; it will be sent again", retry_after=wish)
    advice = "name the address that it redirects to" if 300 <= reply.status < 400 else "correct the address or its secret"
    raise Permanent(f"{host} answered HTTP {reply.status}{said}; it was not delivered; {advice}")


def _seconds(wish: str, now: datetime) -> float | None:
    if wish.strip().isdecimal():
        return min(float(wish), _LONGEST_PAUSE)
    try:
        until = email.utils.parsedate_to_datetime(wish)
    except ValueError:
        return None
    return min(max((until - now).total_seconds(), 0.0), _LONGEST_PAUSE) if until.tzinfo else None
