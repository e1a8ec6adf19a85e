"""One condition's verdict on the evidence of one slot. What is not proven is unknown, and unknown never acts (I3)."""

import math
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from rollbackd.policies.judge.absence import claim_of, unready_text
from rollbackd.policies.judge.evidence import Bounds, Evidence, Fact, Happened, Nothing, Share, Trickle, Value, Z
from rollbackd.policies.judge.trial import Trial
from rollbackd.policies.judge.window import events_in, share_in
from rollbackd.policies.model.policy import Condition, Limit, Mode
from rollbackd.policies.model.readings import Absence, Counts, Events, Flow, Lack, Level, Reading, Told, Unknown
from rollbackd.policies.model.signals import Latency, PromQL, Rate, Traffic, Vanished

LEAVE = 0.8
"""A share has recovered once it is proven below so much of its limit."""
GOOD = 0.2
"""A share of so much of its limit should be proven to have recovered: a window widens until it holds that many events."""
_VOLUME = Z * Z * LEAVE / (LEAVE - GOOD) ** 2
RISE = 1.1
"""A level has risen since the change where it is more than so many times what it was at equal age before."""
LOG_CHANCE = math.log(1e-3)
"""Traffic is low where traffic at the limit would be as low by chance in fewer than one of a thousand looks."""


class State(Enum):
    """OK and BREACH are proven. The others are unknown: they never advance a breach and never count towards recovery."""

    OK = "ok"
    BREACH = "breach"
    UNPROVEN = "unproven"
    NODATA = "nodata"
    ERROR = "error"

    @property
    def is_known(self) -> bool:
        """True for what is proven."""
        return self is State.OK or self is State.BREACH


class Verdict(NamedTuple):
    """What the evidence proves about one condition at one slot. ``trial``: what all evidence since the change comes to, where that decides.

    ``most``: the most that this evidence may lead to, whatever the condition may.
    """

    state: State
    evidence: Evidence
    trial: Trial | None = None
    most: Mode = Mode.AUTO


def judge(
    condition: Condition,
    readings: Sequence[Reading],
    since: datetime | None,
    warm_at: datetime | None,
    at: datetime,
    trial: Trial | None = None,
) -> Verdict:
    """The verdict on ``readings`` (oldest first) for the slot ``at``, from evidence after ``since`` only, and none before ``warm_at``.

    With a ``trial`` a share is in breach where that proves it and the newest window is still out of its limit; health is proven as without.
    """
    verdict = _judged(condition, readings, since, warm_at, at, trial)
    is_masked = verdict.state is State.BREACH and condition.limit.unread
    return Verdict(State.UNPROVEN, Nothing(condition.limit.unread)) if is_masked else verdict


def _judged(
    condition: Condition, readings: Sequence[Reading], since: datetime | None, warm_at: datetime | None, at: datetime, trial: Trial | None
) -> Verdict:
    if not readings:
        return Verdict(State.NODATA, Nothing("nothing read yet"))
    if warm_at is not None and at < warm_at:
        return Verdict(State.UNPROVEN, Nothing(f"warming up until {warm_at:%H:%M:%S}"))
    newest = readings[-1]
    if condition.limit.lack and not isinstance(newest, Unknown):
        return Verdict(State.UNPROVEN, Nothing(condition.limit.lack))
    if isinstance(newest, Counts):
        return _judge_share(condition, readings, since, trial)
    if isinstance(newest, Events):
        if isinstance(condition.signal, Traffic):
            return Verdict(State.UNPROVEN, Nothing("what the traffic was before the change was not asked"))  # of a past slot
        return _judge_events(condition, readings, since)
    if isinstance(newest, Absence):
        return _judge_absence(condition, newest, since)
    if isinstance(newest, Level):
        return _judge_level(condition, newest, since)
    if isinstance(newest, Flow):
        return judge_flow(condition, newest, since)
    if isinstance(newest, Told):
        return _judge_told(newest, since)
    return Verdict(State.ERROR if newest.lack is Lack.ERROR else State.NODATA, Nothing(newest.why))


