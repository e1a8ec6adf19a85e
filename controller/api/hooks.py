"""Changes that pipelines sign instead of carrying a token: who has a hook's secret may post changes, and nothing else.

Signed as Standard Webhooks says, over the raw body and the time. What was overheard cannot be used again: in five minutes it is too old, and until
then its id is known.
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import structlog

from rollbackd.adapters.base.signing import key_of, signature
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.past import ChangeLine
from rollbackd.controller.api.calls import CHANGE
from rollbackd.controller.api.page import Page
from rollbackd.controller.people.posted import Posted

log = structlog.get_logger()

WINDOW = timedelta(minutes=5)
"""So far may a message's time be from ours, either way."""
SHORTEST_KEY = 24
"""Bytes: what is shorter could be tried out by whoever has one message."""
LONGEST_ID = 200
_ID, _STAMP = re.compile(f"[A-Za-z0-9_-]{{1,{LONGEST_ID}}}"), re.compile("[0-9]{1,11}")
MOST_KEPT = 10_000
MOST_SIGNATURES = 10
HOOK = Page("/hooks/{name}", "A change that a pipeline made and signed: a suspect from now on.", ChangeLine, CHANGE)


class Unsigned(Exception):
    """The message is not by who has the hook's secret, or not of now."""


@dataclass(frozen=True, slots=True)
class Message:
    """A genuine message to a hook."""

    hook: str
    at: datetime

    def marked(self, change: Posted) -> Posted:
        """The change as this message tells of it. Its start is the message's own time where none is named: posted again it is the same change."""
        return replace(change, started=change.started or self.at, note=f"{change.note} (hook {self.hook})".strip())


class Hooks:
    """The hooks of the config, by name, each with the file of its secrets: one a line, all of them good, so that they can be rotated.

    Files are read for each message. Safe to use from several threads. Raises OSError or ValueError where a file holds no secret: at the start; later
    such a hook takes nothing until it is mended.
    """

    def __init__(self, files: Mapping[str, Path], now: Callable[[], datetime], most_kept: int = MOST_KEPT) -> None:
        self._files = dict(files)
        self._now = now
        self._most_kept = most_kept
        self._lock = Lock()
        self._taking: set[tuple[str, str]] = set()
        self._kept: dict[tuple[str, str], datetime] = {}
        for file in self._files.values():
            _keys(file)

    @contextmanager
    def opened(self, name: str, headers: Mapping[str, str], body: bytes) -> Iterator[Message]:
        """A message that is genuine, of now, and the first with its id. It may come again if the block raises. Raises Unsigned; Denied."""
        message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        given = headers.get("webhook-signature", "").split()[:MOST_SIGNATURES]
        if not self._is_genuine(name, message, stamp, given, body):
            raise Unsigned("there is no such hook, or the signature is missing or wrong")
        at, now = datetime.fromtimestamp(int(stamp), UTC), self._now()
        if abs(now - at) > WINDOW:
            raise Unsigned(f"the message is of {at:%Y-%m-%d %H:%M:%S} UTC, and it is {now:%H:%M:%S}: more than {WINDOW.seconds // 60} minutes apart")
        key = name, message
        self._begin(key, now)
        try:
            yield Message(name, at)
            with self._lock:
                self._kept[key] = at + WINDOW
        finally:  # whatever kept it from being posted: the sender may send it again
            with self._lock:
                self._taking.discard(key)

    def _is_genuine(self, name: str, message: str, stamp: str, given: list[str], body: bytes) -> bool:
        if _ID.fullmatch(message) is None or _STAMP.fullmatch(stamp) is None:
            return False
        found = False
        for key in self._keys(name):
            wanted = signature(key, message, stamp, body).encode()
            for each in given:
                found |= hmac.compare_digest(wanted, each.encode())
        return found

    def _keys(self, name: str) -> list[bytes]:
        file = self._files.get(name)
        try:
            return _keys(file) if file is not None else []
        except (OSError, ValueError) as fault:
            log.warning("hook.unreadable", hook=name, error=str(fault))
            return []

    def _begin(self, key: tuple[str, str], now: datetime) -> None:
        with self._lock:
            self._kept = {known: until for known, until in self._kept.items() if until >= now}
            # Nobody knows yet whether it will be: who is told that it was would not send it again.
            if key in self._taking:
                raise Denied("failed", f"message {key[1]!r} is being taken just now", "send it again in a few seconds")
            if key in self._kept:
                raise Denied(
                    "blocked",
                    f"message {key[1]!r} was taken before",
                    "sent again after a lost answer, there is nothing to do; else give it an id of its own",
                )
            if len(self._kept) + len(self._taking) >= self._most_kept:
                raise Denied("blocked", f"more than {self._most_kept:,} messages in {2 * WINDOW.seconds // 60} minutes", "wait")
            self._taking.add(key)


def _keys(file: Path) -> list[bytes]:
    """Raises OSError; ValueError where a line is too short, or none is there. Neither shows what the file holds."""
    try:
        lines = file.read_text(encoding="ascii").split("\n")
        found = [key_of(line.strip()) for line in lines if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"{file} holds no plain text") from None
    except ValueError as fault:
        raise ValueError(f"{file}: {fault}") from None
    if not found or min(map(len, found)) < SHORTEST_KEY:
        raise ValueError(f"{file} has to hold secrets of {SHORTEST_KEY} bytes and more, one a line; make one: openssl rand -hex 32")
    return found
