"""The local HTTP API: health for the platform, metrics for Prometheus, everything under /api for people with the token."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollbackd.controller.api_hands import routes_of_hands
from rollbackd.controller.api_request import Handler, asked, error, get, limit_of, moment_of, post, text_of, who_of
from rollbackd.controller.api_token import Tokens
from rollbackd.controller.desk import Desk, Posted
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.metrics import Metrics
from rollbackd.controller.switch import Switch

log = structlog.get_logger()

LONGEST_BODY = 64 * 1024
PATIENCE = timedelta(seconds=30)
"""At least so long may pass between two slots before the engine is called dead."""
HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


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
        if engine.slots != self._slots or engine.trouble.fault is not None or not engine.policies:
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


def build_app(desk: Desk, metrics: Metrics, tokens: Tokens) -> Starlette:
    """The application, to be served on a loopback address; everything under /api wants one of ``tokens`` as a bearer."""
    hands = routes_of_hands(desk, bool(tokens.people))
    return _app([*_open(desk, metrics), Mount("/api/v1", routes=[*_routes(desk), *hands])], tokens)


def build_health_app(desk: Desk, metrics: Metrics) -> Starlette:
    """The pages that need no token and nothing else: for an address that others than this host's people reach."""
    return _app(_open(desk, metrics), None)


def _app(routes: Sequence[BaseRoute], tokens: Tokens | None) -> Starlette:
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found, Exception: _crashed})
    app.add_middleware(_Gate, tokens=tokens)
    return app


def _open(desk: Desk, metrics: Metrics) -> list[Route]:
    return [Route("/healthz", _alive(Heartbeat(desk))), Route("/readyz", _ready(desk)), Route("/metrics", _metrics(metrics))]


def _routes(desk: Desk) -> list[Route]:
    switch = Switch(desk.pause_switch, desk.store, desk.now)
    return [
        get("/status", lambda r, b: desk.status()),
        get("/coverage", lambda r, b: desk.coverage()),
        get("/policies", lambda r, b: desk.policies()),
        get("/explain", lambda r, b: desk.explain(asked(r, "of"), with_power=r.query_params.get("power") == "1")),
        get("/changes", lambda r, b: desk.changes(r.query_params.get("target"), limit_of(r, 50))),
        post("/changes", lambda r, b: desk.post(_posted(b))),
        get("/history", lambda r, b: desk.history(r.query_params.get("of"), limit_of(r, 50))),
        get("/plan", lambda r, b: desk.plan(asked(r, "policy"))),
        post("/pause", lambda r, b: switch.pause(text_of(b, "reason"), who_of(r, b))),
        post("/resume", lambda r, b: switch.resume(who_of(r, b))),
        post("/good", _declare(desk, Standing.GOOD)),
        post("/good/history", lambda r, b: desk.good_from_history(text_of(b, "target"), who_of(r, b))),
        post("/bad", _declare(desk, Standing.BAD)),
        post("/rearm", lambda r, b: desk.rearm(text_of(b, "target"), text_of(b, "revision"), who_of(r, b))),
    ]


def _posted(body: Mapping[str, Any]) -> Posted:
    irreversible = text_of(body, "irreversible", default="") or None
    return Posted(text_of(body, "target"), text_of(body, "revision"), moment_of(body, "started"), text_of(body, "note", default=""), irreversible)


def _declare(desk: Desk, standing: Standing) -> Handler:
    return lambda r, b: desk.declare(text_of(b, "target"), text_of(b, "revision"), standing, who_of(r, b), text_of(b, "note", default=""))


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
    return error(code, {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not for {request.url.path}"}.get(code, "failed"))


def _crashed(request: Request, fault: Exception) -> Response:
    log.error("api.crashed", path=request.url.path, error=repr(fault))
    return error(500, "rollbackd failed to answer; its log says why")


class _Gate:
    """In front of everything: the token for /api, no body beyond the limit, nothing kept by caches. ``tokens`` None: there is no /api."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, send = dict(scope["headers"]), _hardened(send)
        if self._tokens is not None and scope["path"].startswith("/api"):
            speaker = self._tokens.speaker(headers.get(b"authorization", b""))
            if speaker is None:
                await error(401, "the token is missing or wrong", "see --token-file")(scope, receive, send)
                return
            scope.setdefault("state", {})["speaker"] = speaker
        body = await _read_body(headers, receive)
        if body is None:
            await error(413, f"the body is larger than {LONGEST_BODY} bytes")(scope, receive, send)
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
