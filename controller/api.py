"""The local HTTP API: health for the platform, metrics for Prometheus, everything under /api for people with the token."""

import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollbackd.controller.answers import document
from rollbackd.controller.desk import Denied, Desk, Posted
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.metrics import Metrics

log = structlog.get_logger()

LONGEST_BODY = 64 * 1024
LONGEST_TEXT = 1000
MOST_ROWS = 10_000
PATIENCE = timedelta(seconds=30)
"""At least so long may pass between two slots before the engine is called dead."""
CODES = {"invalid": 400, "unknown": 404, "blocked": 409}
HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

Handler = Callable[[Desk, Request, Mapping[str, Any]], object]


class Heartbeat:
    """Whether the engine still finishes slots, by the number of slots and a clock that nobody sets."""

    def __init__(self, desk: Desk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._monotonic = monotonic
        self._slots = -1
        self._since = monotonic()

    def fault(self) -> str | None:
        """Why the engine must be called dead; None while it is alive. A store that fails is no reason: a restart does not mend it."""
        engine, now = self._desk.engine, self._monotonic()
        if engine.slots != self._slots or engine.store_fault is not None or not engine.policies:
            self._slots, self._since = engine.slots, now
            return None
        silent, allowed = timedelta(seconds=now - self._since), self._allowed()
        return (
            f"no slot was finished for {silent.total_seconds():.0f} s, at most {allowed.total_seconds():.0f} s are expected"
            if silent > allowed
            else None
        )

    def _allowed(self) -> timedelta:
        every = min((policy.every for policy in dict(self._desk.engine.policies).values()), default=timedelta(0))
        return max(3 * every, PATIENCE)


def build_app(desk: Desk, metrics: Metrics, token: str) -> Starlette:
    """The application, to be served on a loopback address; everything under /api wants ``token`` as a bearer."""
    heartbeat = Heartbeat(desk)
    app = Starlette(
        routes=[
            Route("/healthz", _alive(heartbeat)),
            Route("/readyz", _ready(desk)),
            Route("/metrics", _metrics(metrics)),
            Mount("/api/v1", routes=_routes(desk)),
        ],
        exception_handlers={HTTPException: _not_found, Exception: _crashed},
    )
    app.add_middleware(_Gate, token=token)
    return app


def _routes(desk: Desk) -> list[Route]:
    return [
        Route("/status", _get(desk, lambda d, r, b: d.status())),
        Route("/policies", _get(desk, lambda d, r, b: d.policies())),
        Route("/explain", _get(desk, lambda d, r, b: d.explain(_asked(r, "of")))),
        Route("/changes", _get(desk, lambda d, r, b: d.changes(r.query_params.get("target"), _limit(r, 50)))),
        Route("/changes", _post(desk, _post_change), methods=["POST"]),
        Route("/history", _get(desk, lambda d, r, b: d.history(r.query_params.get("of"), _limit(r, 50)))),
        Route("/plan", _get(desk, lambda d, r, b: d.plan(_asked(r, "policy")))),
        Route("/pause", _post(desk, lambda d, r, b: d.pause(_text(b, "reason"), _text(b, "who"))), methods=["POST"]),
        Route("/resume", _post(desk, lambda d, r, b: d.resume(_text(b, "who"))), methods=["POST"]),
        Route("/good", _post(desk, _declare(Standing.GOOD)), methods=["POST"]),
        Route("/bad", _post(desk, _declare(Standing.BAD)), methods=["POST"]),
        Route("/rearm", _post(desk, lambda d, r, b: d.rearm(_text(b, "target"), _text(b, "revision"), _text(b, "who"))), methods=["POST"]),
    ]


# --- what is posted --------------------------------------------------------------------------------------------------------------------------


def _post_change(desk: Desk, request: Request, body: Mapping[str, Any]) -> object:
    irreversible = _text(body, "irreversible", default="") or None
    posted = Posted(_text(body, "target"), _text(body, "revision"), _moment(body, "started"), _text(body, "note", default=""), irreversible)
    return desk.post(posted)


def _declare(standing: Standing) -> Handler:
    def declare(desk: Desk, request: Request, body: Mapping[str, Any]) -> object:
        return desk.declare(_text(body, "target"), _text(body, "revision"), standing, _text(body, "who"), _text(body, "note", default=""))

    return declare


def _asked(request: Request, name: str) -> str:
    value = request.query_params.get(name, "").strip()
    if not value:
        raise Denied("invalid", f"the query parameter '{name}' is missing")
    return value


def _limit(request: Request, default: int) -> int:
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ROWS):
        raise Denied("invalid", f"limit: expected a number from 1 to {MOST_ROWS}, found {text[:20]!r}")
    return int(text)


