"""One page of metrics: fetched within bounds, read into samples. Knows nothing of time or of queries."""

import math
import re
import socket
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.http_deadline import answered_within, follow
from rollbackd.adapters.base.metadata import is_metadata

if TYPE_CHECKING:
    import requests

MAX_BYTES = 32 * 1024 * 1024
# Plain text first: it carries no exemplars, which nobody here reads.
_ACCEPT = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5"
_LABELS = r'\{(?:[^"{}]|"(?:\\.|[^"\\])*")*\}'
_SERIES = re.compile(rf"(?:[a-zA-Z_:][a-zA-Z0-9_:]*(?:[ \t]*{_LABELS})?|{_LABELS})(?=[ \t])")
_LABEL = re.compile(
    r'[ \t]*(?:(?P<bare>[a-zA-Z_][a-zA-Z0-9_]*)|"(?P<quoted>(?:\\.|[^"\\])*)")[ \t]*(?:=[ \t]*"(?P<value>(?:\\.|[^"\\])*)")?[ \t]*(?:,[ \t]*|$)'
)
_ESCAPE = re.compile(r'\\[\\n"]')
_ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One page of metrics. ``labels`` are put on each of its series; they win over labels that it exposes itself."""

    url: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Host, port and path, for people: without credentials and query."""
        parts = urlsplit(self.url)
        return f"{parts.netloc.rpartition('@')[2]}{parts.path}"

    def may_show(self, shown: Mapping[str, str]) -> bool:
        """Whether series with these labels can be of this page: none of its own labels says otherwise."""
        return all(self.labels.get(label, value) == value for label, value in shown.items())


Discover: TypeAlias = Callable[[], Sequence[Endpoint | AdapterError]]
"""The endpoints of this moment, asked before each scrape; an AdapterError among them is of some that cannot be known. Raises one where none can."""


