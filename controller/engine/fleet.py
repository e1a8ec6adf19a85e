"""The view of everything else that the guards need, taken once per slot."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from rollbackd.controller.engine.breaches import Breaches
from rollbackd.controller.journal.store import Store
from rollbackd.controller.observe.changes import HORIZON, ChangeBook
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.shard import WHOLE, Shard
from rollbackd.policies.decide.bake import contested
from rollbackd.policies.judge.systemic import Usual
from rollbackd.policies.known.changes import Change, is_watched
from rollbackd.policies.known.fleet import Fleet, Limits
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.policy import Mode, Policy, RevertRung
from rollbackd.policies.watching.since import mended

ChangesOf: TypeAlias = Callable[[Sequence[str]], Sequence[Change]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the daemon's config says about acting. ``shard``: whose targets are looked at here.

    ``orphans_after``: how long an incident may be without a policy here before it is held: where replicas share a store, one may have read a new
    policy earlier than another.
    """

    mode_cap: Mode = Mode.AUTO
    namespace_caps: Mapping[str, Mode] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    shard: Shard = WHOLE
    orphans_after: timedelta = timedelta(0)


def depends(policies: Collection[Policy]) -> dict[str, frozenset[str]]:
    """What each watched target depends on, whichever of its policies says so; empty where none says anything."""
    found: dict[str, frozenset[str]] = {}
    if not any(policy.depends_on for policy in policies):
        return found
    for policy in policies:
        found[policy.target] = found.get(policy.target, frozenset()) | {each.on for each in policy.depends_on if each.on != policy.target}
    return found


def fleet_at(
    at: datetime,
    policies: Mapping[str, Policy],
    store: Store,
    book: ChangeBook,
    breaches: Breaches,
    pause: Pause,
    settings: Settings,
    incidents: Iterable[Incident],
    watches: Mapping[str, Watch],
    usual: Usual,
) -> Fleet:
    """Everything that the guards need to know at the slot ``at``. Raises StoreError."""
    needs, onsets = depends(policies.values()), breaches.onsets()
    alone = unexplained(at, policies.values(), book.of, breaches)
    incidents = tuple(incidents)
    open_on = {incident.target for incident in incidents}
    # Without a change nothing is reverted, unless it is always watched: a breach of everything must not ask more of the store.
    acting = [p for p in policies.values() if p.target in open_on or (p.target in onsets and (p.target not in alone or p.watch is None))]
    seen = Fleet(
        mode_cap=settings.mode_cap,
        namespace_caps=settings.namespace_caps,
        limits=settings.limits,
        paused=pause.read(),
        watched=len({policy.target for policy in policies.values()}),
        unexplained=alone,
        lasting=lasting(at, policies.values(), book.of, breaches),
        leaning=without_change(at, breaches.leaning(), policies.values(), book.of, breaches),
        answered=store.answered(),
        healthy_since=_healthy_since(at, incidents, policies, watches),
        revisions=book.revisions(),
        unread=book.unread(),
        usual=usual,
        onsets=onsets,
        began=breaches.began(),
        evident=breaches.evident(),
        proven=breaches.proven(),
        # Also of what is open: where one is closed in this slot, the other policies of its target are decided on this view.
        mended=mended(incidents, store.mended(store.now() - HORIZON)),
        contested=contested(incidents, book.of(sorted({t for p in policies.values() if p.target in open_on for t in p.targets}))),
        depends=needs,
        shared=book.of(sorted(frozenset().union(*needs.values()))),
        risen=breaches.risen(),
        good=_good(store, settings.limits, acting),
    )
    return as_counted(seen, store)


def as_counted(fleet: Fleet, store: Store) -> Fleet:
    """The fleet with the budgets and the quarantine that the journal has now. Raises StoreError."""
    budget = store.budget(store.now())
    return replace(
        fleet,
        flights=budget.flights,
        acted_in_hour=budget.acted_in_hour,
        acted_in_day=budget.acted_in_day,
        closed=budget.closed,
        quarantined=store.quarantined(),
    )


def _good(store: Store, limits: Limits, policies: Iterable[Policy]) -> Mapping[str, tuple[str, ...]]:
    targets = sorted({rung.target for policy in policies for rung in policy.ladder if isinstance(rung, RevertRung)})
    return store.all_good(targets, store.now() - limits.known_good_max_age) if targets else {}


def unexplained(at: datetime, policies: Iterable[Policy], changes_of: ChangesOf, breaches: Breaches) -> frozenset[str]:
    """The targets whose breach began lately without a change of their own."""
    return without_change(at, breaches.recent(at), policies, changes_of, breaches)


def lasting(at: datetime, policies: Iterable[Policy], changes_of: ChangesOf, breaches: Breaches) -> frozenset[str]:
    """The other targets in breach that no change of their own explained when it began: a watch that has closed since makes none of them innocent."""
    return without_change(at, breaches.lasting(at), policies, changes_of, breaches)


def without_change(at: datetime, targets: frozenset[str], policies: Iterable[Policy], changes_of: ChangesOf, breaches: Breaches) -> frozenset[str]:
    """Those of these targets that are out of their limits and no change of their own explains: none whose watch was open when that began.

    Whether an incident has answered the change does not matter: it still explains the breach that it caused, and none of a week later.
    """
    if not targets:
        return targets
    return targets - {p.target for p in policies if p.target in targets and _has_change(at, p, changes_of, breaches)}


def _has_change(at: datetime, policy: Policy, changes_of: ChangesOf, breaches: Breaches) -> bool:
    blamable = breaches.blamable(policy, at)
    if blamable is None:
        return False  # another policy of the target broke
    since, watch = blamable
    return is_watched(changes_of(policy.targets), watch, (), since)


def _healthy_since(
    at: datetime, incidents: Iterable[Incident], policies: Mapping[str, Policy], watches: Mapping[str, Watch]
) -> dict[tuple[str, str, str], datetime | None]:
    found: dict[tuple[str, str, str], datetime | None] = {}
    # All policies of what is open, not only those that joined: one may join between this look and the next.
    open_on = {incident.target for incident in incidents}
    for policy in [policy for policy in policies.values() if policy.target in open_on]:
        watch = watches.get(policy.name)
        for index, condition in enumerate(policy.conditions):
            # Edited, or we have just started, and not looked at since: that nothing is known of it yet is no recovery.
            track = watch.tracks[index] if watch is not None else None
            is_looked_at = track is not None and track.ok_last is not None and at - track.ok_last <= 2 * policy.every
            found[policy.target, policy.name, condition.name] = track.ok_since if track is not None and is_looked_at else None
    return found
