"""One checked answer per question: every fault of the other side becomes Transient or Permanent here, before prometheus-api-client sees it.

The client raises KeyError on ``status: error``, JSONDecodeError on HTML, follows redirects to login pages, reads bodies of any size and throws
warnings away. It is given this session, whose answers are read, capped and judged already.
"""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import requests
import urllib3

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.http_deadline import answered_within, follow
from rollbackd.adapters.prometheus.refusal import Problem, problem_of, retry_after, too_many, wrong_result
from rollbackd.adapters.prometheus.turn import Turn

Json: TypeAlias = Any  # what json.loads gives; it does not leave this package
PIECE = 1 << 16
LONGEST_REST = 300.0
"""Seconds that a source which asks to be left alone is left alone at most: more would be blindness, which it cannot mean."""


class TooLarge(Transient):
    """The answer is larger than may be read; asking for less may work."""


class TooMuch(Permanent):
    """The source refuses to read so much for one answer; asking for less may work."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``timeout``: of the whole answer, from the connection to its last byte, a second try after a 401 included.

    ``max_bytes``: of the body, unpacked. ``max_series``: in it.
    """

    timeout: timedelta
    max_bytes: int
    max_series: int


class Checked(requests.Response):
    """A good answer, parsed once."""

    def __init__(self, document: Json) -> None:
        super().__init__()
        self.status_code = 200
        self.document = document

    def json(self, **_: Any) -> Json:
        """The parsed body."""
        return self.document


