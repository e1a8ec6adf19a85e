"""Limits as they are beside pods of the old revision: so many times what those do, or more than what breaks them as well.

What both sides suffer alike is not the change's doing. Where the old side is out of a limit too, the condition is judged as worse than that, as one
that was in breach before the change already is; also when the old pods are gone, since what began beside them goes on.
"""

from dataclasses import replace
from datetime import datetime

from rollbackd.policies.judge import beside
from rollbackd.policies.judge.beside import Beside
from rollbackd.policies.judge.bursts import spread
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.tally import tried
from rollbackd.policies.judge.trial import Trial
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.reasons import number_text
from rollbackd.policies.known.watch import Track, Watch
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.watching.armed import RISK, WORSE, edge, halved, with_share

NOBODY = "no pods of the old revision ran beside the new ones, so nothing is compared"


def sided(policy: Policy, watch: Watch, since: datetime | None) -> Watch:
    """The watch with the newest block in which both sides ran since the change. Counting it again changes nothing."""
    pairs = zip(policy.conditions, watch.tracks, strict=True)
    tracks = tuple([track if c.bound is None else _sided(track, since) for c, track in pairs])
    return Watch(watch.digest, tracks, watch.revision, watch.clean_since, watch.baked)


def _sided(track: Track, since: datetime | None) -> Track:
    known, fresh = track.beside, track.readings[-1:]
    if known is None or known.since != since:
        known, fresh = None, track.readings
    if since is not None:
        for block in fresh:
            if isinstance(block, Counts) and block.old is not None:
                known = beside.add(known or Beside(since), block)
    kept = known if known is not None and known.pairs else None
    return track if kept is track.beside else track._replace(beside=kept)


def armed_beside(policy: Policy, watch: Watch, incident: Incident | None) -> Policy:
    """The policy with the limits that hold beside the old pods. After a rung nothing is compared: then the old pods are those of the bad revision."""
    if incident is not None and incident.acted:
        return policy
    pairs = list(zip(policy.conditions, watch.tracks, strict=True))
    if all(track.beside is None for _, track in pairs) and all(c.limit.of_old is None for c, _ in pairs):
        return policy
    return replace(policy, conditions=tuple([_armed(condition, track) for condition, track in pairs]))


def trial_of(condition: Condition, track: Track) -> Trial | None:
    """What all evidence since the change comes to: of a limit of the old side's, the two sides' against each other."""
    if condition.bound is None:
        return None
    if condition.limit.of_old is None:
        return None if track.tally is None else tried(track.tally, share_limit(condition), condition.bound)
    known = track.beside or _nothing(track)
    return None if known is None else beside.trial(known, condition.limit.of_old, condition.bound, _bursts(track))


def _nothing(track: Track) -> Beside | None:
    newest = track.readings[-1] if track.readings else None
    return None if newest is None else Beside(newest.end)


def _armed(condition: Condition, track: Track) -> Condition:
    known, limit = track.beside, share_limit(condition)
    if condition.limit.of_old is not None:
        return _of_old(condition, condition.limit.of_old, known)
    if known is None or limit.high is None or condition.bound is None:
        return condition
    bursts = _bursts(track)
    old = beside.out_as_well(known, limit.high, bursts)
    return condition if old is None else _raised(condition, limit.high, old, bursts)


def _of_old(condition: Condition, factor: float, known: Beside | None) -> Condition:
    """The fixed limit beside it is what is to be kept; beyond that the new side has to be so many times worse than the old one."""
    fixed = share_limit(condition).high or 0.0
    if known is None:
        return replace(condition, limit=replace(condition.limit, note=NOBODY))
    share = min(1.0, max(fixed, factor * known.old.share))
    of_old = f"{100 * factor:g} % of {_counts_text(known.old)} of the old pods beside"
    limit = replace(condition.limit, is_raised=share > fixed)
    return replace(condition, limit=with_share(condition, limit, share, True, of_old))


def _raised(condition: Condition, written: float, old: Sums, bursts: float | None) -> Condition:
    level = edge(old, bursts or 1.0, condition.bound.alpha / 2 if condition.bound is not None else RISK, is_above=True)
    value = max(written, min(1 - 1e-9, WORSE * level))
    note = f"worse than the old pods: {WORSE:g} times at most {number_text(level, '%')}, as {_counts_text(old)} beside are beyond "
    note += f"{number_text(written, '%')} as well"
    raised = replace(condition.limit, is_raised=True)
    return replace(condition, limit=with_share(condition, raised, value, True, note), bound=halved(condition.bound))


def _bursts(track: Track) -> float | None:
    return None if track.calm is None else spread(track.calm)


def _counts_text(sums: Sums) -> str:
    return f"{sums.most:.0f}/{sums.total:,.0f} = {number_text(sums.share, '%')}"
