"""Which changes of the last weeks could have been rolled back by themselves, and what stood in the way of the others. Reads only."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.past import KeepsPast, Past
from rollbackd.adapters.base.target import Target
from rollbackd.controller.answers.status import ChangeCover
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.values import Entry, Known, SeenChange, Standing
from rollbackd.controller.notify.blind import PATIENCE
from rollbackd.controller.observe.past_changes import is_first_sight
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import FlagsRung, Policy, RevertRung
from rollbackd.policies.watching.since import watch_length

LOOKS_BACK = timedelta(days=30)
MOST_ROWS = 10_000
"""So many journal rows are looked through for times at which a source was silent."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of one target. ``past`` None: its kind keeps none; an AdapterError: it cannot be read now."""

    acting: Sequence[Policy]
    known: Sequence[Known]
    past: Past | AdapterError | None
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class _Silence:
    """A source said nothing."""

    source: str
    since: datetime
    until: datetime


def covered_changes(
    store: Reading, policies: Collection[Policy], targets: Mapping[str, Target], max_age: timedelta, now: datetime
) -> tuple[ChangeCover, ...]:
    """Every change of the last 30 days by another writer, newest first. Each watched target that keeps a past is asked for it now."""
    seen = [each for each in store.changes(since=now - LOOKS_BACK) if not is_first_sight(each) and not each.change.ours]
    keys = {each.change.target for each in seen}
    facts = {key: _facts(store, key, policies, targets, max_age) for key in keys}
    silent = tuple(_silences(store.history(MOST_ROWS), now))
    return tuple(_cover(each, facts[each.change.target], silent, now) for each in reversed(seen))


def _facts(store: Reading, key: str, policies: Iterable[Policy], targets: Mapping[str, Target], max_age: timedelta) -> _Facts:
    acting = [policy for policy in policies if any(rung.target == key for rung in policy.ladder)]
    target, past = targets.get(key.partition(":")[0]), None
    if acting and isinstance(target, KeepsPast):
        try:
            past = target.past(key)
        except AdapterError as fault:
            return _Facts(acting, store.ledger(key), fault, max_age)
    return _Facts(acting, store.ledger(key), past, max_age)


def _cover(seen: SeenChange, facts: _Facts, silent: Sequence[_Silence], now: datetime) -> ChangeCover:
    change = seen.change
    hindrance = _standing_hindrance(change, facts) or _no_way_back(change, facts) or _unseen(change, facts.acting, silent, now)
    return ChangeCover(change.target, change.id, change.revision, change.first_seen, hindrance)


def _standing_hindrance(change: Change, facts: _Facts) -> str | None:
    if change.posted:
        return "told by a pipeline: nothing here can undo it"
    if change.irreversible:
        return f"irreversible: {change.irreversible}"
    if not facts.acting:
        return "outside of every watch: no policy has a rung for it"
    if isinstance(facts.past, AdapterError):
        return f"the target cannot be read now: {facts.past}"
    if facts.past is not None and facts.past.refusal is not None:
        return f"its owner: {facts.past.refusal}"
    return None


def _no_way_back(change: Change, facts: _Facts) -> str | None:
    if any(isinstance(rung, FlagsRung) for policy in facts.acting for rung in policy.ladder if rung.target == change.target):
        return None
    reverts = any(isinstance(rung, RevertRung) for policy in facts.acting for rung in policy.ladder if rung.target == change.target)
    good = [known.revision for known in facts.known if _was_good(known, change, facts.max_age)]
    if not reverts or not good:
        return "no other known-good revision at that time"
    if isinstance(facts.past, Past) and not {one.revision for one in facts.past.kept} & set(good):
        return f"the target no longer keeps {', '.join(good[:3])}"
    return None


def _was_good(known: Known, change: Change, max_age: timedelta) -> bool:
    is_of_then = known.first_at <= change.first_seen <= known.last_at + max_age
    return known.standing is Standing.GOOD and known.revision != change.revision and is_of_then


def _unseen(change: Change, acting: Sequence[Policy], silent: Sequence[_Silence], now: datetime) -> str | None:
    """Where every policy that could have acted was blind for the whole watch."""
    for policy in acting:
        until = min(change.window_end(watch_length(policy)), now)
        if not any(one.source == policy.source and one.since <= change.first_seen and until <= one.until for one in silent):
            return None
    return f"no data: source {acting[0].source} was silent throughout its watch"


def _silences(newest_first: Sequence[Entry], now: datetime) -> Iterator[_Silence]:
    since: dict[str, datetime] = {}
    for entry in reversed(newest_first):
        if entry.kind == "source.blind":
            since.setdefault(entry.body["source"], entry.at - PATIENCE)
        elif entry.kind in ("source.sighted", "source.dropped") and (began := since.pop(entry.body["source"], None)) is not None:
            yield _Silence(entry.body["source"], began, entry.at)
    yield from (_Silence(source, began, now) for source, began in since.items())