def _text(body: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise Denied("invalid", f"'{name}' is missing or no text")
    if len(value) > LONGEST_TEXT:
        raise Denied("invalid", f"'{name}' is longer than {LONGEST_TEXT} characters")
    return value.strip()


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(body, name, default="")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise Denied("invalid", f"'{name}': expected a time such as 2026-11-22T14:00:00Z, found {text[:40]!r}") from fault
    if moment.tzinfo is None:
        raise Denied("invalid", f"'{name}': {text[:40]!r} has no zone", "end it with Z for UTC")
    return moment.astimezone(UTC)


# --- around every answer ---------------------------------------------------------------------------------------------------------------------


def _get(desk: Desk, handle: Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answer, desk, handle, request, {})

    return endpoint


def _post(desk: Desk, handle: Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _error(415, "the body has to be JSON", "send content-type: application/json")
        try:
            body = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            return _error(400, "the body is no JSON")
        if not isinstance(body, dict):
            return _error(400, "the body has to be a JSON object")
        return await run_in_threadpool(_answer, desk, handle, request, body)

    return endpoint


def _answer(desk: Desk, handle: Handler, request: Request, body: Mapping[str, Any]) -> Response:
    try:
        return JSONResponse(document(handle(desk, request, body)))
    except Denied as denied:
        return _error(CODES[denied.why], str(denied), denied.hint)
    except StoreError as fault:
        return _error(503, str(fault), "nothing is acted on while the store does not answer")


def _alive(heartbeat: Heartbeat) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:  # never in the pool, which slow plans may have filled: it only reads memory
        return _said(heartbeat.fault())

    return endpoint


def _ready(desk: Desk) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return _said(desk.unready())

    return endpoint


def _said(why: str | None) -> Response:
    return PlainTextResponse("ok\n" if why is None else f"{why}\n", 200 if why is None else 503)


def _metrics(metrics: Metrics) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        body, content_type = metrics.page(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return endpoint


def _not_found(request: Request, fault: Exception) -> Response:
    code = fault.status_code if isinstance(fault, HTTPException) else 500
    return _error(code, {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not for {request.url.path}"}.get(code, "failed"))


def _crashed(request: Request, fault: Exception) -> Response:
    log.error("api.crashed", path=request.url.path, error=repr(fault))
    return _error(500, "rollbackd failed to answer; its log says why")


def _error(code: int, message: str, hint: str = "") -> Response:
    return JSONResponse({"error": message, "hint": hint}, code, headers={"www-authenticate": "Bearer"} if code == 401 else None)


class _Gate:
    """In front of everything: the token for /api, no body beyond the limit, nothing kept by caches."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, send = dict(scope["headers"]), _hardened(send)
        if scope["path"].startswith("/api") and not hmac.compare_digest(headers.get(b"authorization", b""), self._token):
            await _error(401, "the token is missing or wrong", "see --token-file")(scope, receive, send)
            return
        body = await _read_body(headers, receive)
        if body is None:
            await _error(413, f"the body is larger than {LONGEST_BODY} bytes")(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
    """The whole body, None where it is too long; never more than the limit is held."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length[:12]) > LONGEST_BODY:
        return None
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > LONGEST_BODY:
            return None
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _hardened(send: Send) -> Send:
    async def harder(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return harder