def by_name(host: str, port: int, path: str = "/metrics", labels: Mapping[str, str] | None = None) -> Discover:
    """One endpoint for each IPv4 address that the name has at this moment."""

    def resolve() -> Sequence[Endpoint]:
        try:
            found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a name: a part of it is empty or longer than 63 characters
            why = error.strerror if isinstance(error, OSError) else "it is no host name"
            raise Transient(f"the name {host} cannot be resolved ({why}); its endpoints were not scraped; check the name server") from error
        addresses = sorted({str(entry[4][0]) for entry in found})
        if any(map(is_metadata, addresses)):  # whoever keeps the name must not choose that for us
            raise Permanent(f"the name {host} leads to where a cloud hands out credentials; its endpoints were not scraped; find out who changed it")
        return [Endpoint(f"http://{address}:{port}{path}", labels or {}) for address in addresses]

    return resolve


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a page. ``series`` is its name and labels as written; ``stamp`` the time that the page itself gives it, in seconds."""

    series: str
    value: float
    stamp: float | None


def new_session() -> "requests.Session":
    """What pages are fetched with, one thread at a time."""
    import requests

    session = requests.Session()
    # Even where none is followed, the client reads a redirect's whole body, however slowly it drips, and trips over an address that is none.
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # a class of our own would import requests with this module
    session.trust_env = False  # a proxy or netrc of the environment is not where our own pods are
    for adapter in session.adapters.values():
        if isinstance(adapter, requests.adapters.HTTPAdapter):
            follow(adapter.poolmanager)
    return session


def fetch(session: "requests.Session", endpoint: Endpoint, timeout: float) -> tuple[str, bool]:
    """The page's text, and whether it is OpenMetrics. Raises Transient for anything but a whole 200 within ``timeout`` seconds and 32 MiB.

    ``session``: of ``new_session``, without which a page whose header drips is never given up.
    """
    import requests
    from urllib3.exceptions import HTTPError

    try:
        with answered_within(timedelta(seconds=timeout)):
            body, content_type = _received(session, endpoint, timeout)
        return body.decode(), "openmetrics" in content_type
    except TimeoutError as error:
        raise _failed(endpoint, f"its page did not arrive within {timeout:g}s") from error
    except UnicodeDecodeError as error:
        raise _failed(endpoint, "its page is no UTF-8") from error
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise _failed(endpoint, _cause(error)) from error


def _received(session: "requests.Session", endpoint: Endpoint, timeout: float) -> tuple[bytearray, str]:
    headers = {"Accept": _ACCEPT, "Accept-Encoding": "identity"}
    with session.get(endpoint.url, headers=headers, timeout=timeout, stream=True, allow_redirects=False) as reply:
        if reply.status_code != 200 or reply.headers.get("Content-Encoding", "identity") != "identity":
            raise _failed(endpoint, f"it answered HTTP {reply.status_code} {reply.headers.get('Content-Encoding', '')}".rstrip())
        body = bytearray()
        while part := reply.raw.read1(256 * 1024):
            body += part
            if len(body) > MAX_BYTES:
                raise _failed(endpoint, f"its page is larger than {MAX_BYTES} bytes")
        return body, reply.headers.get("Content-Type", "")


def _failed(endpoint: Endpoint, why: str) -> Transient:
    return Transient(f"{endpoint.place} was not scraped: {why}; its workload is unknown until it answers")


def _cause(error: BaseException) -> str:
    # The innermost error is the one that a person knows; the outer ones repeat the address, credentials included.
    while error.__context__ is not None:
        error = error.__context__
    return (getattr(error, "strerror", None) or type(error).__name__) if isinstance(error, OSError) else type(error).__name__


def read_page(endpoint: Endpoint, text: str, openmetrics: bool, known: Container[str]) -> list[Sample]:
    """The samples of a whole page; ``known`` series are recognised by their text, which is what makes it fast.

    Raises Transient if any line cannot be read, if the page is cut, or names a series twice: half a page says nothing.
    """
    if not _is_whole(text, openmetrics):
        raise _failed(endpoint, "its page is cut")
    try:
        samples = list(_samples(text, 1.0 if openmetrics else 0.001, known))
    except ValueError as error:
        raise _failed(endpoint, f"its page is no page of metrics ({str(error)[:100]})") from error
    if len({sample.series for sample in samples}) != len(samples):
        raise _failed(endpoint, "its page names one series twice")
    return samples


def _is_whole(text: str, openmetrics: bool) -> bool:
    if not openmetrics:
        return not text or text.endswith("\n")
    # The grammar asks for a line feed behind it, which some exporters leave out and Prometheus does without.
    return text.endswith(("\n# EOF", "\n# EOF\n")) or text in ("# EOF", "# EOF\n")


def _samples(text: str, tick: float, known: Container[str]) -> Iterator[Sample]:
    for line in text.split("\n"):
        series, _, last = line.rpartition(" ")
        if series in known:
            yield Sample(series, _number(last), None)
        elif (stripped := line.strip()) and not stripped.startswith("#"):
            yield _sample(stripped, tick)


def _sample(line: str, tick: float) -> Sample:
    match = _SERIES.match(line)
    if match is None:
        raise ValueError(line)
    # What follows ' # ' is an exemplar.
    rest = line[match.end() :].partition(" # ")[0].split()
    stamp = _number(rest[1]) * tick if len(rest) == 2 else None
    if not 1 <= len(rest) <= 2 or (stamp is not None and not math.isfinite(stamp)):
        raise ValueError(line)
    return Sample(match[0], _number(rest[0]), stamp)


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(text)
    return float(text)


def labels_of(series: str) -> tuple[str, Mapping[str, str]]:
    """Name and labels of a series as written. Raises ValueError."""
    # Our own reader: that of prometheus-client renames counters without '_total', and lets faulty labels pass or trips over them.
    name, _, inside = series.strip().partition("{")
    name, inside, labels = name.strip(), inside.removesuffix("}").strip(), {}
    at = 0
    while at < len(inside):
        match = _LABEL.match(inside, at)
        if match is None or (match["value"] is None and (name or match["bare"])):
            raise ValueError(series)
        word = match["bare"] or _unescaped(match["quoted"])
        if match["value"] is None:
            name = word
        elif word in labels:
            raise ValueError(series)
        else:
            labels[word] = _unescaped(match["value"])
        at = match.end()
    if not name:
        raise ValueError(series)
    return name, labels


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES[match[0]], text) if "\\" in text else text


def process_start(samples: Sequence[Sample]) -> float | None:
    """When the page's process started, in seconds, if the page says so."""
    said = next((sample.value for sample in samples if sample.series == "process_start_time_seconds"), math.nan)
    return said if math.isfinite(said) else None
