"""One end for a whole question over HTTP, from the connection to the last byte of the body, whichever library asks it;
and no question to where a cloud hands out credentials.

A connection's own time-out begins anew with every byte, and the libraries read the status line and the headers before they return: whoever
only looks at the clock between pieces of the body waits for ever for a header that drips.
"""

import contextlib
import functools
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rollbackd.adapters.base.deadline import ends_within
from rollbackd.adapters.base.metadata import refuse_metadata

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool, PoolManager


class _Watch:
    """The socket at which one question waits for its answer."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_over = False

    def follow(self, found: Any) -> None:
        # Kept, for the connection forgets its socket before the body of its last answer is read.
        self._socket = _plain(found)
        # It was too late to close this one when the time was over.
        if self._is_over:
            raise TimeoutError

    def ended(self) -> socket.socket | None:
        self._is_over = True
        return self._socket


def _plain(found: Any) -> socket.socket:
    """TLS within TLS is no socket, but has one."""
    return getattr(found, "socket", found)  # type: ignore[no-any-return]


_here = threading.local()


@contextlib.contextmanager
def answered_within(limit: timedelta) -> Iterator[None]:
    """What this thread asks through one followed connection at a time is answered within ``limit``, or is cut off.

    Raises TimeoutError when it is over, whatever else went wrong by that. Looking up a name and shaking hands keep their own time-outs.
    """
    over, watch = time.monotonic() + limit.total_seconds(), _Watch()
    _here.watch = watch
    try:
        with ends_within(limit, watch.ended):
            yield
    except Exception as error:  # the seam: a connection that was cut off looks like many things in each library; what else went wrong is raised on
        if time.monotonic() >= over:
            raise TimeoutError from error
        raise
    finally:
        _here.watch = None


class Followed(http.client.HTTPConnection):
    """Mixed in before a class of connections: ``answered_within`` ends what is asked through it.

    Nothing is sent to where a cloud hands out credentials.
    """

    def connect(self) -> None:
        """As the base class. Raises OSError where the name led to such a place."""
        super().connect()
        refuse_metadata(_plain(self.sock))

    def send(self, data: Any) -> None:
        """As the base class."""
        if self.sock is None:
            self.connect()
        watch: _Watch | None = getattr(_here, "watch", None)
        if watch is not None:
            watch.follow(self.sock)
        super().send(data)


class FollowedSecurely(Followed, http.client.HTTPSConnection):
    """The same over TLS."""


def follow(manager: "PoolManager") -> None:
    """Each connection that urllib3's ``manager`` makes from now on is ``Followed``."""
    manager.pool_classes_by_scheme = {scheme: _following(kind) for scheme, kind in manager.pool_classes_by_scheme.items()}


@functools.cache
def _following(kind: "type[HTTPConnectionPool]") -> "type[HTTPConnectionPool]":
    if issubclass(kind.ConnectionCls, Followed):
        return kind
    connection = type(kind.ConnectionCls.__name__, (Followed, kind.ConnectionCls), {})
    return type(kind.__name__, (kind,), {"ConnectionCls": connection})
