"""Limits as they are for one change: reckoned from what was before it, raised where it was in breach already.

The limit of a share is raised to what the share before may have been at most, at half of the condition's alpha; the test against it has the other
half. So its bound holds at any number of looks, as long as a share that no change made worse is what it was before, or what the season makes of it.
Levels have no such bound: theirs is a robust limit, and they have to stay out of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.known.reasons import number_text
from rollbackd.policies.known.watch import Track, Watch
from rollbackd.policies.model.policy import Bound, Condition, Leaf, Limit, Mode, OfBefore, Policy, Trigger
from rollbackd.policies.model.signals import Latency, OfTarget, Probe, Ratio, Signal, Traffic, Vanished
from rollbackd.policies.watching.baseline import Before

WORSE = 1.3
"""What was in breach before a change has to become so many times worse."""
ALREADY = 0.5
"""In breach already: so much of what was read shortly before."""
LEAST_READ = 3
LEAST_RISE = 0.01
"""A share has to differ by a percentage point, where no fixed limit says otherwise."""
RISK = 0.01
"""How sure the share before has to be known where a policy has no bound."""
UNKNOWN = "no baseline: no change is judged, or what was before it is not read yet"
_STEPS = 60


def armed(policy: Policy, before: Sequence[Before] | None, at: datetime) -> Policy:
    """The policy with the limits that hold at ``at``. ``before``: by condition; None where no change is judged, or nothing is known yet."""
    if before is None and all(condition.limit.of_before is None for condition in policy.conditions):
        return policy
    known: Sequence[Before | None] = before or [None] * len(policy.conditions)
    gates = _gates(policy, policy.trigger)
    conditions = [_armed(c, b, at, is_gate=i in gates) for i, (c, b) in enumerate(zip(policy.conditions, known, strict=True))]
    return replace(policy, conditions=tuple(conditions))


def _gates(policy: Policy, trigger: Trigger) -> frozenset[int]:
    """The conditions that may only be observed and are needed beside others: nothing is blamed on them, and how it was before is what they ask."""
    if isinstance(trigger, Leaf):
        return frozenset()
    observed = {child.condition for child in trigger.children if isinstance(child, Leaf)}
    own = {i for i in observed if trigger.needed > 1 and policy.conditions[i].mode is Mode.OBSERVE and policy.mode is not Mode.OBSERVE}
    return frozenset(own).union(*(_gates(policy, child) for child in trigger.children))


def rearmed(policy: Policy, now: Policy, watch: Watch, before: Sequence[Before] | None) -> Watch:
    """The watch, in which what was a breach before the change is no breach of this one: a re-armed condition begins anew with it.

    One of which nobody knows yet whether it is to be re-armed keeps its onset: that explains why no change is to blame.
    """
    if before is None or policy is now:
        return watch
    quads = zip(policy.conditions, now.conditions, watch.tracks, before, strict=True)
    tracks = tuple([t if was.limit is is_.limit or is_.limit.unread else _since(t, b.anchor) for was, is_, t, b in quads])
    return replace(watch, tracks=tracks)


def _since(track: Track, anchor: datetime) -> Track:
    if track.onset is None or track.onset >= anchor:
        return track
    return track._replace(onset=None, last_breach=None, run=None, recent=())


def _armed(condition: Condition, before: Before | None, at: datetime, *, is_gate: bool) -> Condition:
    if condition.limit.of_before is not None:
        if before is None or before.lack:
            return _lacking(condition, condition.limit.of_before.is_above, UNKNOWN if before is None else before.lack)
        condition = _reckoned(condition, condition.limit.of_before, before, at)
    if before is None or is_gate or condition.limit.lack or _keeps_no_past(condition.signal):
        return condition
    return _if_worse(condition, before) if before.is_read else replace(condition, limit=replace(condition.limit, unread=before.lack))


def _keeps_no_past(signal: Signal) -> bool:
    """Whether nobody could say what the signal was before."""
    return isinstance(signal, Probe | OfTarget | Traffic | Vanished)


def _lacking(condition: Condition, is_above: bool, why: str) -> Condition:
    """The condition proves nothing. Its counts go on: of a share against a limit that none exceeds."""
    never = replace(condition.limit, lack=why)
    if isinstance(condition.signal, Ratio | Latency):
        never = with_share(condition, never, 1.0 if is_above else 0.0, is_above, "")
    return replace(condition, limit=never)


def _reckoned(condition: Condition, of_before: OfBefore, before: Before, at: datetime) -> Condition:
    if isinstance(condition.signal, Ratio | Latency):
        return _share(condition, of_before, before)
    return _level(condition, of_before, before, at)


# --- shares -------------------------------------------------------------------------------------------------------------------------------


def _share(condition: Condition, of_before: OfBefore, before: Before) -> Condition:
    risk = condition.bound.alpha / 2 if condition.bound is not None else RISK
    sums, is_above = before.sums, of_before.is_above
    sure = edge(sums, before.spread, risk, is_above)
    moves = [(shift.up if is_above else -shift.down, shift.name) for shift in before.shifts]
    most, season = max(moves, default=(0.0, ""))
    expected = min(1.0, sure + most) if is_above else max(0.0, sure - most)
    share = of_before.factor * expected
    fixed = _fixed(condition, is_above)
    if fixed is not None:
        share = max(share, fixed) if is_above else min(share, fixed)
    else:
        share = max(share, expected + LEAST_RISE) if is_above else min(share, expected - LEAST_RISE)
    seen = f"{sums.most if is_above else sums.least:.0f}/{sums.total:.0f}"
    note = f"{_factor_text(of_before)} of {'at most' if is_above else 'at least'} {number_text(sure, '%')} before ({seen}"
    note += f"; {season} it {'rose' if is_above else 'fell'} by {number_text(most, '%')})" if most > 0 else ")"
    if not 0 < share < 1:
        return _lacking(condition, is_above, f"no limit can be reckoned: {note} is {'more than all' if is_above else 'less than none'} of them")
    return replace(condition, limit=with_share(condition, condition.limit, share, is_above, note), bound=halved(condition.bound))


def _fixed(condition: Condition, is_above: bool) -> float | None:
    """The fixed limit beside it: for a latency the share that its quantile allows."""
    limit = share_limit(condition)
    return limit.high if is_above else limit.low


def with_share(condition: Condition, limit: Limit, share: float, is_above: bool, note: str) -> Limit:
    """The limit on the bad share, and how it was reckoned; of a latency on the share of the slower ones."""
    if isinstance(condition.signal, Latency):
        return replace(limit, share=share, of_before=None, note=note)
    return _with_side(limit, share, is_above, note)


def _with_side(limit: Limit, value: float, is_above: bool, note: str) -> Limit:
    limit = replace(limit, of_before=None, note=note)
    return replace(limit, high=value) if is_above else replace(limit, low=value)


def halved(bound: Bound | None) -> Bound | None:
    """What is left for the test where the other half was spent on what it is tested against."""
    return None if bound is None else replace(bound, alpha=bound.alpha / 2)


def edge(sums: Sums, spread: float, risk: float, is_above: bool) -> float:
    """What the true share is at most (or at least), wrong with a probability of at most ``risk``: Chernoff's bound, exact at any number of events."""
    among = max(sums.total, 1e-9) / max(spread, 1.0)
    seen = min(1.0, (sums.most if is_above else sums.least) / max(sums.total, 1e-9))
    inside, outside = seen, 1.0 if is_above else 0.0
    for _ in range(_STEPS):
        tried = (inside + outside) / 2
        inside, outside = (tried, outside) if among * _divergence(seen, tried) <= math.log(1 / risk) else (inside, tried)
    return outside


