"""Known-good revisions out of a target's own past: what the daemon would have called good, had it been there. Enters them into the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.past import KeepsPast, Kept, Past
from rollbackd.adapters.base.source import Source
from rollbackd.adapters.base.target import Target
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.done import FromHistory, Learnt
from rollbackd.controller.backtest.history import History, PastSource, slots_between
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.schedule import Grid
from rollbackd.policies.decide.decisions import Bake, WouldAct
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.judge.evidence import Nothing
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.reasons import duration_text
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Mode, OutsideWatch, Policy
from rollbackd.policies.watching.since import watch_length

PATIENCE = timedelta(hours=4)
"""So long after its watch a revision may still prove itself."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A revision and its time in service; ``until`` is now for what runs."""

    kept: Kept
    until: datetime


@dataclass(frozen=True, slots=True)
class _Tried:
    """What one policy makes of it."""

    is_good: bool
    said: str


class Bootstrap:
    """Safe to call from several threads. Methods raise Denied and StoreError."""

    def __init__(self, store: Store, sources: Mapping[str, Source], targets: Mapping[str, Target]) -> None:
        self._store = store
        self._sources = sources
        self._targets = targets

    def learn(self, key: str, policies: Sequence[Policy], who: str, now: datetime) -> FromHistory:
        """Each revision that the target keeps was tried by all policies that watch it, and those that passed are known good."""
        if not policies:
            raise Denied("invalid", f"no policy watches {key}: nothing says what good is", "declare one: rollbackd good TARGET REVISION")
        past = self._past(key)
        return FromHistory(key, tuple(self._learnt(key, served, policies, who) for served in _service(past, now)))

    def _past(self, key: str) -> Past:
        kind = key.partition(":")[0]
        target = self._targets.get(kind)
        if not isinstance(target, KeepsPast):
            raise Denied("invalid", f"a target of kind {kind} keeps no past revisions", "declare one: rollbackd good TARGET REVISION")
        try:
            return target.past(key)
        except AdapterError as fault:
            raise Denied("blocked", f"the past of {key} cannot be read: {fault}") from fault

    def _learnt(self, key: str, served: _Served, policies: Sequence[Policy], who: str) -> Learnt:
        revision = served.kept.revision
        tried = self._tried(key, served, policies)
        if tried.is_good:
            with self._store.transaction() as tx:
                tx.mark(key, revision, Standing.GOOD, How.HISTORY, served.until, f"{tried.said} ({who})")
                stands = next((known.standing for known in tx.ledger(key) if known.revision == revision), None)
            if stands is not Standing.GOOD:
                return Learnt(revision, served.until, False, f"it is {stands.value if stands else 'unknown'} and stays so; {tried.said}")
        return Learnt(revision, served.until, tried.is_good, tried.said)

    def _tried(self, key: str, served: _Served, policies: Sequence[Policy]) -> _Tried:
        if served.until <= served.kept.began:
            return _Tried(False, "it came again later: when it served is not known")
        said = []
        for policy in policies:
            source = self._sources.get(policy.source)
            if not isinstance(source, PastSource):
                return _Tried(False, f"source {policy.source} keeps no history")
            try:
                tried = _try(policy, source, key, served)
            except AdapterError as fault:
                tried = _Tried(False, f"the history cannot be read: {fault}")
            if not tried.is_good:
                return tried
            said.append(tried.said)
        return _Tried(True, "; ".join(said))


def _service(past: Past, now: datetime) -> Iterator[_Served]:
    """When each revision served: until the next began. What was put back keeps its first beginning, which is no later than the next one's."""
    kept = past.kept
    yield from (_Served(one, after.began) for one, after in pairwise(kept))
    if kept and kept[-1].revision == past.live:
        is_back = any(one.began > kept[-1].began for one in kept)
        yield _Served(kept[-1], kept[-1].began if is_back else now)


def _try(policy: Policy, source: PastSource, key: str, served: _Served) -> _Tried:
    """The revision's time in service through the daemon's own functions. Raises Transient or Permanent."""
    began, revision, bake = served.kept.began, served.kept.revision, policy.timing.bake
    if served.until - began < bake:
        return _Tried(False, f"it served {duration_text(served.until - began)}, the bake time is {duration_text(bake)}")
    quiet = replace(policy, mode=Mode.OBSERVE, outside_watch=OutsideWatch.IGNORE)
    change = Change(key, revision, revision, None, began, began, began)
    fleet, watch, good, knew = Fleet(revisions={key: revision}), new_watch(quiet), None, 0
    watched = began + watch_length(policy)
    slots = slots_between(Grid(policy.source, policy.every), began, min(served.until, watched + PATIENCE) - source.delay)
    for at, readings in History(source, (quiet,)).read(slots):
        if good is not None and at > watched:
            break
        evaluation = evaluate(quiet, watch, None, readings[quiet.name], (change,), fleet, at)
        watch = evaluation.watch
        knew += any(not isinstance(verdict.evidence, Nothing) for verdict in evaluation.verdicts)
        for decision in evaluation.decisions:
            if isinstance(decision, WouldAct):
                return _Tried(False, f"policy {policy.name} would have acted at {at:%Y-%m-%d %H:%M:%S}: {decision.reason}")
            if isinstance(decision, Bake):
                good = decision.reason
    if good is not None:
        return _Tried(True, good)
    if not knew:
        return _Tried(False, f"there is no sample of its time, {began:%Y-%m-%d %H:%M} to {served.until:%Y-%m-%d %H:%M}")
    return _Tried(
        False, f"policy {policy.name} never saw {duration_text(bake)} of proven health in its first {duration_text(len(slots) * policy.every)}"
    )
