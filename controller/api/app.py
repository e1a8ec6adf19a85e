"""The local HTTP API: health for the platform, metrics for Prometheus, everything under /api for people with the token."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from rollbackd.controller.api.calls import CALLS, Office
from rollbackd.controller.api.cluster import ClusterPeople
from rollbackd.controller.api.gate import Gate
from rollbackd.controller.api.heartbeat import Heartbeat
from rollbackd.controller.api.hooks import Hooks
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.api.openapi import openapi
from rollbackd.controller.api.page import DOCUMENT, HEALTH, METRICS, READY, Page
from rollbackd.controller.api.request import error, hook_route, routes_of
from rollbackd.controller.api.token import TokenBook
from rollbackd.controller.people.desk import Desk

log = structlog.get_logger()


def build_app(desk: Desk, metrics: Metrics, tokens: TokenBook, cluster: ClusterPeople | None = None, hooks: Hooks | None = None) -> Starlette:
    """The application, to be served on a loopback address; everything under /api wants one of ``tokens`` as a bearer, or one of the cluster's."""
    office = Office(desk, tokens.has_people or cluster is not None)
    own = [_page(DOCUMENT, _document(desk)), hook_route(hooks or Hooks({}, desk.now), office)]
    return _app([*_open(desk, metrics), *own, *routes_of(CALLS, office)], tokens, cluster)


def build_health_app(desk: Desk, metrics: Metrics) -> Starlette:
    """The pages that need no token and nothing else: for an address that others than this host's people reach."""
    return _app(_open(desk, metrics), None)


def build_waiting_app(why: Callable[[], str]) -> Starlette:
    """The pages of a daemon that cannot begin yet: it is alive, and anything else is not there before ``why`` is over."""

    async def alive(request: Request) -> Response:
        return _said(None)

    async def not_yet(request: Request) -> Response:
        is_for_people = request.url.path.startswith("/api")
        return error(503, f"not started yet: {why()}", "it goes on by itself once its journal opens") if is_for_people else _said(why())

    return _app([_page(HEALTH, alive), Route("/{path:path}", not_yet, methods=["GET", "POST"])], None)


def _app(routes: Sequence[BaseRoute], tokens: TokenBook | None, cluster: ClusterPeople | None = None) -> Starlette:
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found, Exception: _crashed})
    app.router.redirect_slashes = False  # a redirect would be built from a host name that the sender chose
    app.add_middleware(Gate, tokens=tokens, cluster=cluster)
    return app


def _open(desk: Desk, metrics: Metrics) -> list[Route]:
    return [_page(HEALTH, _alive(Heartbeat(desk))), _page(READY, _ready(desk)), _page(METRICS, _metrics(metrics))]


def _page(page: Page, endpoint: Callable[[Request], Any]) -> Route:
    return Route(page.path, endpoint)


def _document(desk: Desk) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return JSONResponse(openapi(desk.facts().version))

    return endpoint


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
    code, headers = (fault.status_code, fault.headers) if isinstance(fault, HTTPException) else (500, None)
    there = ", ".join(sorted((headers or {}).get("Allow", "").split(", ")))
    said, hint = {
        404: (f"there is nothing at {request.url.path}", f"{DOCUMENT.path} and `rollbackd schema api` say what there is"),
        405: (f"{request.method} is not for {request.url.path}", f"send {there}"),
    }.get(code, ("failed", "its log says why"))
    return error(code, said, hint, headers)


def _crashed(request: Request, fault: Exception) -> Response:
    log.error("api.crashed", path=request.url.path, error=repr(fault))
    return error(500, "rollbackd failed to answer", "its log says why")
