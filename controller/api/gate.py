"""What stands in front of every request: who asks and whether they may, no body beyond the limit, nothing kept or framed by a browser."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollbackd.controller.api.cluster import AT_ONCE, GROUP, RESOURCE, ClusterPeople, Unanswered
from rollbackd.controller.api.request import error
from rollbackd.controller.api.token import TokenBook

LONGEST_BODY = 64 * 1024
BODY_WITHIN = 10.0
"""Seconds: a body that comes a byte at a time holds a connection and no more."""
HEADERS = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
}


class Gate:
    """In front of everything. ``tokens`` None: there is no /api. ``cluster``: who knows the people that have none of ``tokens``."""

    def __init__(self, app: ASGIApp, tokens: TokenBook | None, cluster: ClusterPeople | None, body_within: float = BODY_WITHIN) -> None:
        self._app = app
        self._tokens = tokens
        self._cluster = cluster
        self._body_within = body_within
        # Threads of their own: whoever pauses must not wait for slow calls to say who they are. More than may ask: the others are refused at once.
        self._asking = ThreadPoolExecutor(2 * AT_ONCE, "api-cluster")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, send = dict(scope["headers"]), _hardened(send)
        if self._tokens is not None and scope["path"].startswith("/api"):
            speaker = await self._speaker(self._tokens, headers.get(b"authorization", b""), _verb(scope))
            if isinstance(speaker, Response):
                await speaker(scope, receive, send)
                return
            scope.setdefault("state", {})["speaker"] = speaker
        try:
            async with asyncio.timeout(self._body_within):
                body = await _read_body(headers, receive)
        except TimeoutError:
            await error(408, "the body did not come in time", "send it at once, and as long as content-length says")(scope, receive, send)
            return
        if body is None:
            await error(413, f"the body is larger than {LONGEST_BODY} bytes", "send less, with its content-length")(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    async def _speaker(self, tokens: TokenBook, authorization: bytes, verb: str) -> str | Response:
        """Who asks, or the refusal."""
        known = tokens.speaker(authorization)
        if known is not None:
            return known
        try:
            found = await self._in_cluster(self._cluster, authorization, verb) if self._cluster is not None else None
        except Unanswered as fault:
            return error(503, str(fault), "use a token of api.people, or the daemon's own")
        if found is None:
            return error(401, "the token is missing or wrong", "see --token-file")
        who, is_allowed = found
        return who if is_allowed else error(403, f"{who} may not {verb} {RESOURCE}.{GROUP}", f"a Role with that verb of {RESOURCE} gives the right")

    async def _in_cluster(self, cluster: ClusterPeople, authorization: bytes, verb: str) -> tuple[str, bool] | None:
        return await asyncio.get_running_loop().run_in_executor(self._asking, cluster.speaker, authorization, verb)


def _verb(scope: Scope) -> str:
    """The right that a request takes: `get` to read, else the order itself, such as `approve`."""
    return "get" if scope["method"] in ("GET", "HEAD") else scope["path"].removeprefix("/api/v1/").partition("/")[0][:40]


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
            said = dict(message.get("headers", []))  # what an answer says of itself holds
            message["headers"] = [*message.get("headers", []), *((name, value) for name, value in HEADERS.items() if name not in said)]
        await send(message)

    return harder
