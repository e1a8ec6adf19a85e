"""How the targets stand: one survey per kind and slot."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.target import Target, TargetState
from rollbackd.controller.changes import Survey


class Surveyor:
    """Asks each kind of target for all its keys at once."""

    def __init__(self, targets: Mapping[str, Target], *, workers: int = 4) -> None:
        self._targets = targets
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="survey")

    def close(self) -> None:
        """No survey is begun after this."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def survey(self, keys: Iterable[str], at: datetime) -> Survey:
        """How these targets stand for the slot ``at``; a target that cannot be read has its error."""
        began = time.monotonic()
        by_kind: dict[str, list[str]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            by_kind[key.partition(":")[0]].append(key)
        futures = [self._pool.submit(self._one_kind, kind, group) for kind, group in by_kind.items()]
        states: dict[str, TargetState | AdapterError] = {}
        for future in futures:
            states.update(future.result())
        return Survey(began, at, states)

    def _one_kind(self, kind: str, keys: list[str]) -> Mapping[str, TargetState | AdapterError]:
        target = self._targets.get(kind)
        if target is None:
            return dict.fromkeys(keys, Permanent(f"no target of kind {kind} is configured; nothing can be read or undone there"))
        return target.survey(keys)