def _judge_share(condition: Condition, readings: Sequence[Reading], since: datetime | None, trial: Trial | None) -> Verdict:
    share = share_in(condition, readings, since, condition.min_volume)
    if share is None:
        return Verdict(State.UNPROVEN, Nothing("no full block of evidence yet"))
    if is_beyond_buckets(share):
        return Verdict(State.UNPROVEN, share, trial)
    limit = share_limit(condition)
    seen = _place(share.bounds, limit) if share.total >= condition.min_volume else State.UNPROVEN
    if not _lies_out(share, limit):
        seen, share = _wider(condition, readings, since, seen, share)
    if trial is None or seen is State.OK:
        return Verdict(seen, share, trial)
    is_breach = _lies_out(share, limit) and trial.is_proven
    return Verdict(State.BREACH if is_breach else State.UNPROVEN, share, trial)


def _wider(condition: Condition, readings: Sequence[Reading], since: datetime | None, seen: State, share: Share) -> tuple[State, Share]:
    """What more of the past proves of a share that is within its limit now; what was seen, where that is no more or speaks against health."""
    needed, limit = health_volume(condition), share_limit(condition)
    if not condition.min_volume <= share.total < needed:
        return seen, share
    wider = share_in(condition, readings, since, needed)
    if wider is None or _lies_out(wider, limit):
        return seen, share
    proven = _place(wider.bounds, limit)
    return (proven, wider) if proven is State.OK or seen is not State.OK else (seen, share)


def _lies_out(share: Share, limit: Limit) -> bool:
    """Whether what the newest window saw is out of the limit, by whatever little: what has stopped is not acted on."""
    is_above = limit.high is not None and share.least > limit.high * share.total
    return is_above or (limit.low is not None and share.most < limit.low * share.total)


def is_beyond_buckets(share: Share) -> bool:
    """Whether no bucket ends at or above the latency limit: a breach could never be proven, so health is not claimed either."""
    return share.high is not None and math.isinf(share.high)


def health_volume(condition: Condition) -> float:
    """So many events prove that a share of GOOD of its limit has recovered; infinite where it has no limit yet, or none that can be kept.

    Wilson's upper bound on a share s is u after z^2 u (1 - u) / (u - s)^2 events (his score test, solved for their number); u is LEAVE of the limit.
    """
    limit = share_limit(condition)
    high, good = limit.high, 0.0 if limit.low is None else 1 - limit.low
    tightest = good if high is None else high if limit.low is None else min(high, good)
    return max(_VOLUME * (1 - LEAVE * tightest) / tightest, condition.min_volume) if tightest > 0 else math.inf


def share_limit(condition: Condition) -> Limit:
    """The limit on the bad share: the written one, or 1 - quantile for a latency."""
    signal, limit = condition.signal, condition.limit
    if not isinstance(signal, Latency):
        return limit
    return Limit(high=1 - signal.quantile if limit.share is None else limit.share, unit="%", note=limit.note)


def is_out(condition: Condition, verdict: Verdict) -> bool:
    """True where the newest window of a bounded condition was out of its limit, proven or not: how long a breach lasts counts from then on.

    That it is a breach is proven by all evidence together; asking for that proof again and again for a minute would only be late.
    """
    is_open = verdict.trial is not None and verdict.state in (State.BREACH, State.UNPROVEN)
    return is_open and isinstance(verdict.evidence, Share) and _lies_out(verdict.evidence, share_limit(condition))


def is_doubted(condition: Condition, verdict: Verdict) -> bool:
    """True where this look alone would be a breach, and all that was counted since the change does not bear it out, or not yet."""
    if verdict.trial is None or verdict.state is not State.UNPROVEN or not isinstance(verdict.evidence, Share):
        return False
    share = verdict.evidence
    return share.total >= condition.min_volume and _place(share.bounds, share_limit(condition)) is State.BREACH


def _place(bounds: Bounds, limit: Limit) -> State:
    above, below = limit.high, limit.low
    if (above is not None and bounds.low > above) or (below is not None and bounds.high < below):
        return State.BREACH
    if (above is None or bounds.high < above) and (below is None or bounds.low > below):
        return State.OK
    return State.UNPROVEN


def _judge_events(condition: Condition, readings: Sequence[Reading], since: datetime | None) -> Verdict:
    seen = events_in(condition, readings, since)
    return Verdict(State.UNPROVEN, Nothing("no full block of evidence yet")) if seen is None else Verdict(_place_events(condition, seen), seen)


def _place_events(condition: Condition, seen: Happened) -> State:
    limit = condition.limit
    if isinstance(condition.signal, Rate):
        if not seen.is_complete:
            return State.UNPROVEN
        return _place_value(seen.per_second, limit)
    # Sources extrapolate: one event may arrive as four thirds. A breach has to be proven by whole events.
    fewest, most = math.floor(seen.count + 1e-9), math.ceil(seen.count - 1e-9)
    if limit.high is not None and fewest > limit.high:
        return State.BREACH  # more evidence can only add events
    if not seen.is_complete:
        return State.UNPROVEN
    return State.BREACH if limit.low is not None and most < limit.low else State.OK


