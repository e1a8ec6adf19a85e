"""The local HTTP API: health for the platform, metrics for Prometheus, everything under /api for people with the token."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from rollbackd.controller.api.cluster import ClusterPeople
from rollbackd.controller.api.gate import Gate
from rollbackd.controller.api.hands import routes_of_hands
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.api.request import Handler, asked, error, get, limit_of, moment_of, post, text_of, who_of
from rollbackd.controller.api.token import TokenBook
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.notify.heartbeat import Heartbeat
from rollbackd.controller.pause.switch import Switch
from rollbackd.controller.people.desk import Desk, Posted

log = structlog.get_logger()


def build_app(desk: Desk, metrics: Metrics, tokens: TokenBook, cluster: ClusterPeople | None = None) -> Starlette:
    """The application, to be served on a loopback address; everything under /api wants one of ``tokens`` as a bearer, or one of the cluster's."""
    hands = routes_of_hands(desk, tokens.has_people or cluster is not None)
    return _app([*_open(desk, metrics), Mount("/api/v1", routes=[*_routes(desk), *hands])], tokens, cluster)


def build_health_app(desk: Desk, metrics: Metrics) -> Starlette:
    """The pages that need no token and nothing else: for an address that others than this host's people reach."""
    return _app(_open(desk, metrics), None)


def _app(routes: Sequence[BaseRoute], tokens: TokenBook | None, cluster: ClusterPeople | None = None) -> Starlette:
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found, Exception: _crashed})
    app.add_middleware(Gate, tokens=tokens, cluster=cluster)
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
