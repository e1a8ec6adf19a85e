"""How the targets stand: one survey per kind and slot."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import Target, TargetState
from rollbackd.controller.changes import Survey


class Surveyor:
    """Asks each kind of target for all its keys at once."""

    def __init__(self, targets: Mapping[str, Target], *, patience: timedelta = timedelta(seconds=4)) -> None:
        """``patience``: how long a slot waits for targets to say how they stand."""
        self._targets = targets
        self._patience = patience.total_seconds()
        self._pool = ThreadPoolExecutor(max(4, 2 * len(targets)), thread_name_prefix="survey")
        self._hanging: dict[str, Future[Mapping[str, TargetState | AdapterError]]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """No survey is begun after this."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def survey(self, keys: Iterable[str], at: datetime) -> Survey:
        """How these targets stand for the slot ``at``; a target that cannot be read has its error."""
        began = time.monotonic()
        by_kind: dict[str, list[str]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            by_kind[key.partition(":")[0]].append(key)
        asked = {kind: self._asked(kind, group) for kind, group in by_kind.items()}
        wait([future for future in asked.values() if future is not None], timeout=self._patience)
        states: dict[str, TargetState | AdapterError] = {}
        for kind, future in asked.items():
            is_late = future is None or not future.done()
            states.update(_late(kind, by_kind[kind]) if is_late or future is None else future.result())
        return Survey(began, at, states)

    def _asked(self, kind: str, keys: list[str]) -> Future[Mapping[str, TargetState | AdapterError]] | None:
        """The survey of this kind; None while the one before still hangs: a kind that hangs costs one thread and delays no other."""
        with self._lock:
            if kind in self._hanging and not self._hanging[kind].done():
                return None
            self._hanging[kind] = self._pool.submit(self._one_kind, kind, keys)
            return self._hanging[kind]

    def _one_kind(self, kind: str, keys: list[str]) -> Mapping[str, TargetState | AdapterError]:
        target = self._targets.get(kind)
        if target is None:
            return dict.fromkeys(keys, Permanent(f"no target of kind {kind} is configured; nothing can be read or undone there"))
        return target.survey(keys)


def _late(kind: str, keys: list[str]) -> Mapping[str, TargetState | AdapterError]:
    return dict.fromkeys(keys, Transient(f"targets of kind {kind} did not answer in time; what was known of them stands; look at their API"))
