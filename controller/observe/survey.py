"""How the targets stand: one survey per kind and slot."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import TypeAlias

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import Target, TargetState
from rollbackd.controller.observe.changes import Survey

Answer: TypeAlias = Future[Mapping[str, TargetState | AdapterError]]

WORKERS = 4
"""So many slots may ask a kind of targets at the same moment: each source and interval has slots of its own."""


class Surveyor:
    """Asks each kind of target for all its keys at once."""

    def __init__(self, targets: Mapping[str, Target], *, patience: timedelta = timedelta(seconds=4)) -> None:
        """``patience``: how long a slot waits for targets to say how they stand."""
        self._targets = targets
        self._patience = patience.total_seconds()
        # A pool for each kind: one that hangs must not delay the others.
        self._pools = {kind: ThreadPoolExecutor(WORKERS, thread_name_prefix=f"survey-{kind}") for kind in targets}
        self._hanging: dict[str, Answer] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """No survey is begun after this."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def survey(self, keys: Iterable[str], at: datetime) -> Survey:
        """How these targets stand for the slot ``at``; a target that cannot be read has its error."""
        began = time.monotonic()
        by_kind: dict[str, list[str]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            by_kind[key.partition(":")[0]].append(key)
        asked = {kind: answer for kind, group in by_kind.items() if (answer := self._asked(kind, group)) is not None}
        wait(asked.values(), timeout=self._patience)
        states: dict[str, TargetState | AdapterError] = {}
        for kind, group in by_kind.items():
            states.update(self._heard(kind, group, asked.get(kind)))
        return Survey(began, at, states)

    def _asked(self, kind: str, keys: list[str]) -> Answer | None:
        """The survey of this kind; None where nobody is to be asked: an earlier one hangs, or there is no such kind."""
        with self._lock:
            is_hanging = kind in self._hanging and not self._hanging[kind].done()
        return None if is_hanging or kind not in self._pools else self._pools[kind].submit(self._targets[kind].survey, keys)

    def _heard(self, kind: str, keys: list[str], answer: Answer | None) -> Mapping[str, TargetState | AdapterError]:
        if kind not in self._pools:
            return dict.fromkeys(keys, Permanent(f"no target of kind {kind} is configured; nothing can be read or undone there"))
        if answer is not None and answer.done():
            return answer.result()
        if answer is not None:
            with self._lock:
                self._hanging[kind] = answer
        return _late(kind, keys)


def _late(kind: str, keys: list[str]) -> Mapping[str, TargetState | AdapterError]:
    return dict.fromkeys(keys, Transient(f"targets of kind {kind} did not answer in time; what was known of them stands; look at their API"))
