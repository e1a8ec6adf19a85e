"""The HTTP server under an application, and how much of it strangers may hold: so many connections, each so long without a request.

Without bounds whoever reaches the port takes every file descriptor of the process, and a daemon that can open nothing rolls nothing back.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger()

BACKLOG = 32
"""Connections that are accepted at a stroke, before any of them can be refused: asyncio takes as many as may queue. Few, as each is a descriptor."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``connections`` are open at most. Each has ``head_within`` seconds, from its start and from each answer, to send a whole request head."""

    connections: int = 128
    head_within: float = 10.0


BOUNDS = Bounds()


def server(app: Starlette, bounds: Bounds = BOUNDS) -> uvicorn.Server:
    """A server of ``app`` that holds to ``bounds``; it does not run yet."""
    return uvicorn.Server(_Config(app, bounds))


class _Config(uvicorn.Config):
    def __init__(self, app: Starlette, bounds: Bounds) -> None:
        super().__init__(
            app,
            http=_Bounded,
            ws="none",  # a protocol that nothing here speaks, and that would leave the bounds
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=2,
        )
        self.bounds = bounds
        self.is_full = False


class _Bounded(H11Protocol):
    """One connection."""

    config: _Config

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        most = self.config.bounds.connections
        if len(self.connections) >= most:
            self._note_full(transport)
            if not self._made_room():
                self.transport = transport  # connection_lost closes it
                transport.abort()
                return
        self.config.is_full = self.config.is_full and len(self.connections) > most // 2
        super().connection_made(transport)
        self._await_head()

    def _note_full(self, transport: asyncio.Transport) -> None:
        if not self.config.is_full:  # once: a line for each would fill the disk instead
            log.warning("api.full", connections=self.config.bounds.connections, port=(transport.get_extra_info("sockname") or (None, None))[1])
        self.config.is_full = True

    def _made_room(self) -> bool:
        """The connection that asks nothing for the longest time is closed: silent ones must not shut out a probe, whose head comes at once."""
        silent = [each for each in self.connections if isinstance(each, _Bounded) and each.silent_until() is not None]
        if not silent:
            return False
        min(silent, key=lambda each: each.silent_until() or 0).drop()
        return True

    def silent_until(self) -> float | None:
        """Until when, by the loop's clock, a request head is awaited; None while a request, or an answer to one, is on its way."""
        return self._waiting.when() if self._waiting is not None and self.transport.get_write_buffer_size() == 0 else None

    def drop(self) -> None:
        """It is closed without a word, and counts no more among those that could be."""
        self._await_no_more()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_no_more()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._await_no_more()

    def on_response_complete(self) -> None:
        if self in self.connections:
            self._await_head()  # first: the next head may be here already
        super().on_response_complete()

    def _await_head(self) -> None:
        self._await_no_more()
        unread = self.transport.get_write_buffer_size()
        self._waiting = self.loop.call_later(self.config.bounds.head_within, self._waited, unread)

    def _await_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _waited(self, unread: int) -> None:
        """The time is up. A long answer over a slow line goes on while its reader takes some of it; one that takes nothing is no reader."""
        if 0 < self.transport.get_write_buffer_size() < unread:
            self._await_head()
        else:
            self.transport.abort()
