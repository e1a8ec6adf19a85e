"""What people are told when the way back of a target is lost while nobody looks: one page, and one message when it is sound again."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.target import Target
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.policies.model.policy import Mode, Policy

log = structlog.get_logger()

EVERY = timedelta(minutes=10)
"""How often the way back is looked at. Trouble is told of when it was found twice: an API may have a bad minute."""


class Readiness:
    """Looks at targets whose way back can be lost by itself, such as by an image that expires; only at those that a policy may act on."""

    def __init__(self, store: Store, targets: Mapping[str, Target], now: Callable[[], datetime], told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._store = store
        self._targets = {kind: target for kind, target in targets.items() if getattr(target, "wanes", False)}
        self._now = now
        self._told = told
        self._lock = threading.Lock()
        self._contacts: dict[str, tuple[str, ...]] = {}
        self._troubled: dict[str, tuple[str, ...]] = {}
        self._paged: dict[str, str] = {}

    def keep(self, policies: Sequence[Policy]) -> None:
        """The targets of these policies are looked at from now on, and no others."""
        found: dict[str, tuple[str, ...]] = {}
        for policy in policies:
            if policy.mode > Mode.OBSERVE:
                for key in policy.targets:
                    found[key] = tuple(dict.fromkeys((*found.get(key, ()), *policy.notify)))
        self._contacts = {key: contacts for key, contacts in found.items() if key.partition(":")[0] in self._targets}

    def look(self) -> None:
        """Every target was asked, and who must know was told. What the store does not take is told the next time."""
        with self._lock:
            contacts = self._contacts
            found: dict[str, tuple[str, ...]] = {}
            for kind, target in self._targets.items():
                lines = target.check([key for key in contacts if key.startswith(f"{kind}:")])
                found |= {key: said for key in contacts if (said := tuple(line for line in lines if line.startswith(f"{key}: ")))}
            try:
                for key, whom in contacts.items():
                    self._tell(key, found.get(key, ()), whom)
            except StoreError as fault:
                log.warning("readiness.untold", error=str(fault))

    def _tell(self, key: str, lines: tuple[str, ...], contacts: tuple[str, ...]) -> None:
        again, paged = key in self._troubled, self._paged.get(key)
        self._troubled = {each: said for each, said in self._troubled.items() if each != key} | ({key: lines} if lines else {})
        at = self._now()
        if lines and again and paged is None:
            # The day is part of it: every replica tells of the same trouble under the same key, and a new one of tomorrow is told anew.
            page = f"readiness:{key}:{hashlib.sha256(str(lines).encode()).hexdigest()[:12]}:{at:%Y%m%d}"
            shown = tuple(line.removeprefix(f"{key}: ") for line in lines)
            title = f"NOT READY: {key} could not be put back if it had to be: {shown[0]}"
            self._queue("not-ready", page, "target.not_ready", key, title, (*shown, "see: rollbackd doctor"), contacts, at)
            self._paged[key] = page
        elif not lines and paged is not None:
            title = f"{key} could be put back again"
            self._queue("ready", paged, "target.ready", key, title, ("nothing known stands in the way",), contacts, at, resolved=True)
            del self._paged[key]

    def _queue(
        self,
        kind: str,
        page: str,
        row: str,
        key: str,
        title: str,
        lines: tuple[str, ...],
        contacts: tuple[str, ...],
        at: datetime,
        *,
        resolved: bool = False,
    ) -> None:
        with self._store.transaction() as tx:
            if tx.note(Note(row, at, {"lines": list(lines)}, target=key), f"{page}:{kind}"):
                tx.queue(plain_notice(kind, page, title, lines, at, resolved=resolved), contacts)
        self._told()