class Wire(requests.Session):
    """Sends a question once and returns a ``Checked`` answer, or raises Transient or Permanent. Safe to use from several threads.

    A source that named a time (Retry-After) is not asked again before it: every question until then fails at once, with what it said.
    ``asked``: how many requests were sent, and ``waited``: so many seconds for their answers, both about where threads share it.
    """

    def __init__(self, name: str, limits: Limits, token_file: Path | None, ca_file: Path | None, turn: Turn) -> None:
        super().__init__()
        # The environment's proxies, certificates and .netrc passwords do not apply: the address in the config is what is asked.
        self.trust_env = False
        self.verify = True if ca_file is None else str(ca_file)
        self._name, self._limits, self._token_file = name, limits, token_file
        self._turn = turn
        self._rests_until, self._why_it_rests = 0.0, ""
        self.asked = 0
        self.waited = 0.0

    def mount(self, prefix: str | bytes, adapter: requests.adapters.BaseAdapter) -> None:
        """As the base class, but the adapter's connections heed the limit of a whole answer."""
        # The client mounts one of its own.
        if isinstance(adapter, requests.adapters.HTTPAdapter):
            follow(adapter.poolmanager)
        super().mount(prefix, adapter)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As the base class, but a POST carries its parameters in its body."""
        # The client puts them into the address, where proxies cut them at a few KiB and urllib.parse keeps the last 128 addresses, three times each.
        if request.method == "POST":
            request.data, request.params = request.params, {}
        return super().prepare_request(request)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: no answer leads elsewhere."""
        # Even where none is followed, the client reads a redirect's whole body, however slowly it drips, and trips over an address that is none.
        return None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send ``request`` and judge the answer. A 401 is tried once more if the token file has changed meanwhile."""
        if time.monotonic() < self._rests_until:
            raise Transient(self._why_it_rests)
        began = time.monotonic()
        try:
            with answered_within(self._limits.timeout):
                response, body = self._answered(request, **kwargs)
        except TimeoutError as error:
            raise self._error(self._late()) from error
        finally:
            self.waited += time.monotonic() - began
        return Checked(self._judge(response, body, secret=self._token()))

    def _answered(self, request: requests.PreparedRequest, **kwargs: Any) -> tuple[requests.Response, bytes | bytearray]:
        token = self._sign(request)
        response = self._receive(request, **kwargs)
        if response.status_code == 401 and token is not None and token != self._sign(request):
            response.close()
            response = self._receive(request, **kwargs)
        with response:
            return response, b"" if 300 <= response.status_code < 400 else self._read(response)

    def _sign(self, request: requests.PreparedRequest) -> str | None:
        token = self._token()
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return token

    def _token(self) -> str | None:
        if self._token_file is None:
            return None
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            # Not chained: the text of a UnicodeDecodeError's cause holds the file's bytes.
            raise Permanent(f"{self._name}: token file {self._token_file} cannot be read ({reason}), so nothing was asked: put it right") from None
        if not token or not token.isprintable() or " " in token:
            # Not shown, and not left to requests, whose message would show it.
            raise Permanent(f"{self._name}: the token file {self._token_file} holds no token, so nothing was asked: put one in")
        return token

    def _receive(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self.asked += 1
        try:
            return super().send(request, **{**kwargs, "stream": True, "allow_redirects": False})
        except requests.exceptions.SSLError as error:
            problem = Problem(f"its certificate was not accepted ({_cause(error)})", "renew it, or name its authority in ca_file")
            raise self._error(problem) from error
        except requests.exceptions.Timeout as error:
            raise self._error(self._late()) from error
        except requests.exceptions.ConnectionError as error:
            raise self._error(Problem(f"could not be reached ({_cause(error)})", "see whether it runs and the address is right")) from error
        except requests.exceptions.RequestException as error:
            raise self._error(Problem(f"could not be asked ({type(error).__name__})", "correct its address", lasting=True)) from error

    def _late(self) -> Problem:
        return Problem(f"did not answer within {self._limits.timeout.total_seconds():g} s", "see whether it is overloaded")

    def _judge(self, response: requests.Response, body: bytes | bytearray, secret: str | None) -> dict[str, Json]:
        self._turn.take()
        self._weigh(body)
        document, excerpt = _parsed(body), _excerpt(body, secret)
        problem = problem_of(response.status_code, document, excerpt, response.headers.get("Location"))
        if problem is None and document is not None:
            kind = "matrix" if response.url.endswith("query_range") else "vector"
            problem = wrong_result(document, kind, self._limits.max_series, excerpt)
            if problem is None:
                return document
        # No name for the fault here: its traceback has this frame, and the two would keep each other and the whole answer.
        raise self._heeded(self._error(problem or Problem("did not answer as expected", "see its log"), retry_after(response.headers)))

    def _weigh(self, body: bytes | bytearray) -> None:
        """Raises Transient for more series than may be read, before they are parsed: a million small ones are twenty times their text in memory."""
        if (series := body.count(b'"metric":')) > 2 * self._limits.max_series:  # a series may have a label of this name, too
            raise self._error(too_many(series, self._limits.max_series))

    def _heeded(self, fault: Permanent | Transient) -> Permanent | Transient:
        if isinstance(fault, Transient) and fault.retry_after:
            rest = min(fault.retry_after, LONGEST_REST)
            self._why_it_rests = f"{fault}; it asked to be left alone for {rest:g} s, and is"
            self._rests_until = time.monotonic() + rest
        return fault

    def _error(self, problem: Problem, wait: float | None = None) -> Permanent | Transient:
        said = f"{self._name}: {problem.what}, so nothing is known from it: {problem.then}"
        if problem.is_size:
            return TooMuch(said)
        return Permanent(said) if problem.lasting else Transient(said, retry_after=wait, is_answer=problem.is_answer)

    def _read(self, response: requests.Response) -> bytes | bytearray:
        """The body, unpacked."""
        body = bytearray()
        try:
            while piece := response.raw.read1(PIECE, decode_content=True):
                body += piece
                if len(body) > self._limits.max_bytes:
                    most = self._limits.max_bytes
                    raise TooLarge(f"{self._name}: its answer is larger than {most} bytes, so it was not used: ask for less, or raise max_bytes")
        except urllib3.exceptions.ReadTimeoutError as error:
            raise self._error(self._late()) from error
        except urllib3.exceptions.HTTPError as error:
            # Without the number of bytes: it is another one each time, and the same fault is told once.
            broken = Problem(f"its answer broke off ({_cause(error)})", "see what lies between it and us")
            raise self._error(broken) from error
        return body


def _parsed(body: bytes | bytearray) -> dict[str, Json] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _excerpt(body: bytes | bytearray, secret: str | None) -> str:
    text = body[:4096].decode(errors="replace")
    if secret:
        text = text.replace(secret, "***")
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))[:120]


def _cause(error: BaseException) -> str:
    """The innermost reason, without addresses or headers."""
    while (inner := error.__cause__ or error.__context__ or getattr(error, "reason", None)) is not None and isinstance(inner, BaseException):
        error = inner
    reason = getattr(error, "strerror", None)
    return str(reason) if reason else type(error).__name__
