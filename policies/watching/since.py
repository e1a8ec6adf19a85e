"""How often to look, and from when on evidence counts."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rollbackd.policies.known.changes import Change, is_watched
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident, Mended
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.policy import Condition, OutsideWatch, Policy

COARSE = timedelta(seconds=60)
"""How often a target without an open watch is looked at: for onsets, known goods and the systemic guard."""
ALWAYS_BLAMES = timedelta(hours=1)
"""How far back a policy with ``watch: always`` looks for a suspect."""


def watch_of(policy: Policy, condition: Condition) -> timedelta:
    """For how long after a change a breach of the condition is laid to it: its own watch, else the policy's."""
    return condition.watch or policy.watch or ALWAYS_BLAMES


def watch_length(policy: Policy) -> timedelta:
    """The longest watch window of the policy or one of its conditions."""
    own = policy.watch or ALWAYS_BLAMES
    return max([own, *[c.watch for c in policy.conditions if c.watch is not None]])


def is_watching(policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> bool:
    """True while a breach may lead to anything but a word: a watch or an incident is open."""
    return incident is not None or policy.watch is None or is_watched(changes, watch_length(policy), fleet.answered_on(policy.target), at)


def look_interval(policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> timedelta:
    """How often the policy's target is to be looked at now: every slot while a watch or an incident is open, else coarsely."""
    if is_watching(policy, incident, changes, fleet, at):
        return policy.every
    return max(policy.every, COARSE)


def apart_in_calm(every: timedelta) -> timedelta:
    """How far apart ``is_due`` lets the looks at an unwatched target be, of slots that come each ``every``."""
    return every * max(1, math.ceil(COARSE / every - 0.5))


def is_due(policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, last: datetime, at: datetime) -> bool:
    """True where the policy's target, looked at ``last``, is to be looked at again in the slot ``at``."""
    return at - last >= look_interval(policy, incident, changes, fleet, at) - policy.every / 2


def is_resting(policy: Policy, watch: Watch, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> bool:
    """True where a look would cost money and tell nothing: no watch is open, what runs is known good, and nobody wants to hear of anything else."""
    if not policy.is_metered or policy.outside_watch is not OutsideWatch.IGNORE or is_watching(policy, incident, changes, fleet, at):
        return False
    return watch.baked is not None and watch.baked == fleet.revisions.get(policy.target)


def mended(incidents: Iterable[Incident], earlier: Iterable[tuple[str, Mended]] = ()) -> dict[str, Mended]:
    """When evidence began anew by what these incidents did, and ``earlier`` ones, by the target that they were about: the newest of each."""
    found: dict[str, Mended] = {}
    for target, done in (*earlier, *((incident.target, incident.mended) for incident in incidents)):
        if done is not None:
            found[target] = max(done, found.get(target, done))
    return found


def evidence_since(
    policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime
) -> tuple[datetime | None, datetime | None]:
    """From when on evidence counts, and when the first verdict may be given.

    Evidence never mixes two states of the policy's targets, whoever changed them and whether or not anyone is blamed for it: it begins at the newest
    change (its first serving replica), and after the incident's own rungs at the end of their settling. So it does after those of an earlier incident
    of the watched target, though the policy may have no eye on what they changed. Another writer's change has a warm-up before the first verdict.
    """
    past = [change for change in changes if change.started_early <= at]
    foreign = max([change.effective for change in past if not change.ours], default=None)
    settled = incident.evidence_from if incident is not None else None
    # The end of the settling says exactly what the sight of that change says at the next slot; what another incident wrote, it does not.
    own = incident.touched if incident is not None and settled is not None else ()
    ours = [change.effective for change in past if change.ours and change.target not in own]
    earlier = None if (done := fleet.mended.get(policy.target)) is None else _mended_by(done, foreign, at)
    since = max([moment for moment in (foreign, settled, earlier, *ours) if moment is not None], default=None)
    return since, None if foreign is None else foreign + policy.timing.warmup


def _mended_by(done: Mended, foreign: datetime | None, at: datetime) -> datetime | None:
    """When evidence began anew by what an earlier incident did; None in a past slot that it says nothing of.

    What had not settled when its incident was closed is waited for, unless somebody has changed something since: that is to be judged at once.
    """
    is_of_now = done.evidence_from <= at or (done.written <= at and (foreign is None or foreign <= done.written))
    return done.evidence_from if is_of_now else None


def counts_from(policy: Policy, since: datetime | None, at: datetime) -> datetime:
    """From when on a share is tried: the newest change. Where a policy acts without one, by ``watch: always``, each hour is a test of its own."""
    if since is not None and policy.watch is not None:
        return since
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if since is None else max(since, hour)
