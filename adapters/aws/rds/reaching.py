"""Whether an address takes a connection from this machine. Nothing is said to it."""

import socket
import threading

_SECONDS = 3.0


def reach(address: tuple[str, int], seconds: float = _SECONDS) -> str:
    """See Awaited.reach."""
    found: list[str] = []
    # A thread of its own: to look up a name takes as long as the resolver likes, and no time-out of a socket bounds it.
    thread = threading.Thread(target=lambda: found.append(_connected(address, seconds)), name="reach", daemon=True)
    thread.start()
    thread.join(seconds)
    answer = found[0] if found else f"no answer within {seconds:g} s"
    if not answer:
        return f"{address[0]}:{address[1]} takes a connection from here"
    return f"{address[0]}:{address[1]} is not reachable from here ({answer}); from where the service runs it may be"


def _connected(address: tuple[str, int], seconds: float) -> str:
    try:
        with socket.create_connection(address, timeout=seconds):
            return ""
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that is no host name
        return str(error) or type(error).__name__
