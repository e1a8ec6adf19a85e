"""What the targets are, and which changes brought them there. The store's rows are the truth; this is their nearest copy."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.revisions import is_named_by
from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.controller.journal.values import SeenChange
from rollbackd.controller.observe.past_changes import as_decided_on, newest_of, slim
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.incident import Incident, Phase

HORIZON = timedelta(days=8)
"""Changes older than this matter to no watch window and to no known good."""

OLD = 60.0
"""Seconds. A survey that has waited for longer, as in a daemon that stood still, is not news where others have told of the target since."""

ROWS_AT_ONCE = 1_000
"""So many rows one transaction writes, so that a fleet seen for the first time does not keep other writers waiting."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How the targets stood when they were asked: from ``began`` on, for the slot ``at``.

    ``former``: surveys for earlier slots, whose answers came too late for those, the oldest first.
    """

    began: float
    at: datetime
    states: Mapping[str, TargetState | AdapterError]
    former: "tuple[Survey, ...]" = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last look at a target that succeeded, or why the newest one failed; ``may_pass``: it may be another answer the next time."""

    state: TargetState | None
    at: datetime | None
    began: float
    fault: str | None = None
    may_pass: bool = False


NEVER = Sighting(None, None, -1.0)


class ChangeBook:
    """Every known change of the watched targets, and where each target stands now. Used by the engine thread only.

    What parts a change brought is kept of the newest alone, which the next is compared with: a fleet's changes of eight days are many.
    ``steady``: the seconds that ``Survey.began`` is in.
    """

    def __init__(self, store: Store, steady: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._steady = steady
        self._told_at: dict[str, float] = {}
        self._settled: Mapping[tuple[str, int], float] = {}
        self._seen: dict[str, tuple[SeenChange, ...]] = {}
        self._of: dict[str, tuple[Change, ...]] = {}
        self._row = self._told = 0
        self.sightings: dict[str, Sighting] = {}

    def load(self, targets: Sequence[str], at: datetime) -> None:
        """The stored changes of these targets are known; what was known of others is forgotten."""
        found: dict[str, list[SeenChange]] = {target: [] for target in targets}
        row, told = self._store.newest_change_row(), self._store.newest_row()
        latest = self._store.latest_changes(targets)
        for seen in self._store.changes(targets, at - HORIZON):
            found[seen.change.target].append(seen)
        for target, seen in latest.items():  # the newest one counts however old it is: it says what runs
            if seen not in found[target]:
                found[target].insert(0, seen)
        self._seen = {target: slim(changes) for target, changes in found.items()}
        self._row, self._told = row, told
        self.sightings = {target: sighting for target, sighting in self.sightings.items() if target in self._seen}
        self._of = {target: as_decided_on(changes, self._doubt(target)) for target, changes in self._seen.items()}

    def refresh(self) -> None:
        """What pipelines posted and other replicas saw since the last refresh is known here too, and what they said to be irreversible since."""
        row, fresh = self._store.changes_after(self._row)
        told, completed = self._store.made_irreversible(self._told)
        self._row, self._told = row, told  # only now: where the store did not answer both, both are asked again
        self._told_at |= {seen.change.target: self._steady() for seen in fresh if self._is_others(seen.change)}
        for seen in (*fresh, *completed):
            if seen.change.target in self._seen:
                self._keep(seen)

    def _is_others(self, change: Change) -> bool:
        known = self._seen.get(change.target)
        return known is not None and not change.posted and change.id not in [seen.change.id for seen in known]

    def of(self, targets: Iterable[str]) -> tuple[Change, ...]:
        """The changes of these targets, as the decision sees them; first sights are where a history begins, no changes."""
        return tuple([change for target in targets for change in self._of.get(target, ())])

    def revisions(self) -> dict[str, str]:
        """What runs now, for every target that was ever seen."""
        return {target: s.state.revision for target, s in self.sightings.items() if s.state is not None}

    def unread(self) -> dict[str, datetime]:
        """The targets whose newest look failed, by what may pass, with the slot of the last one that did not."""
        return {target: seen.at for target, seen in self.sightings.items() if seen.may_pass and seen.at is not None}

    def newest(self, target: str) -> SeenChange | None:
        """The change that brought the target where it stands, as far as anyone saw it."""
        return newest_of(self._seen.get(target, ()))

    def parts_before(self, target: str, change_ids: Collection[str], tx: Reading | None = None) -> Mapping[str, object]:
        """The states of the target's parts before the first of these changes; empty if nobody saw them. Raises StoreError.

        ``tx``: the transaction that this is part of; a second connection must not be waited for within one.
        """
        known = {seen.change.id: seen.change for seen in self._seen.get(target, ())}
        first = next((change for change in known.values() if change.id in change_ids), None)
        before = known.get(first.predecessor or "") if first else None
        return (tx or self._store).parts_of(target, before.id) if before else {}

    def note_settled(self, incidents: Iterable[Incident]) -> None:
        """These are the open incidents: a survey that begins from now on shows the targets after what of them has settled, whoever wrote it."""
        settled = [(incident.id, incident.rung) for incident in incidents if incident.phase is Phase.VERIFYING]
        self._settled = {rung: self._settled.get(rung, self._steady()) for rung in settled}

    def take(self, survey: Survey, incidents: Iterable[Incident]) -> tuple[SeenChange, ...]:
        """The survey is part of the book and of the store; returns the changes that it brought to light.

        A target that could not be read keeps what was known of it. A survey that began before the last one that read the target says nothing new.
        """
        incidents = tuple(incidents)
        self.note_settled(incidents)
        taken = [self._take(each, incidents, survey.at) for each in (*survey.former, survey)]
        return tuple([seen for fresh in taken for seen in fresh])

    def _take(self, survey: Survey, incidents: Iterable[Incident], now: datetime) -> tuple[SeenChange, ...]:
        """As ``take``. A late answer is as old as its question: what it brought to light began at any time until ``now``, and may have gone since."""
        # What began at once is looked at write by write, each as if it were its incident's newest.
        settled = [incident for incident in incidents if self._is_after(survey.began, incident)]
        intents = {write.target: replace(incident, intent=write) for incident in settled for write in incident.writes}
        # What an earlier step put somewhere may show only once a later one has begun.
        ends = {write.target: replace(incident, intent=write) for incident in incidents for write in (*incident.accepted, *incident.writes)}
        read = {target: state for target, state in survey.states.items() if self._says_more(target, survey.began)}
        states = {target: state for target, state in read.items() if not isinstance(state, AdapterError) and not self._is_past(state, survey.began)}
        completed, fresh = [], []
        for target, state in states.items():
            known = self.newest(target)
            if known is not None and (write := _unseen_write(known, state, intents.get(target), survey.at)) is not None:
                known = write
                fresh.append(known)
            if known is None or not is_same(known.change, state):
                fresh.append(_new_change(state, known, self._last(target).at, now, ends.get(target)))
            elif (state.ready and not known.change.ready) or (state.irreversible and not known.change.irreversible):
                completed.append(replace(known, change=replace(known.change, ready=state.ready, irreversible=state.irreversible)))
        held = self._store_all((*completed, *fresh))
        doubted = {target for target, state in states.items() if state.doubt != self._doubt(target)}
        self.sightings |= {target: Sighting(state, survey.at, survey.began) for target, state in states.items()}
        self._of |= {target: as_decided_on(self._seen[target], self._doubt(target)) for target in doubted}
        faults = {target: state for target, state in read.items() if isinstance(state, AdapterError)}
        # Not seen is not newer: an answer to an earlier question may be under way.
        for target, fault in faults.items():
            self.sightings[target] = replace(self._last(target), fault=str(fault), may_pass=isinstance(fault, Transient))
        return held[len(completed) :]

    def _is_after(self, began: float, incident: Incident) -> bool:
        """True where it was known here to have settled when the survey began. Its times do not say: whoever wrote has another clock."""
        known = self._settled.get((incident.id, incident.rung))
        return known is not None and known <= began

    def _doubt(self, target: str) -> str | None:
        state = self._last(target).state
        return state.doubt if state is not None else None

    def _last(self, target: str) -> Sighting:
        return self.sightings.get(target, NEVER)

    def _says_more(self, target: str, began: float) -> bool:
        return target in self._seen and began >= self._last(target).began

    def _is_past(self, state: TargetState, began: float) -> bool:
        """True where it says otherwise than what another replica told long after it was asked for: it would be a change that never happened."""
        known = self.newest(state.key)
        is_old = began <= self._told_at.get(state.key, -1.0) and self._steady() - began > OLD
        return is_old and known is not None and not is_same(known.change, state)

    def _store_all(self, rows: Sequence[SeenChange]) -> tuple[SeenChange, ...]:
        """The rows are stored and known; returns those that hold, which may be another replica's."""
        held: list[SeenChange] = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            with self._store.transaction() as tx:
                written = [self._see(tx, row) for row in rows[start : start + ROWS_AT_ONCE]]
            for row in written:
                self._keep(row)
            held += written
        return tuple(held)

    def _see(self, tx: Transaction, row: SeenChange) -> SeenChange:
        """The row that holds; what it replaces has served until now, so that a known good ages from when it last served."""
        known = self.newest(row.change.target)
        if known is not None:
            tx.served(row.change.target, known.change.revision, row.change.first_seen)
        return tx.see_change(row)

    def _keep(self, seen: SeenChange) -> None:
        horizon = seen.change.first_seen - HORIZON
        before = self._seen.get(seen.change.target, ())
        others = tuple(s for s in before if s.change.id != seen.change.id and (s.change.first_seen >= horizon or s is before[-1]))
        kept = slim(sorted((*others, seen), key=lambda s: s.change.first_seen))
        self._seen[seen.change.target] = kept
        self._of[seen.change.target] = as_decided_on(kept, self._doubt(seen.change.target))


def _new_change(state: TargetState, known: SeenChange | None, last_at: datetime | None, at: datetime, incident: Incident | None) -> SeenChange:
    early = last_at or (known.change.first_seen if known is not None else at)
    started_early, started_late = (state.started.early, state.started.late) if state.started else (early, at)
    change = Change(
        target=state.key,
        id=state.change_id or dated_id(state.key, state.revision, at),
        revision=state.revision,
        predecessor=known.change.id if known is not None else None,
        started_early=started_early,
        started_late=started_late,
        first_seen=at,
        ready=max(state.ready, started_early) if state.ready and known is not None else state.ready,  # pods that outlived a rollout were ready before
        ours=_is_ours(state, incident),
        irreversible=state.irreversible,
        parts=_touched(state, known.parts if known is not None else {}),
    )
    return SeenChange(change, state.parts, state.writer, dated=state.change_id is None or (known is None and state.started is None))


def _unseen_write(known: SeenChange, state: TargetState, incident: Incident | None, at: datetime) -> SeenChange | None:
    """Our write, where somebody has undone it before any survey saw it, of a target without a history: two changes look like none there."""
    intent = incident.intent if incident is not None else None
    if incident is None or intent is None or at < (incident.evidence_from or at):
        return None
    if state.change_id is not None or not intent.from_revision == state.revision == known.change.revision:
        return None
    change = Change(
        target=state.key,
        id=dated_id(state.key, intent.to_revision, intent.at),
        revision=intent.to_revision,
        predecessor=known.change.id,
        started_early=intent.at,
        started_late=intent.at,
        first_seen=intent.at,
        ours=True,
    )
    return SeenChange(change, dated=True)


def dated_id(target: str, revision: str, at: datetime) -> str:
    """The id of a change of a target without a history: unlike any other target's, even where both get the same revision at the same time."""
    return f"{revision}@{at:%Y%m%dT%H%M%S.%f}/{hashlib.sha256(target.encode()).hexdigest()[:6]}"


def is_same(known: Change, state: TargetState) -> bool:
    """True if this change brought the target where it stands."""
    return known.revision == state.revision and state.change_id in (None, known.id)


def _is_ours(state: TargetState, incident: Incident | None) -> bool:
    """True if the target carries our mark, or stands exactly where an open incident's intent put it, as far as its name is known yet."""
    if state.writer is not None:
        return state.writer.startswith("rollbackd:")
    return incident is not None and incident.intent is not None and is_named_by(incident.intent.to_revision, state.revision)


def _touched(state: TargetState, before: Mapping[str, object]) -> tuple[str, ...]:
    """What the change touched: what differs from the last sight, if there was one, and what the target itself says."""
    seen = (name for name in {*state.parts, *before} if state.parts.get(name) != before.get(name)) if before else ()
    return tuple(sorted({*seen, *state.touched}))
