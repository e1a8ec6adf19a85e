"""One answer unpacked at a time: at 10,000 workloads an unpacked answer takes more memory than all that is kept of it."""

import threading


class Turn:
    """Questions are asked at the same time; from ``take`` to the end of its ``with`` block a thread is the only one. Outside of one, nobody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = threading.local()

    def __enter__(self) -> None:
        self._own.is_inside = True

    def take(self) -> None:
        """This thread is the only one now; a second call changes nothing."""
        if getattr(self._own, "is_inside", False) and not getattr(self._own, "is_taken", False):
            self._lock.acquire()
            self._own.is_taken = True

    def __exit__(self, *_: object) -> None:
        self._own.is_inside = False
        if getattr(self._own, "is_taken", False):
            self._own.is_taken = False
            self._lock.release()
