"""From the table of calls to routes: one request read and carried out, and what every answer and every refusal looks like."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.wire import document
from rollbackd.controller.api.calls import PREFIX, Call, Office, posted
from rollbackd.controller.api.hooks import HOOK, Hooks, Unsigned
from rollbackd.controller.api.parameters import Given, of_query, read
from rollbackd.controller.journal.errors import StoreError

URGENT_AT_ONCE = 4
"""So many threads are kept for what is urgent: all others may wait for a source or a target that hangs."""
CODES = {"invalid": 400, "unknown": 404, "blocked": 409, "failed": 503}


def routes_of(calls: Sequence[Call], office: Office) -> list[Route]:
    """A route for each path, with all of its methods."""
    kept = ThreadPoolExecutor(URGENT_AT_ONCE, "api-urgent")
    paths: dict[str, dict[str, Call]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method] = call
    return [_route(f"{PREFIX}{path}", of_path, office, kept) for path, of_path in paths.items()]


def hook_route(hooks: Hooks, office: Office) -> Route:
    """Where pipelines post changes that they sign."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_answer, lambda: _from_hook(hooks, office, request, body))

    return Route(HOOK.path, endpoint, methods=["POST"])


def _from_hook(hooks: Hooks, office: Office, request: Request, body: bytes) -> object:
    with hooks.opened(request.path_params["name"], request.headers, body) as message:
        return office.desk.post(message.marked(posted(read(HOOK.takes, _object(body), ""))))


def _route(path: str, calls: Mapping[str, Call], office: Office, kept: Executor) -> Route:
    async def endpoint(request: Request) -> Response:
        call = calls["GET" if request.method == "HEAD" else request.method]
        # A page of another site cannot send this content type unasked.
        if call.method == "POST" and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return error(415, "the body has to be JSON", "send content-type: application/json")
        body = await request.body()

        def do() -> object:
            return call.do(office, _given(call, request, body))

        if call.is_urgent:
            return await asyncio.get_running_loop().run_in_executor(kept, _answer, do)
        return await run_in_threadpool(_answer, do)

    return Route(path, endpoint, methods=list(calls))


def _given(call: Call, request: Request, body: bytes) -> Given:
    query = request.query_params
    found = _object(body) if call.method == "POST" else of_query(call.takes, {name: query.getlist(name) for name in query})
    return read(call.takes, found, str(request.state.speaker))


def _object(body: bytes) -> Mapping[str, Any]:
    """The JSON object that is the body. Raises Denied."""
    try:
        found = json.loads(body or b"{}", object_pairs_hook=_told_once)
    except (ValueError, RecursionError) as fault:
        raise Denied("invalid", "the body is no JSON", 'send one JSON object in UTF-8, such as {"reason": "why"}') from fault
    if not isinstance(found, dict):
        raise Denied("invalid", "the body has to be a JSON object", 'write {"name": value}; /api/openapi.json says which names')
    return found


def _told_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Raises Denied where a key is there twice: whoever looked at the body before us may have gone by the other one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Denied("invalid", f"{twice[:40]!r} is there {names.count(twice)} times", "say it once")
    return found


def _answer(do: Callable[[], object]) -> Response:
    try:
        return JSONResponse(document(do()))
    except Denied as denied:
        return error(CODES[denied.why], str(denied), denied.hint)
    except Unsigned as fault:
        return error(401, str(fault), "see webhook-id, webhook-timestamp and webhook-signature in docs/api.md", {"www-authenticate": "Webhook"})
    except StoreError as fault:
        return error(503, str(fault), "nothing is acted on while the store does not answer")


def error(code: int, message: str, hint: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """The answer to what was not done: why, and what to do instead."""
    known = {"www-authenticate": "Bearer"} if code == 401 else {}
    return JSONResponse({"error": message, "hint": hint}, code, headers={**known, **(headers or {})})
