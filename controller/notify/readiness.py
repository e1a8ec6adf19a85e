"""What people are told when the way back of a target is lost while nobody looks: one page, and one message when it is sound again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.target import Target
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.notify.open_pages import MOMENT, OpenPages, watched_no_more
from rollbackd.policies.model.policy import Mode, Policy

log = structlog.get_logger()

EVERY = timedelta(minutes=10)
"""How often the way back is looked at. Trouble is told of when it was found twice: an API may have a bad minute."""


class Readiness:
    """Looks at targets whose way back can be lost by itself, such as by an image that expires; only at those that a policy may act on."""

    def __init__(self, store: Store, targets: Mapping[str, Target], now: Callable[[], datetime], told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._targets = {kind: target for kind, target in targets.items() if getattr(target, "wanes", False)}
        self._now = now
        self._told = told
        self._lock = threading.Lock()
        self._contacts: dict[str, tuple[str, ...]] = {}
        self._troubled: frozenset[str] = frozenset()
        self._all: frozenset[str] | None = None
        """Whatever is looked at, once all of it is known."""
        # Earlier versions stamped with the trouble and the day, so that the same one was never told twice a day.
        stamp = rf"(?:[0-9a-f]{{12}}:\d{{8}}|{MOMENT})"
        self._pages = OpenPages(store, "readiness", stamp=stamp, opened=":not-ready", over=":ready")

    def keep(self, policies: Sequence[Policy], unread: frozenset[str] = frozenset()) -> None:
        """The targets of these policies are looked at from now on, and no others. ``unread``: see PolicySet."""
        found: dict[str, tuple[str, ...]] = {}
        for policy in policies:
            if policy.mode > Mode.OBSERVE:
                for key in policy.targets:
                    found[key] = tuple(dict.fromkeys((*found.get(key, ()), *policy.notify)))
        self._contacts = {key: contacts for key, contacts in found.items() if key.partition(":")[0] in self._targets}
        self._all = frozenset(self._contacts) if not unread else None

    def look(self) -> None:
        """Every target was asked, and who must know was told. What the store does not take is told the next time."""
        with self._lock:
            contacts = self._contacts
            found: dict[str, tuple[str, ...]] = {}
            for kind, target in self._targets.items():
                lines = target.check([key for key in contacts if key.startswith(f"{kind}:")])
                found |= {key: said for key in contacts if (said := tuple(line for line in lines if line.startswith(f"{key}: ")))}
            before, self._troubled = self._troubled, frozenset(found)
            try:
                for key, whom in contacts.items():
                    self._tell(key, found.get(key, ()), whom, again=key in before)
                self._drop(self._now())
            except StoreError as fault:
                log.warning("readiness.untold", error=str(fault))

    def _tell(self, key: str, lines: tuple[str, ...], contacts: tuple[str, ...], *, again: bool) -> None:
        at, is_paged = self._now(), bool(self._pages.about(key))
        if lines and again and not is_paged:
            page = f"readiness:{key}:{at:%Y%m%dT%H%M%S}"
            shown = tuple(line.removeprefix(f"{key}: ") for line in lines)
            title = f"NOT READY: {key} could not be put back if it had to be: {shown[0]}"
            notice = plain_notice("not-ready", page, title, (*shown, "see: rollbackd doctor"), at)
            self._pages.open(key, Note("target.not_ready", at, {"lines": notice.lines}, target=key), notice, contacts)
            self._told()
        elif not lines and is_paged:
            self._end(key, contacts, at)

    def _drop(self, at: datetime) -> None:
        if self._all is None:
            return
        for key in self._pages.dropped(self._all, at):
            self._pages.end(key, Note("target.dropped", at, target=key), watched_no_more(f"the way back of {key}", at), ())
            self._told()

    def _end(self, key: str, contacts: tuple[str, ...], at: datetime) -> None:
        lines = ("nothing known stands in the way",)

        def notice(page: str) -> Notice:
            return plain_notice("ready", page, f"{key} could be put back again", lines, at, resolved=True)

        self._pages.end(key, Note("target.ready", at, {"lines": lines}, target=key), notice, contacts)
        self._told()