def _divergence(seen: float, true: float) -> float:
    parts = [part * math.log(part / other) for part, other in ((seen, true), (1 - seen, 1 - true)) if part > 0 and other > 0]
    return math.fsum(parts)


# --- levels -------------------------------------------------------------------------------------------------------------------------------


def _level(condition: Condition, of_before: OfBefore, before: Before, at: datetime) -> Condition:
    is_above = of_before.is_above
    pick: Callable[[Sequence[float]], float] = max if is_above else min
    expected, reason = before.centre, ""
    for season in before.seasons:
        if near := season.near(at):
            moved = before.centre + pick(near) - season.centre
            reason += f"{', ' if reason else ''}{season.name} at this time {number_text(pick(near), condition.limit.unit)}"
            expected = pick([expected, moved])
    span = max(abs(of_before.factor - 1) * abs(expected), before.noise)
    fixed = condition.limit.high if is_above else condition.limit.low
    if span == 0 and fixed is None:
        key = "at_least" if is_above else "at_most"
        return _lacking(condition, is_above, f"no limit can be reckoned: it was 0 before, and always so; write '{key}'")
    value = expected + span if is_above else expected - span
    if not is_above and value <= 0 <= min(before.centre, expected):
        return _lacking(condition, is_above, f"{number_text(before.centre, condition.limit.unit)} before is too little to tell a fall from chance")
    note = _level_note(condition, of_before, before, expected, span) + (f" ({reason})" if reason else "")
    value = value if fixed is None else pick([value, fixed])
    return replace(condition, limit=_with_side(condition.limit, value, is_above, note))


