"""Health checks: asks endpoints whether they answer, all at once, and says what share does not. Follows no redirect, reads no body."""

import re
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import SplitResult, urlsplit

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.metadata import is_metadata, refuse_metadata

_WORKERS = 32
_PORTS = {"http": 80, "https": 443, "tcp": 0}
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one endpoint did. ``why`` is for people; empty where it is healthy."""

    url: str
    healthy: bool
    why: str = ""


def probe_endpoints(urls: Sequence[str], timeout: timedelta) -> tuple[ProbeResult, ...]:
    """One result per url, in order. ``http(s)://`` is healthy if it answers with a status of 200 to 399, ``tcp://host:port`` if it accepts.

    Name resolution aside, each is given ``timeout`` in all, once its turn comes: 32 are asked at a time. Raises Permanent for another kind of url.
    """
    targets = [_target(url) for url in urls]
    if not targets:
        return ()
    with ThreadPoolExecutor(min(len(targets), _WORKERS), "probe") as pool:
        faults = pool.map(lambda target: _fault(target, timeout.total_seconds()), targets)
        return tuple(ProbeResult(url, not fault, fault) for url, fault in zip(urls, faults, strict=True))


def failing_share(results: Sequence[ProbeResult]) -> float | None:
    """How many of the endpoints that were asked fail, from 0 to 1; None if none was asked."""
    return sum(not result.healthy for result in results) / len(results) if results else None


def _target(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        port = target.port or _PORTS.get(target.scheme, 0)
    except ValueError as error:
        raise Permanent(f"{url[:120]!r} is no address to probe ({error}); nothing was asked; correct the probe") from error
    if target.scheme not in _PORTS or not target.hostname or not port or not url.isprintable() or " " in url or not target.netloc.isascii():
        raise Permanent(
            f"{url[:120]!r} is no address to probe; nothing was asked; write http://, https:// or tcp:// with a host in ASCII, and a port for tcp"
        )
    if is_metadata(target.hostname):
        raise Permanent(f"{url[:120]!r} is where a cloud hands out credentials; nothing was asked; correct the probe, or whoever names the pod")
    return target


def _fault(target: SplitResult, timeout: float) -> str:
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((target.hostname or "", target.port or _PORTS[target.scheme]), timeout) as plain:
            refuse_metadata(plain)
            if target.scheme == "tcp":
                return ""
            if target.scheme == "http":
                return _judge(_status_line(plain, target, deadline))
            plain.settimeout(max(deadline - time.monotonic(), 0.001))
            with ssl.create_default_context().wrap_socket(plain, server_hostname=target.hostname) as secure:
                return _judge(_status_line(secure, target, deadline))
    except TimeoutError:
        return f"no answer within {timeout:g}s"
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or type(error).__name__


def _status_line(connection: socket.socket, target: SplitResult, deadline: float) -> bytes:
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    host = target.netloc.rpartition("@")[2]
    line = b""
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rollbackd\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode())
    while b"\n" not in line and len(line) < 1024:
        # A server that sends a byte a second must not hold the probe: the time-out is for the whole answer.
        if (left := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(1024)
        if not part:
            break
        line += part
    return line


def _judge(line: bytes) -> str:
    match = _STATUS.match(line)
    if match is None:
        return "it hung up without an answer" if not line else "its answer is no HTTP"
    return "" if 200 <= int(match[1]) < 400 else f"HTTP {int(match[1])}"
