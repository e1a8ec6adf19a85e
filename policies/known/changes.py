"""Changes and which of them a breach may be blamed on."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SKEW = timedelta(minutes=5)
"""So far apart, at most, the clocks of two replicas are taken to be where the one dates what the other decided about."""


@dataclass(frozen=True, slots=True)
class Change:
    """A target came to another revision. ``id`` is the target's own, so that all replicas agree; ``predecessor`` is the id of the change before.

    It happened after ``started_early`` and not later than ``started_late``. ``ready``: its first replica served (None: not yet, or the kind has no
    such moment). ``ours``: a write of rollbackd. ``posted``: told to us by a pipeline; nothing here can undo it. ``irreversible``: why a revert
    across it is unsafe. ``parts``: what of the target changed (flag names).
    """

    target: str
    id: str
    revision: str
    predecessor: str | None
    started_early: datetime
    started_late: datetime
    first_seen: datetime
    ready: datetime | None = None
    ours: bool = False
    posted: bool = False
    irreversible: str | None = None
    parts: tuple[str, ...] = ()
    note: str = ""

    @property
    def effective(self) -> datetime:
        """From when on evidence belongs to this change: its first replica served, else it had certainly happened."""
        return self.ready or self.started_late

    @property
    def order(self) -> tuple[datetime, datetime]:
        """Where it stands among the changes of its target: one that began later, or in the same second and was seen later, is newer."""
        return self.started_late, self.first_seen

    def window_end(self, watch: timedelta) -> datetime:
        """The latest onset that may be blamed on it."""
        return (self.ready or self.first_seen) + watch


def is_answerable(change: Change, answered: Collection[str]) -> bool:
    """True unless it is a write of ours or among the ``answered`` ids: those open no watch and are no suspects."""
    return not change.ours and change.id not in answered


def watched(changes: Iterable[Change], watch: timedelta, answered: Collection[str], at: datetime) -> tuple[Change, ...]:
    """The changes whose watch window is open at ``at``, newest first."""
    found = (c for c in changes if is_watched((c,), watch, answered, at))
    return tuple(sorted(found, key=lambda c: c.order, reverse=True))


def is_watched(changes: Iterable[Change], watch: timedelta, answered: Collection[str], at: datetime) -> bool:
    """True if the watch window of any of the changes is open at ``at``."""
    return any(is_answerable(c, answered) and c.started_early <= at <= c.window_end(watch) for c in changes)


def suspects(changes: Iterable[Change], watch: timedelta | None, answered: Collection[str], onset: datetime) -> tuple[Change, ...]:
    """The changes that a breach with this onset may be blamed on, newest first. ``watch`` None: any change before the onset.

    One that began at the very moment of the onset came too late for it: a fix, perhaps.
    """
    found = (c for c in changes if is_answerable(c, answered) and c.started_early < onset and (watch is None or onset <= c.window_end(watch)))
    return tuple(sorted(found, key=lambda c: c.order, reverse=True))


def is_undone(change: Change, changes: Iterable[Change], onset: datetime) -> bool:
    """True where writes of ours had put back all that the change touched before a breach with this onset began. What was posted nothing undoes."""
    later = [] if change.posted else [c for c in changes if c.ours and c.target == change.target and c.order > change.order and c.effective < onset]
    return bool(later) and set(change.parts) <= {part for each in later for part in each.parts}


def equal_age(changes: Iterable[Change], target: str, at: datetime) -> tuple[datetime, timedelta] | None:
    """When what ran on ``target`` before its newest change was as old as what runs now, and that age.

    None where that cannot be said: there is no such change, nobody saw what was before it, or that did not live so long.
    """
    known = {change.id: change for change in changes if change.target == target and not change.posted and change.started_early <= at}
    newest = max(known.values(), key=lambda change: change.order, default=None)
    before = None if newest is None else known.get(newest.predecessor or "")
    if newest is None or before is None or at < newest.effective:
        return None
    age = at - newest.effective
    then = before.effective + age
    return (then, age) if then <= newest.started_early else None


def just_seen(changes: Iterable[Change], at: datetime) -> tuple[str, ...]:
    """The ids of those that another replica's clock may put after ``at``."""
    return tuple([change.id for change in changes if change.first_seen > at - SKEW])


def newest_foreign(changes: Sequence[Change], targets: Collection[str], since: datetime, known: Collection[str]) -> Change | None:
    """The newest change by another writer on ``targets`` that came to light after ``since``: it is not among ``known``, what was ``just_seen`` then.

    By its time alone a change would be missed that a replica whose clock is late was the first to see, or that was stored while this one decided.
    """
    found = [c for c in changes if c.target in targets and not c.ours and not c.posted and c.first_seen > since - SKEW and c.id not in known]
    return max(found, key=lambda c: c.order, default=None)
