"""How the targets stand: one survey per kind and slot. What is answered too late for its own slot is told in a later one."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import Target, TargetState
from rollbackd.controller.observe.changes import Survey

Answer: TypeAlias = Future[Mapping[str, TargetState | AdapterError]]

WORKERS = 4
"""So many slots may ask a kind of targets at the same moment: each source and interval has slots of its own."""
KEPT = timedelta(hours=1)
"""So long an answer that came too late waits for a slot of its targets; there is none any more where policies were changed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What one slot asked one kind of targets."""

    kind: str
    keys: frozenset[str]
    began: float
    at: datetime
    answer: Answer

    def is_about(self, keys: Iterable[str]) -> bool:
        return not self.keys.isdisjoint(keys)


class Surveyor:
    """Asks each kind of target for all its keys at once, and no target again while a question about it has no answer."""

    def __init__(self, targets: Mapping[str, Target], *, patience: timedelta = timedelta(seconds=4)) -> None:
        """``patience``: how long a slot waits for targets to say how they stand."""
        self._targets = targets
        self._patience = patience.total_seconds()
        # A pool for each kind: one that hangs must not delay the others.
        self._pools = {kind: ThreadPoolExecutor(WORKERS, thread_name_prefix=f"survey-{kind}") for kind in targets}
        self._late: list[_Question] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """No survey is begun after this."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def survey(self, keys: Iterable[str], at: datetime) -> Survey:
        """How these targets stand for the slot ``at``; a target that cannot be read has its error. Each late answer is told once."""
        began = time.monotonic()
        by_kind: dict[str, list[str]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            by_kind[key.partition(":")[0]].append(key)
        asked = {kind: self._ask(kind, group, began, at) for kind, group in by_kind.items() if self._may_ask(kind, group)}
        wait([question.answer for question in asked.values()], timeout=self._patience)
        former = self._answered_late(by_kind, at)
        states: dict[str, TargetState | AdapterError] = {}
        for kind, group in by_kind.items():
            states.update(self._heard(kind, group, asked.get(kind)))
        return Survey(began, at, states, former)

    def _may_ask(self, kind: str, keys: Iterable[str]) -> bool:
        with self._lock:
            return kind in self._pools and not any(late.is_about(keys) and not late.answer.done() for late in self._late)

    def _ask(self, kind: str, keys: list[str], began: float, at: datetime) -> _Question:
        return _Question(kind, frozenset(keys), began, at, self._pools[kind].submit(_said, self._targets[kind], keys))

    def _answered_late(self, by_kind: Mapping[str, Iterable[str]], at: datetime) -> tuple[Survey, ...]:
        """What earlier slots of these targets asked and has been answered since, the oldest first."""
        with self._lock:
            done = [late for late in self._late if late.answer.done()]
            mine = [late for late in done if late.is_about(by_kind.get(late.kind, ()))]
            self._late = [late for late in self._late if late not in mine and (late not in done or late.at > at - KEPT)]
        return tuple([Survey(late.began, late.at, late.answer.result()) for late in sorted(mine, key=lambda late: late.began)])

    def _heard(self, kind: str, keys: list[str], question: _Question | None) -> Mapping[str, TargetState | AdapterError]:
        if kind not in self._pools:
            return dict.fromkeys(keys, Permanent(f"no target of kind {kind} is configured; nothing can be read or undone there"))
        if question is not None and question.answer.done():
            return question.answer.result()
        if question is not None:
            with self._lock:
                self._late.append(question)
        late = f"targets of kind {kind} did not answer in time; what was known of them stands; look at their API"
        return dict.fromkeys(keys, Transient(late))


def _said(target: Target, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
    said = target.survey(keys)
    return {key: answer.bare() if isinstance(answer, AdapterError) else answer for key, answer in said.items()}
