"""Bad weather on order: the next matching requests fail, wait, or lose their reply."""

import threading
from dataclasses import dataclass
from typing import Literal

Kind = Literal["status", "wait_before", "wait_after", "drop_before", "drop_after", "garbage"]


@dataclass
class Fault:
    """``kind``: answer ``status`` without applying; wait ``seconds`` before or after applying; cut the connection before or after applying;
    answer ``message``, else a page of HTML, after applying. ``times``: how many requests it meets. ``dry_run``: only those, only the others,
    or both (None). ``namespace``: only requests in it; '' is any.
    """

    kind: Kind
    method: str = ""
    resource: str = ""
    status: int = 500
    message: str = ""
    retry_after: int | None = None
    seconds: float = 0.0
    times: int = 1
    dry_run: bool | None = None
    namespace: str = ""


class Weather:
    """The faults still to come, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def meet(self, method: str, resource: str, namespace: str, *, dry_run: bool) -> Fault | None:
        """The fault that this request meets; it has one time less from now on."""
        with self._lock:
            for fault in self._faults:
                same = fault.method in ("", method) and fault.resource in ("", resource) and fault.namespace in ("", namespace)
                if same and fault.dry_run in (None, dry_run):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
        return None
