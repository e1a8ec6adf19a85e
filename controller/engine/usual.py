"""How many targets turn to breach without a change by themselves: remembered in the journal, a row for each breach that counts."""

from collections.abc import Mapping
from datetime import datetime

from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.shard import Shard
from rollbackd.policies.judge.systemic import MEMORY, NOTHING_KNOWN, Usual, begun, turned_all, watched_until
from rollbackd.policies.known.fleet import Fleet

KIND = "breach.unexplained"


class Turned:
    """Which breaches without a change were counted already: each counts once."""

    def __init__(self) -> None:
        self._onsets: dict[str, datetime] = {}

    def take(self, usual: Usual, fleet: Fleet) -> Usual:
        """What is usual with the breaches of this slot."""
        return turned_all(usual, sorted((onset, target) for target, onset in self._fresh(fleet).items()))

    def settle(self, fleet: Fleet) -> None:
        """They are counted."""
        fresh = self._fresh(fleet)
        self._onsets = {target: onset for target, onset in fleet.onsets.items() if target in fresh or self._onsets.get(target) == onset}

    def _fresh(self, fleet: Fleet) -> dict[str, datetime]:
        return {t: fleet.onsets[t] for t in fleet.unexplained if t in fleet.onsets and self._onsets.get(t) != fleet.onsets[t]}


class UsualBreaches:
    """What is usual in all that is watched here. Used by the engine thread only. ``known``: as of the last slot. ``shard``: whose targets count."""

    def __init__(self, store: Store, shard: Shard) -> None:
        self._store = store
        self._shard = shard
        self._is_read = False
        self._turned = Turned()
        self.known = NOTHING_KNOWN

    def take(self, fleet: Fleet, at: datetime) -> None:
        """The breaches of this slot without a change that say what is usual are on record, each once; in an outage only its first.

        Raises StoreError, and then they are taken with the next slot.
        """
        if not self._is_read:
            self.known = self._remembered(at)
            self._is_read = True
        after = self._turned.take(self.known, fleet)
        self._record({target: onset for target, onset in after.recent.items() if self.known.recent.get(target) != onset})
        self._turned.settle(fleet)
        self.known = watched_until(after, at)

    def _record(self, counted: Mapping[str, datetime]) -> None:
        if counted:
            with self._store.transaction() as tx:
                for target, onset in counted.items():
                    tx.note(Note(KIND, onset, {}, target), f"unexplained:{target}:{onset:%Y%m%dT%H%M%S}")

    def _remembered(self, at: datetime) -> Usual:
        """As the journal tells it. A time when nothing was watched counts as one without breaches: less is usual then, and the hold comes sooner."""
        since = max(self._store.began() or at, at - 4 * MEMORY)
        # Daemons of other parts write into the same journal: with theirs more would be usual after a restart than before it, and the hold too late.
        return turned_all(begun(since), [(at, target) for at, target in self._store.noted(KIND, since) if self._shard.has(target)])