def _level_note(condition: Condition, of_before: OfBefore, before: Before, expected: float, span: float) -> str:
    unit = condition.limit.unit
    was = f"{number_text(before.centre, unit)} before"
    base = was if expected == before.centre else f"{number_text(expected, unit)} expected, {was}"
    if span > abs(of_before.factor - 1) * abs(expected):
        return f"{base} and {number_text(span, unit)} of its own noise"
    return f"{_factor_text(of_before)} of {base}"


def _factor_text(of_before: OfBefore) -> str:
    return f"{100 * of_before.factor:g} %"


# --- what was in breach already -------------------------------------------------------------------------------------------------------------


def _if_worse(condition: Condition, before: Before) -> Condition:
    """The condition, or where it was in breach before the change: breached where that has become worse."""
    recent, limit = before.recent, share_limit(condition)
    if len(recent) < LEAST_READ or not before.recent_part:
        return condition
    enough = ALREADY * len(recent) / before.recent_part  # of the whole time: what is not known was no breach
    if limit.high is not None and sum(value > limit.high for value in recent) >= enough:
        return _raised(condition, before, limit.high, is_above=True)
    if limit.low is not None and sum(value < limit.low for value in recent) >= enough:
        return _raised(condition, before, limit.low, is_above=False)
    return condition


def _raised(condition: Condition, before: Before, written: float, *, is_above: bool) -> Condition:
    is_share = isinstance(condition.signal, Ratio | Latency)
    if is_share:
        level = edge(before.recent_sums, before.spread, condition.bound.alpha / 2 if condition.bound is not None else RISK, is_above)
    else:
        level = sorted(before.recent)[len(before.recent) // 2]
    span = (WORSE - 1) * abs(level)
    value = max(written, level + span) if is_above else min(written, level - span)
    unit, sure = ("%", "at most " if is_above else "at least ") if is_share else (condition.limit.unit, "")
    was = f"{sure}{number_text(level, unit)} shortly before the change, when it was beyond {number_text(written, unit)} already"
    note = f"worse than before: {WORSE:g} times {was}"
    if is_share and not 0 < value < 1:
        return _lacking(condition, is_above, f"in breach before the change already, and nothing is {note}")
    raised = replace(condition.limit, is_raised=True)
    if is_share:
        return replace(condition, limit=with_share(condition, raised, value, is_above, note), bound=halved(condition.bound))
    return replace(condition, limit=_with_side(raised, value, is_above, note))
