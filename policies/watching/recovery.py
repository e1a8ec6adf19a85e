"""From when on a breach is over: the rule for leaving asks for more than the one for entering."""

from datetime import timedelta

from rollbackd.policies.judge.bursts import Calm
from rollbackd.policies.judge.evidence import Share, Z
from rollbackd.policies.judge.verdict import LEAVE, State, Verdict, health_volume, share_limit
from rollbackd.policies.judge.window import WIDEST
from rollbackd.policies.known.reasons import number_text
from rollbackd.policies.known.watch import Track
from rollbackd.policies.model.policy import Condition


def as_left(condition: Condition, track: Track, verdict: Verdict) -> Verdict:
    """The verdict on whether a breach is over: health that is only just within the limit proves no recovery, unless it was no better before.

    Only where the level before the change is kept, in conditions with a bound, is more asked for than the limit: a service that lives close to its
    limit would be given up after every rollback.
    """
    if verdict.state is not State.OK or condition.bound is None or not isinstance(verdict.evidence, Share):
        return verdict
    has_left = _is_well_within(condition, verdict.evidence) or _is_as_before(condition, verdict.evidence, track.calm)
    return verdict if has_left else Verdict(State.UNPROVEN, verdict.evidence, verdict.trial)


def recovers_after(condition: Condition, per_minute: float) -> timedelta | None:
    """After how long the breach of a share is over, where so much comes in a minute and no more than GOOD of the limit is bad.

    None: no window holds so much that it could be told, even without a bad event. By Wilson's upper bound on none of n, z^2 / (n + z^2).
    """
    limit, widest = share_limit(condition), WIDEST * condition.window
    tightest = LEAVE * min(side for side in (limit.high, None if limit.low is None else 1 - limit.low) if side is not None)
    least = max(Z * Z * (1 - tightest) / tightest, condition.min_volume)
    if per_minute * (widest / timedelta(minutes=1)) < least:
        return None
    return min(timedelta(minutes=health_volume(condition) / per_minute), widest)


def leave_text(condition: Condition, verdict: Verdict) -> str:
    """What is still missing of a share that is within its limit, and not recovered."""
    if verdict.state is not State.UNPROVEN or condition.bound is None or not isinstance(verdict.evidence, Share):
        return ""
    limit, bounds = share_limit(condition), verdict.evidence.bounds
    if (limit.high is not None and bounds.high >= limit.high) or (limit.low is not None and bounds.low <= limit.low):
        return ""  # not even within the limit
    high = [] if limit.high is None else [f"below {number_text(LEAVE * limit.high, '%')}"]
    low = [] if limit.low is None else [f"above {number_text(1 - LEAVE * (1 - limit.low), '%')}"]
    return f" (within its limit; recovered once it is {' and '.join([*high, *low])}, or as before the change)"


def _is_well_within(condition: Condition, share: Share) -> bool:
    limit, bounds = share_limit(condition), share.bounds
    is_low_enough = not limit.high or bounds.high < LEAVE * limit.high
    return is_low_enough and (limit.low is None or 1 - bounds.low < LEAVE * (1 - limit.low))


def _is_as_before(condition: Condition, share: Share, calm: Calm | None) -> bool:
    """Whether what was counted is not proven to be worse than before the change."""
    if calm is None or not calm.total:
        return False
    limit, before = share_limit(condition), calm.bad / calm.total
    is_no_worse = limit.high is None or share.bounds.low <= before
    return is_no_worse and (limit.low is None or share.bounds.high >= before)
