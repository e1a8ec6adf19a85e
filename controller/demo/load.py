"""The shop's customers: about eighty real HTTP requests a second, half of them checkouts, from a process of their own.

`python -m rollbackd.controller.demo.load PORT` shops until SIGTERM, or until whoever started it is gone.
"""

import contextlib
import http.client
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

CUSTOMERS = 8
EVERY = 0.1
"""Seconds between two requests of one customer."""


def _shop(port: int, delay: float, stopping: threading.Event) -> None:
    """One customer: the catalogue, then a checkout, over and over, at a pace that slow answers do not slow down."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    due, visits = time.monotonic() + delay, 0
    while not stopping.wait(max(due - time.monotonic(), 0)):
        due, visits = max(due + EVERY, time.monotonic() - EVERY), visits + 1
        try:
            connection.request("POST", "/checkout", b"one teapot") if visits % 2 else connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            # The shop restarts; the next request opens a new connection.
            with contextlib.suppress(OSError):
                connection.close()


def main(argv: Sequence[str]) -> None:
    """Shop until SIGTERM, or until the parent is gone."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    for number in range(CUSTOMERS):
        threading.Thread(target=_shop, args=(int(argv[0]), number * EVERY / CUSTOMERS, stopping), daemon=True).start()
    parent = os.getppid()
    while not stopping.wait(0.2) and os.getppid() == parent:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
