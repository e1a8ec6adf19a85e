"""Pages that a later message ends. Which of them are open is what the journal says: a restart neither forgets one nor opens it twice."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice

MOMENT = r"\d{8}T\d{6}"


def watched_no_more(subject: str, at: datetime) -> Callable[[str], Notice]:
    """The message that ends a page about what was dropped, for ``end``."""

    def notice(key: str) -> Notice:
        lines = ("what is loaded here names it no more; whether it became well is not known",)
        return plain_notice("dropped", key, f"{subject} is watched no more", lines, at, resolved=True)

    return notice


class OpenPages:
    """The open pages of one kind, by what they are about. Read at the first question, and no more after that. One thread at a time.

    A page and its messages have the key ``{name}:{what}:{stamp}``. The row that opened it adds ``opened`` to that, the one that ended it ``over``.
    ``name`` begins with a word in small letters; ``stamp`` is a pattern.
    """

    def __init__(self, store: Store, name: str, *, stamp: str = MOMENT, opened: str = "", over: str = ":over") -> None:
        self._store = store
        self._word = name.partition(":")[0]
        self._opening = re.compile(f"({re.escape(name)}:(.+):{stamp}){opened}")
        self._opened, self._over = opened, over
        self._open: dict[str, tuple[str, ...]] | None = None
        self._dropped_since: dict[str, datetime] = {}
        self._told: set[str] = set()

    def about(self, what: str) -> tuple[str, ...]:
        """The keys of the open pages about it. Raises StoreError."""
        return self._known().get(what, ())

    def is_told(self, what: str) -> bool:
        """Whether a page about it was opened here, since the start: the contacts that are known here have one."""
        return what in self._told

    def open(self, what: str, note: Note, notice: Notice, contacts: Iterable[str]) -> None:
        """Each contact is paged once, whichever replicas tell, under this key or that of the open page. Raises StoreError: then nobody was."""
        known = self._known()
        with self._store.transaction() as tx:
            pages = self._read(tx).get(what, ())  # anew: since it was read, another replica may have paged by a moment of its own
            if not pages and tx.note(note, f"{notice.key}{self._opened}"):
                pages = (notice.key,)
            for page in pages[-1:]:  # none: it is over already
                told = parcels.contacts_of(tx, page)  # another shard, whose policies have other contacts, may have been first
                tx.queue(replace(notice, id=notice.id.replace(notice.key, page), key=page), [each for each in contacts if each not in told])
        known[what] = pages or (notice.key,)
        self._told.add(what)

    def end(self, what: str, note: Note, notice: Callable[[str], Notice], contacts: Iterable[str]) -> None:
        """Every page about it is over, and the contacts know, and whoever was paged: after a restart not every policy is known at once.

        ``notice``: the message that ends the page of this key. Raises StoreError: then nobody was told.
        """
        known = self._known()
        with self._store.transaction() as tx:
            for page in known.get(what, ()):
                if tx.note(note, f"{page}{self._over}"):
                    tx.queue(notice(page), sorted({*contacts, *parcels.contacts_of(tx, page)}))
        known.pop(what, None)
        self._told.discard(what)

    def dropped(self, kept: Collection[str], at: datetime) -> tuple[str, ...]:
        """What open pages are about that is none of ``kept``: nobody looks at it any more, so nothing else would end them. Raises StoreError.

        Where replicas share the journal it has to be so for some minutes: another one may have read newer files.
        """
        gone = sorted(self._known().keys() - set(kept))
        self._dropped_since = {what: self._dropped_since.get(what, at) for what in gone}
        return tuple(what for what, since in self._dropped_since.items() if at - since >= self._store.database.may_differ)

    def _known(self) -> dict[str, tuple[str, ...]]:
        if self._open is None:
            self._open = self._read(self._store)
        return self._open

    def _read(self, journal: Reading) -> dict[str, tuple[str, ...]]:
        # By keys alone: of rows that compaction removed nothing else is left.
        keys = journal.keys(self._word)
        found: dict[str, tuple[str, ...]] = {}
        for key in sorted(keys):
            opening = self._opening.fullmatch(key)
            if opening is not None and f"{opening[1]}{self._over}" not in keys:
                found[opening[2]] = (*found.get(opening[2], ()), opening[1])
        return found
