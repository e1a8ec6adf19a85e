"""What is wrong with an answer, if anything, and whether asking again could help."""

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Document: TypeAlias = Mapping[str, Any]
PASSING = frozenset({408, 425, 429})
"""Client errors that time may cure."""
# Prometheus (promql/engine.go), Thanos and Mimir, VictoriaMetrics (netstorage.go). No word of a time that was exceeded: another time it may do.
_TOO_LARGE = re.compile(r"would load too many samples|the query exceeded the maximum|\bexceeds\b|cannot select more than")

_INFO = "PromQL info:"
"""How what a server merely remarks begins: Prometheus 2.48 to 2.53 put it among the warnings, later ones among the infos (prometheus#14327)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """``what`` happened, what to do ``then``, and whether it is ``lasting``: this question will never be answered.

    What is wrong with the way to the source (a login, a token, a certificate, a proxy) is mended by people, and then the same question is answered.
    ``is_size``: asking for less may help. ``is_answer``: as of a Transient.
    """

    what: str
    then: str
    lasting: bool = False
    is_size: bool = False
    is_answer: bool = False


def problem_of(status: int, document: Document | None, excerpt: str, location: str | None) -> Problem | None:
    """The problem with an answer of HTTP ``status``, whose body is ``document`` (None: not a JSON object), or None if it is good so far."""
    if 300 <= status < 400:
        where = _host(location or "") or "another address"
        return Problem(f"redirects to {where}, as a login page does", "name the address of the API itself, or a token_file", is_answer=True)
    if status in (401, 403):
        return Problem(f"refused us (HTTP {status}): {excerpt}", "check the token_file and what its token may read", is_answer=True)
    if status in PASSING:
        return Problem(f"asks us to slow down (HTTP {status}): {excerpt}", "raise `every`, or its limits, if this goes on")
    if document is None:
        return _not_json(status, excerpt)
    if document.get("status") not in ("success", "error"):
        return Problem(f"answered with something that Prometheus never says: {excerpt}", "see whether the address is a Prometheus API's")
    if document["status"] == "error":
        return _error(document, excerpt)
    if warnings := [one for one in _warnings(document) if not one.startswith(_INFO)]:
        return Problem(f"warned that the answer may be incomplete: {'; '.join(warnings)[:300]}", "repair what it names")
    if document.get("isPartial"):  # VictoriaMetrics' word for the same
        return Problem("answered from a part of its stores only", "see which of its storage nodes does not answer")
    return None


def _warnings(document: Document) -> tuple[str, ...]:
    said = document.get("warnings") or ()
    return tuple(str(one) for one in said) if isinstance(said, list | tuple) else (str(said),)


def _host(location: str) -> str:
    try:
        return urlsplit(location).netloc
    except ValueError:  # 'http://[oops'
        return ""


def wrong_result(document: Document, kind: str, max_series: int, excerpt: str) -> Problem | None:
    """The problem with the result of a good answer, which should be a list of at most ``max_series`` series of this kind."""
    data = document.get("data")
    if not isinstance(data, dict) or data.get("resultType") != kind or not isinstance(data.get("result"), list):
        given = str(data.get("resultType") if isinstance(data, dict) else None)[:20]
        return Problem(f"answered with {given!r} where {kind!r} was expected: {excerpt}", "see whether the address is a Prometheus API's")
    if len(data["result"]) > max_series:
        return too_many(len(data["result"]), max_series)
    return None


def too_many(series: int, most: int) -> Problem:
    """More series than may be read."""
    return Problem(f"answered with {series} series, more than {most}", "select fewer, or raise max_series")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the other side asks us to wait. A date is compared with its own clock."""
    wish = headers.get("Retry-After", "").strip()
    if wish.isdecimal():
        return float(wish)
    try:
        span = email.utils.parsedate_to_datetime(wish) - email.utils.parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return max(span.total_seconds(), 0.0)


def _not_json(status: int, excerpt: str) -> Problem:
    if status >= 500:
        return Problem(f"failed (HTTP {status}): {excerpt}", "see its log, and what lies between it and us")
    then = "see whether the address is that of a Prometheus API and no proxy or login page answers for it"
    return Problem(f"answered HTTP {status} with something that is no JSON object: {excerpt}", then, lasting=400 <= status < 500)


def _error(document: Document, excerpt: str) -> Problem:
    kind, said = str(document.get("errorType"))[:40], str(document.get("error") or excerpt)[:300]
    if kind == "bad_data":
        return Problem(f"does not accept the question: {said}", "correct the selector or the expression", lasting=True)
    # VictoriaMetrics names the status where the others name a type.
    if kind in ("execution", "422") and _TOO_LARGE.search(said):
        then = "select fewer series, shorten the window, or raise the source's limit"
        return Problem(f"refuses to read so much ({kind}): {said}", then, lasting=True, is_size=True)
    return Problem(f"could not answer ({kind}): {said}", "see its log")
