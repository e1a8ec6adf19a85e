"""The addresses that the daemon answers at: bound once, whatever is served behind them, so that nobody who knocks in between is refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from socket import socket
from threading import Thread

from starlette.applications import Starlette

from rollbackd.controller.api.server import server
from rollbackd.controller.starting import listener

LEAVING = timedelta(seconds=3)
"""So long what is shown may take to end: its server gives the answers under way two seconds."""


class Doors:
    """``listen``: host and port of each, by what the config calls it. Nothing is bound before it is asked for."""

    def __init__(self, listen: Mapping[str, tuple[str, int]]) -> None:
        self._listen = listen
        self._bound: dict[str, socket] = {}

    def at(self, name: str) -> socket:
        """The socket of this name, the same one each time. Raises NotStarted where its port cannot be had."""
        if name not in self._bound:
            self._bound[name] = listener(name, self._listen[name])
        return self._bound[name]

    @contextmanager
    def showing(self, app: Starlette) -> Iterator[None]:
        """The application answers behind every door for as long as this lasts; who comes later waits for the next one. Raises NotStarted."""
        behind = [(server(app), self.at(name).dup()) for name in self._listen]  # copies: a server closes what it was given
        threads = [Thread(target=each.run, kwargs={"sockets": [bound]}, name="waiting", daemon=True) for each, bound in behind]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for each, _ in behind:
                each.should_exit = True
            for thread in threads:
                thread.join(LEAVING.total_seconds())
