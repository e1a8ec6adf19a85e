"""One request of the API: what is read from it, and what every answer and every refusal looks like."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rollbackd.controller.answers.shapes import document
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.people.denied import Denied

LONGEST_TEXT = 1000
MOST_ROWS = 10_000
MOST_WORDS = 20
CODES = {"invalid": 400, "unknown": 404, "blocked": 409}

Handler = Callable[[Request, Mapping[str, Any]], object]


def asked(request: Request, name: str) -> str:
    """A query parameter that has to be there. Raises Denied."""
    value = request.query_params.get(name, "").strip()
    if not value:
        raise Denied("invalid", f"the query parameter '{name}' is missing")
    return value


def limit_of(request: Request, default: int) -> int:
    """How many rows are asked for. Raises Denied."""
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ROWS):
        raise Denied("invalid", f"limit: expected a number from 1 to {MOST_ROWS}, found {text[:20]!r}")
    return int(text)


def text_of(body: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    """A text of the body; it has to be there unless there is a ``default``. Raises Denied."""
    value = body.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise Denied("invalid", f"'{name}' is missing or no text")
    if len(value) > LONGEST_TEXT:
        raise Denied("invalid", f"'{name}' is longer than {LONGEST_TEXT} characters")
    return value.strip()


def moment_of(body: Mapping[str, Any], name: str) -> datetime | None:
    """A time of the body in UTC, which may be missing. Raises Denied."""
    text = text_of(body, name, default="")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise Denied("invalid", f"'{name}': expected a time such as 2026-11-22T14:00:00Z, found {text[:40]!r}") from fault
    if moment.tzinfo is None:
        raise Denied("invalid", f"'{name}': {text[:40]!r} has no zone", "end it with Z for UTC")
    return moment.astimezone(UTC)


def many_of(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of words, which may be missing. Raises Denied."""
    found = body.get(name) or []
    if not isinstance(found, list) or len(found) > MOST_WORDS or not all(isinstance(word, str) and len(word) <= LONGEST_TEXT for word in found):
        raise Denied("invalid", f"'{name}' has to be a list of at most {MOST_WORDS} words")
    return tuple(found)


def who_of(request: Request, body: Mapping[str, Any]) -> str:
    """The person who asks: proven by their own token, else as they say. Raises Denied."""
    return str(request.state.speaker) or text_of(body, "who")


def get(path: str, handle: Handler) -> Route:
    """The route that answers with what ``handle`` returns, in a thread of the pool."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answer, handle, request, {})

    return Route(path, endpoint)


def post(path: str, handle: Handler) -> Route:
    """The route that takes a JSON object, with its content type: a page of another site cannot send that unasked."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return error(415, "the body has to be JSON", "send content-type: application/json")
        try:
            body = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            return error(400, "the body is no JSON")
        if not isinstance(body, dict):
            return error(400, "the body has to be a JSON object")
        return await run_in_threadpool(_answer, handle, request, body)

    return Route(path, endpoint, methods=["POST"])


def _answer(handle: Handler, request: Request, body: Mapping[str, Any]) -> Response:
    try:
        return JSONResponse(document(handle(request, body)))
    except Denied as denied:
        return error(CODES[denied.why], str(denied), denied.hint)
    except StoreError as fault:
        return error(503, str(fault), "nothing is acted on while the store does not answer")


def error(code: int, message: str, hint: str = "") -> Response:
    """The answer to what was not done: why, and what to do instead."""
    return JSONResponse({"error": message, "hint": hint}, code, headers={"www-authenticate": "Bearer"} if code == 401 else None)
