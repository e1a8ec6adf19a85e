"""When a revision has proven itself: it served the bake time under our eyes, healthy, without a breach."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from rollbackd.policies.decide.decisions import Bake
from rollbackd.policies.judge.verdict import State, Verdict, is_doubted
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident, suspects_of
from rollbackd.policies.known.reasons import duration_text
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.keys import tells_ready
from rollbackd.policies.model.policy import Policy, RevertRung
from rollbackd.policies.model.signals import OfTarget, Vanished


def bake(
    policy: Policy, watch: Watch, verdicts: Sequence[Verdict], changes: Sequence[Change], fleet: Fleet, at: datetime
) -> tuple[Watch, tuple[Bake, ...]]:
    """The watch after the slot, and the revisions that are known good from now on; told once."""
    revision = fleet.revisions.get(policy.target)
    is_new = revision != watch.revision
    pairs = zip(policy.conditions, verdicts, strict=True)
    # What is no worse than before and out of its written limit all the same proves no revision good.
    breached = True in [v.state is State.BREACH or c.limit.is_raised or (v.trial is not None and is_doubted(c, v)) for c, v in pairs]
    clean = None if breached else _clean_since(policy, watch, fleet, at, is_new=is_new)
    if is_new or clean != watch.clean_since:
        watch = Watch(watch.digest, watch.tracks, revision, clean, None if is_new else watch.baked)
    if revision is None or clean is None or watch.baked == revision or at - clean < policy.timing.bake:
        return watch, ()
    if (policy.target, revision) in fleet.contested:
        return watch, ()
    lasted = at - max(clean, _healthy_since(policy, watch, verdicts, at))
    if lasted < policy.timing.bake:
        return watch, ()
    good = tuple(_unchanged(policy, changes, fleet, at - policy.timing.bake))
    reason = f"no breach in {duration_text(lasted)} under watch of policy {policy.name} (bake {duration_text(policy.timing.bake)})"
    return replace(watch, baked=revision), (Bake(good, at, reason),) if good else ()


def contested(incidents: Iterable[Incident], changes: Sequence[Change]) -> frozenset[tuple[str, str]]:
    """The (target, revision) pairs that open incidents are about: what was judged, and every suspect among these changes."""
    found: set[tuple[str, str]] = set()
    for incident in incidents:
        found |= {(incident.target, incident.revision), *((change.target, change.revision) for change in suspects_of(incident, changes))}
    return frozenset(found)


def _clean_since(policy: Policy, watch: Watch, fleet: Fleet, at: datetime, *, is_new: bool) -> datetime:
    """Since when nobody has proven a breach of what runs: what another policy of the target saw counts as if this one had."""
    if is_new or watch.clean_since is None:
        return at
    return max(watch.clean_since, fleet.proven.get(policy.target, watch.clean_since))


def _healthy_since(policy: Policy, watch: Watch, verdicts: Sequence[Verdict], at: datetime) -> datetime:
    """Since when the longest-proven condition has been proven healthy: silence bakes nothing, nor does a rollout that went well, nor presence."""
    triples = zip(policy.conditions, watch.tracks, verdicts, strict=True)
    measured = ((t, v) for c, t, v in triples if not isinstance(c.signal, OfTarget | Vanished))
    return min((t.ok_since for t, v in measured if v.state is State.OK and t.ok_since is not None), default=at)


def _unchanged(policy: Policy, changes: Sequence[Change], fleet: Fleet, since: datetime) -> Iterator[tuple[str, str]]:
    """What ran unchanged and unblamed since then, of the watched target and of those that the ladder reverts."""
    for target in dict.fromkeys((policy.target, *(rung.target for rung in policy.ladder if isinstance(rung, RevertRung)))):
        is_recent = any(change.target == target and change.effective > since for change in changes)
        is_broken = target != policy.target and target in fleet.onsets  # whoever looks at it, if only to observe, knows more of it than we do
        is_blamed = is_broken or fleet.proven.get(target, since) > since or (target, fleet.revisions.get(target)) in fleet.contested
        if target in fleet.revisions and not is_recent and not is_blamed and _has_served(target, changes):
            yield target, fleet.revisions[target]


def _has_served(target: str, changes: Sequence[Change]) -> bool:
    """Not where the rollout never got so far that one replica of it was ready: what was healthy is what ran before."""
    own = [change for change in changes if change.target == target and not change.posted]
    newest = max(own, key=lambda change: change.order, default=None)
    return newest is None or newest.ready is not None or not tells_ready(target)