def _judge_absence(condition: Condition, absence: Absence, since: datetime | None) -> Verdict:
    claim = claim_of(condition, absence, since)
    most = Mode.AUTO if claim.agrees else Mode.SUGGEST
    return Verdict(State.BREACH if claim.is_breach else State.UNPROVEN, Fact(claim.said, absence.end), most=most)


def _judge_level(condition: Condition, level: Level, since: datetime | None) -> Verdict:
    if math.isnan(level.value) or math.isinf(level.value):
        return Verdict(State.NODATA, Nothing(f"the value is {level.value}"))
    if since is not None and level.newest < since:
        return Verdict(State.UNPROVEN, Nothing(f"newest sample {level.newest:%H:%M:%S} is from before {since:%H:%M:%S}"))
    if since is not None and isinstance(condition.signal, PromQL) and level.end < since + condition.signal.reach:
        # A range that mixes two states of the target says nothing of either.
        return Verdict(State.UNPROVEN, Nothing(f"its ranges reach back before {since:%H:%M:%S} until {since + condition.signal.reach:%H:%M:%S}"))
    if isinstance(condition.signal, Vanished):
        return Verdict(State.OK, Fact(f"there, newest sample {level.newest:%H:%M:%S}", level.newest))
    state, value = _place_value(level.value, condition.limit), Value(level.value, level.newest, level.units, level.before, level.age)
    if state is not State.BREACH or not condition.compares:
        return Verdict(state, value)
    if level.before is None:
        return Verdict(state, value, most=Mode.SUGGEST)
    return Verdict(state if has_risen(level.value, level.before) else State.UNPROVEN, value)


def is_level_out(condition: Condition, level: Level) -> bool:
    """Whether the level alone would be a breach."""
    return _place_value(level.value, condition.limit) is State.BREACH


def has_risen(value: float, before: float) -> bool:
    """Whether the value is higher than at equal age before the change, by more than such values differ from one day to the next."""
    return value > RISE * before


def judge_flow(condition: Condition, flow: Flow, since: datetime | None) -> Verdict:
    """Less than the limit's share of the least that was to be expected; it suggests, unless half of the pods or more are not ready either."""
    if since is not None and flow.start < since:
        return Verdict(State.UNPROVEN, Nothing("no full window of evidence yet"))
    if flow.wanted == 0:
        return Verdict(State.UNPROVEN, Nothing("scaled to 0 replicas: no traffic is no surprise"))
    if flow.before is None:
        return Verdict(State.UNPROVEN, Nothing("what the traffic was before the change is not known"))
    rate, than = flow.before, "in the hour before the change"
    if flow.week is not None and flow.week < rate:
        rate, than = flow.week, "at this time a week ago"
    expected = rate * (flow.end - flow.start).total_seconds()
    seen = Trickle(flow.count, expected, than, flow.start, flow.end, flow.newest, unready_text(flow.wanted, flow.ready))
    least = (condition.limit.low or 0.0) * expected
    if expected < condition.min_volume or (flow.count < least and log_chance_of_so_few(flow.count, least) > LOG_CHANCE):
        return Verdict(State.UNPROVEN, seen)
    return Verdict(State.BREACH if flow.count < least else State.OK, seen, most=Mode.AUTO if seen.agrees else Mode.SUGGEST)


def log_chance_of_so_few(count: float, expected: float) -> float:
    """ln of the chance that a Poisson count with this mean is at most ``count`` < ``expected``, or more than that (Chernoff's bound)."""
    return count - expected - (count * math.log(count / expected) if count else 0.0)


def _judge_told(told: Told, since: datetime | None) -> Verdict:
    if since is not None and told.end < since:
        return Verdict(State.UNPROVEN, Nothing(f"last seen {told.end:%H:%M:%S}, before {since:%H:%M:%S}"))
    state = State.UNPROVEN if told.is_bad is None else State.BREACH if told.is_bad else State.OK
    return Verdict(state, Fact(told.said, told.end))


def _place_value(value: float, limit: Limit) -> State:
    is_out = (limit.high is not None and value > limit.high) or (limit.low is not None and value < limit.low)
    return State.BREACH if is_out else State.OK
