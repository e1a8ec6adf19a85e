"""Whether a target that is not in breach leans towards one: out of its limit lately by more than chance brings often, though far from proven.

Nothing is ever done on it. A first rung waits a little where others lean, since what breaks together has a common cause.
"""

import math

from rollbackd.policies.judge.bursts import spread
from rollbackd.policies.judge.evidence import Share, Sums
from rollbackd.policies.judge.trial import Side
from rollbackd.policies.judge.verdict import State, Verdict, share_limit
from rollbackd.policies.known.watch import Track
from rollbackd.policies.model.policy import Condition
from rollbackd.policies.model.readings import Counts

LEANS = 3.0
"""An e-value from which one may speak of evidence at all (Jeffreys' scale): a share within its limit comes to it at one look in three at most."""


def leans(condition: Condition, track: Track, verdict: Verdict) -> bool:
    """True where the newest block or window of a share speaks against it being within its limit, and does not prove a breach."""
    share = verdict.evidence
    if verdict.state is State.BREACH or not isinstance(share, Share):
        return False
    seen = [Sums(share.least, share.most, share.total)]
    newest = track.readings[-1] if track.readings else None
    if isinstance(newest, Counts):
        # A window is slow to show what began a minute ago; the newest block alone shows little of a quiet service.
        seen.append(Sums(newest.least, newest.most, newest.total))
    limit = share_limit(condition)
    sides = ((limit.high, False), (None if limit.low is None else 1 - limit.low, True))
    return any(_leans(at, of_good, seen, track) for at, of_good in sides if at is not None)


def _leans(limit: float, of_good: bool, seen: list[Sums], track: Track) -> bool:
    # Most are within their limits, and then nothing has to be reckoned.
    if all((sums.total - sums.most if of_good else sums.least) <= limit * sums.total for sums in seen):
        return False
    scale = (spread(track.calm) if track.calm is not None else None) or 1.0
    return _evalue(limit, of_good, seen, scale) >= LEANS


def _evalue(limit: float, of_good: bool, seen: list[Sums], scale: float) -> float:
    """The mean of the e-values of what was seen, which is one too."""
    logs = [Side(limit, of_good, sums, (), 0, scale).log_e for sums in seen]
    return math.fsum(math.exp(min(log, 100.0)) for log in logs) / len(logs)
