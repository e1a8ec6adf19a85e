"""How the targets stand: one survey per kind and slot, or one question per target where each answers for itself.

What is answered too late for its own slot is told in a later one.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import AnswersAlone, Target, TargetState
from rollbackd.controller.observe.changes import Survey

log = structlog.get_logger()

Said: TypeAlias = Mapping[str, TargetState | AdapterError]

WORKERS = 4
"""So many slots may ask a kind of targets at the same moment: each source and interval has slots of its own."""
WORKERS_ALONE = 32
"""So many targets of a kind that answers alone are asked at the same moment. Those that hang hold one each, the others wait for the rest."""
KEPT = timedelta(hours=1)
"""So long an answer that came too late waits for a slot of its targets; there is none any more where policies were changed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What one slot asked one kind of targets, or one target: ``asked``."""

    asked: str
    keys: frozenset[str]
    began: float
    at: datetime
    answer: Future[Said]

    def is_about(self, keys: Iterable[str]) -> bool:
        return not self.keys.isdisjoint(keys)


class Surveyor:
    """Asks each kind of target for all its keys at once, or for each alone, and no target again while a question about it has no answer."""

    def __init__(self, targets: Mapping[str, Target], *, patience: timedelta = timedelta(seconds=4)) -> None:
        """``patience``: how long a slot waits for targets to say how they stand."""
        self._targets = targets
        self._patience = patience.total_seconds()
        # A pool for each kind: one that hangs must not delay the others.
        self._pools = {kind: ThreadPoolExecutor(_workers(target), thread_name_prefix=f"survey-{kind}") for kind, target in targets.items()}
        self._late: list[_Question] = []
        self._bugs: dict[str, str] = {}
        self._slow: set[str] = set()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()

    def close(self) -> None:
        """No survey is begun after this, and what answers alone is not waited for."""
        self._is_closed.set()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def survey(self, keys: Iterable[str], at: datetime) -> Survey:
        """How these targets stand for the slot ``at``; a target that cannot be read has its error. Each late answer is told once.

        What answers alone and hung the last time is asked and not waited for: else each of its hangs would cost all others the same again.
        """
        began = time.monotonic()
        groups = self._groups(keys)
        asked = {name: self._ask(name, group, began, at) for name, group in groups.items() if self._may_ask(name, group)}
        wait([question.answer for name, question in asked.items() if name not in self._slow], timeout=self._patience)
        former = self._answered_late(groups, at)
        states: dict[str, TargetState | AdapterError] = {}
        for name, group in groups.items():
            states.update(self._heard(name, group, asked.get(name)))
        return Survey(began, at, states, former)

    def _groups(self, keys: Iterable[str]) -> Mapping[str, list[str]]:
        """What is asked for together, by kind; by key where each answers alone."""
        found: dict[str, list[str]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            kind = _kind(key)
            found[key if isinstance(self._targets.get(kind), AnswersAlone) else kind].append(key)
        return found

    def _may_ask(self, name: str, keys: Iterable[str]) -> bool:
        with self._lock:
            return _kind(name) in self._pools and not any(late.is_about(keys) and not late.answer.done() for late in self._late)

    def _ask(self, name: str, keys: list[str], began: float, at: datetime) -> _Question:
        return _Question(name, frozenset(keys), began, at, self._pools[_kind(name)].submit(self._said, name, keys))

    def _said(self, name: str, keys: Sequence[str]) -> Said:
        """What the targets say; where asking them found a bug, all of these are unreadable, and no others."""
        target = self._targets[_kind(name)]
        try:
            said = {key: target.ask(key, self._is_closed.is_set) for key in keys} if isinstance(target, AnswersAlone) else target.survey(keys)
        except Exception as bug:  # noqa: BLE001 - the seam: it must not cost the slot, in which other targets are judged
            return dict.fromkeys(keys, self._crashed(name, bug))
        with self._lock:
            self._bugs.pop(name, None)
        return {key: answer.bare() if isinstance(answer, AdapterError) else answer for key, answer in said.items()}

    def _crashed(self, name: str, bug: Exception) -> Transient:
        """The bug is in the log, once for as long as it stays the same."""
        with self._lock:
            is_known = self._bugs.get(name) == repr(bug)
            self._bugs[name] = repr(bug)
        if not is_known:
            log.exception("survey.crashed", asked=name)
        # Its words are left to the log: they may hold anything.
        return Transient(
            f"asking {name} how it stands failed by a bug of rollbackd ({type(bug).__name__}); "
            "what was known of it stands; report 'survey.crashed' of its log"
        )

    def _answered_late(self, groups: Mapping[str, Iterable[str]], at: datetime) -> tuple[Survey, ...]:
        """What earlier slots of these targets asked and has been answered since, the oldest first."""
        with self._lock:
            done = [late for late in self._late if late.answer.done()]
            mine = [late for late in done if late.is_about(groups.get(late.asked, ()))]
            self._slow -= {late.asked for late in mine if not any(isinstance(said, AdapterError) for said in late.answer.result().values())}
            self._late = [late for late in self._late if late not in mine and (late not in done or late.at > at - KEPT)]
        return tuple([Survey(late.began, late.at, late.answer.result()) for late in sorted(mine, key=lambda late: late.began)])

    def _heard(self, name: str, keys: list[str], question: _Question | None) -> Said:
        target = self._targets.get(_kind(name))
        if target is None:
            return dict.fromkeys(keys, Permanent(f"no target of kind {name} is configured; nothing can be read or undone there"))
        if question is not None and question.answer.done():
            return question.answer.result()
        if question is not None:
            with self._lock:
                self._late.append(question)
                self._slow |= {name} if isinstance(target, AnswersAlone) else set()
        return dict.fromkeys(keys, Transient(_unanswered(name, target)))


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _workers(target: Target) -> int:
    return WORKERS_ALONE if isinstance(target, AnswersAlone) else WORKERS


def _unanswered(name: str, target: Target) -> str:
    if isinstance(target, AnswersAlone):
        return f"{name} did not answer in time; what was known of it stands; {target.advice}"
    return f"targets of kind {name} did not answer in time; what was known of them stands; look at their API"
