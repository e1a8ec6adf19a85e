"""What the daemon says on stderr: one JSON object per line, or colours for a terminal, and never a secret."""

import contextlib
import logging
import math
import re
import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import TextIO
from urllib.parse import quote, urlsplit

import structlog
from structlog.typing import EventDict, Processor

HIDDEN = "[hidden]"
_SECRET_KEYS = re.compile(r"token|secret|passw|authorization|api_?key|credential|cookie|webhook|signature", re.IGNORECASE)
_SHORTEST = 4  # a shorter "secret" would blot out half of every line and hide nothing


class Secrets:
    """Values that must never be written anywhere. Adapters register what they read from files; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        """The value, also as it looks inside a URL, is hidden from now on. Values under four characters are not: they hide nothing."""
        plain = value.strip()
        with self._lock:
            self._values |= {each for each in (plain, quote(plain, safe="")) if len(each) >= _SHORTEST}
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def add_url(self, url: str) -> None:
        """The URL is hidden, and its path and user part too: libraries print those alone."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        for each in (url, path if len(path) > 8 else "", parts.password or ""):  # '/api' names no one's secret
            self.add(each)

    def hide(self, text: str) -> str:
        """The text without any registered value."""
        return self._pattern.sub(HIDDEN, text) if self._pattern is not None else text

    def hide_in(self, value: object) -> object:
        """The value in JSON's own types, without any registered value and without what a key says is secret."""
        match value:
            case Enum():  # before numbers: an IntEnum is both
                return value.name.lower()
            case None | bool() | int():
                return value
            case float():
                return value if math.isfinite(value) else repr(value)
            case str():
                return self.hide(value)
            case datetime():
                return value.isoformat()
            case timedelta():
                return value.total_seconds()
            case Mapping():
                return {self.hide(str(key)): self.hide_at(str(key), item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.hide_in(item) for item in value]
            case _:
                return self.hide(str(value) if isinstance(value, Exception | PurePath) else repr(value))

    def hide_at(self, key: str, value: object) -> object:
        """The value as ``hide_in`` gives it, or nothing of it where its key says that it is secret; a file's name is none."""
        is_secret = _SECRET_KEYS.search(key) is not None and not key.endswith("_file")
        return HIDDEN if is_secret and value not in (None, "") else self.hide_in(value)


def configure(secrets: Secrets, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Everything that is logged, here and in the libraries, goes to ``stream`` [stderr] in one form; a second call replaces the first.

    Libraries are heard from WARNING on. An exception that ends a thread or the process is logged the same way, without local variables.
    A stream that takes no more is no reason to stop: what cannot be said is dropped.
    """
    out = stream or sys.stderr
    is_terminal = out.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.ExceptionRenderer(),
            _hiding(secrets),
            structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=structlog.dev.plain_traceback)
            if is_terminal
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(out),
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(logging.WARNING)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


class _Lines:
    """One line per message, whole, from any thread."""

    _lock = threading.Lock()

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        # A full disk or a closed pipe behind stderr must not end a rollback.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


class _Bridge(logging.Handler):
    """What the libraries log, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        """The event is constant, as everywhere; the library's own words are a key of it."""
        structlog.get_logger().log(record.levelno, "library.logged", library=record.name, text=record.getMessage(), exc_info=record.exc_info)


def _hiding(secrets: Secrets) -> Processor:
    def hide(_: object, __: str, event: EventDict) -> EventDict:
        return {key: secrets.hide_at(key, value) for key, value in event.items()}

    return hide


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical("process.crashed", exc_info=(kind, error, trace))


def _log_thread_crash(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread is not None else ""
        structlog.get_logger().critical("thread.crashed", thread=name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
