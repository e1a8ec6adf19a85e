"""Every outcome's reason, with its arithmetic, for someone woken at 03:00."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rollbackd.policies.judge.evidence import Fact, Happened, Nothing, Share, Trickle, Value
from rollbackd.policies.judge.trial import Trial
from rollbackd.policies.judge.verdict import State, Verdict, is_beyond_buckets, is_doubted, share_limit
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.watch import Track
from rollbackd.policies.model.policy import Breaches, Condition, For, Limit
from rollbackd.policies.model.signals import Gauge, Latency, Rate

BLIND = timedelta(minutes=2)
"""Changes are looked for more often than this, unless the target cannot be seen."""

FEW = 3
"""So many of a list are named in a message."""


def verdict_reason(condition: Condition, verdict: Verdict) -> str:
    """What the evidence said and how it compares with the limit: ``error-rate 41/412 = 9.95 % > 5 % (lower bound 7.02 %)``."""
    match verdict.evidence:
        case Nothing(why):
            return f"{condition.name} {verdict.state.value}: {why}"
        case Trickle() as trickle:
            return f"{condition.name} {_trickle_text(condition, trickle, verdict.state)}"
        case Fact(said):
            return f"{condition.name} {verdict.state.value}: {said}"
        case Share() as share:
            text = _share_text if verdict.trial is None else _tried_text
            return f"{condition.name} {text(condition, share, verdict)}"
        case Happened() as seen:
            if isinstance(condition.signal, Rate):
                return f"{condition.name} {seen.per_second:.3g}/s in {duration_text(seen.span)} {_compared(condition.limit, verdict.state)}"
            length = duration_text(seen.end - seen.start)
            return f"{condition.name} {seen.count:.0f} events in {length} {_compared(condition.limit, verdict.state)}"
        case Value() as value:
            return f"{condition.name} {_level_text(condition, value, verdict.state)}"


def _trickle_text(condition: Condition, seen: Trickle, state: State) -> str:
    minutes = (seen.end - seen.start).total_seconds() / 60
    rates = f"{seen.count / minutes:.3g}/min, {seen.expected / minutes:.3g}/min {seen.than}"
    if state is State.UNPROVEN:
        needed = f", {condition.min_volume} are needed" if seen.expected < condition.min_volume else ": chance alone may bring as few"
        return f"{rates}: {seen.count:.0f} of {seen.expected:.0f} expected events prove nothing{needed}"
    text = f"{rates}: {seen.count / seen.expected:.0%} {_compared(condition.limit, state)}"
    if state is State.OK:
        return text
    return f"{text}; {seen.agrees or 'nothing else says so: suggested at most'}"


def _level_text(condition: Condition, value: Value, state: State) -> str:
    unit, limit = condition.limit.unit, condition.limit
    # Out of its limit and not risen since the change is not proven to be the change's doing.
    is_old = condition.compares and state is State.UNPROVEN
    text = f"{number_text(value.value, unit)} {_compared(limit, State.BREACH if is_old else state)}"
    if not condition.compares or state is State.OK:
        return text
    if isinstance(condition.signal, Gauge) and condition.signal.per and value.units:
        per, units = condition.signal.per, value.units
        text = f"{text} on at least 2 of {units} {per}s" if units > 1 else f"{text} on its only {per}"
    if value.before is None:
        return f"{text}, not known at the same age before the change: suggested at most"
    age = f"the same age ({duration_text(value.age)})" if value.age is not None else "the same age"
    then = f"{number_text(value.before, unit)} at {age} before the change"
    return f"{text}, not risen: {then}" if is_old else f"{text}, {then}"


def _seen_text(condition: Condition, share: Share) -> str:
    bad = f"{share.least}" if share.least == share.most else f"{share.least} to {share.most}"
    ratio = number_text(share.least / share.total, "%") if share.total else "no traffic"
    what = f"{bad}/{share.total} = {ratio}"
    if isinstance(condition.signal, Latency):
        what = f"slower than {_limit_bounds(condition.signal, share, condition.limit.unit)}: {what}"
    return what


def _tried_text(condition: Condition, share: Share, verdict: Verdict) -> str:
    """A share with a bound: what the newest window saw, and what all that was counted since the change comes to."""
    trial, limit = verdict.trial, share_limit(condition)
    what, tried = _seen_text(condition, share), "" if trial is None else trial_text(trial)
    if verdict.state is State.BREACH:
        return f"{what} {_out_of(limit, share)} ({tried})"
    if is_doubted(condition, verdict):
        return f"{what} {_out_of(limit, share)}, {_surely(limit, share)}, but not proven since the change: {tried}"
    text = _share_text(condition, share, verdict)
    return f"{text}; {tried}" if trial is not None and trial.log_e > 0 and verdict.state is State.UNPROVEN else text


def _out_of(limit: Limit, share: Share) -> str:
    """Which side of the limit the share is out of."""
    return f"> {_side_text(limit, limit.high)}" if _is_above(limit, share) else f"< {_side_text(limit, limit.low)}"


def _surely(limit: Limit, share: Share) -> str:
    """The bound on that side."""
    bounds = share.bounds
    return f"lower bound {number_text(bounds.low, '%')}" if _is_above(limit, share) else f"upper bound {number_text(bounds.high, '%')}"


def _is_above(limit: Limit, share: Share) -> bool:
    return limit.high is not None and (limit.low is None or share.least > limit.high * share.total)


def trial_text(trial: Trial) -> str:
    """``12 to 1 against chance, 100 to 1 needed, 41/412 since 14:01:50``; from which burstiness it was reckoned, where that is not 1."""
    bad = f"{trial.least}" if trial.least == trial.most else f"{trial.least} to {trial.most}"
    measured = trial.bursts
    bursts = "bursts not measured" if measured is None else "" if measured < 1.05 else f"bursts x{measured:.2g}"
    few = f", {trial.volume} events needed" if trial.total < trial.volume else ""
    odds = f"{_evalue_text(trial.log_e)} to 1 against chance, {math.exp(trial.needed):,.0f} to 1 needed{few}"
    parts = f"{odds}, {bad}/{trial.total} since {trial.since:%H:%M:%S}"
    return f"{parts}, {bursts}" if bursts else parts


def _evalue_text(log_e: float) -> str:
    if log_e >= math.log(1e6):
        return "over a million"
    return f"{math.exp(log_e):,.0f}" if log_e > math.log(10) else f"{math.exp(log_e):.2g}"


def _share_text(condition: Condition, share: Share, verdict: Verdict) -> str:
    if is_beyond_buckets(share):
        return f"slower than {number_text(condition.limit.high or 0.0, condition.limit.unit)}: {_never_text(condition, share)}"
    limit, state, what = share_limit(condition), verdict.state, _seen_text(condition, share)
    if state is State.UNPROVEN and share.total < condition.min_volume:
        return f"{what}: {share.total} events prove {'nothing' if verdict.trial is None else 'no health'}, {condition.min_volume} are needed"
    if state is State.BREACH:
        return f"{what} {_out_of(limit, share)} ({_surely(limit, share)})"
    interval = f"{number_text(share.bounds.low, '%')} to {number_text(share.bounds.high, '%')}"
    return f"{what}, proven {interval}, {_compared(limit, state)}"


def _never_text(condition: Condition, share: Share) -> str:
    unit, wanted = condition.limit.unit, number_text(condition.limit.high or 0.0, condition.limit.unit)
    largest = f"the largest bucket ends at {number_text(share.low, unit)}" if share.low else "there is no finite bucket"
    return f"can never fire: {largest}; add one that ends at {wanted}"


def _limit_bounds(signal: Latency, share: Share, unit: str) -> str:
    if share.low is None or share.high is None or share.low == share.high:
        return f"{signal.limit:g} {unit}"
    return f"{signal.limit:g} {unit} (buckets {share.low:g} to {share.high:g} {unit})"


def _compared(limit: Limit, state: State) -> str:
    high = "" if limit.high is None else _side_text(limit, limit.high)
    low = "" if limit.low is None else _side_text(limit, limit.low)
    if state is State.BREACH:
        return " or ".join([f"> {high}"] * bool(high) + [f"< {low}"] * bool(low))
    within = " and ".join([f"<= {high}"] * bool(high) + [f">= {low}"] * bool(low))
    return within if state is State.OK else f"not proven {within}"


def _side_text(limit: Limit, side: float | None) -> str:
    """One side of the limit, and how it was reckoned: ``620 ms, 200 % of 310 ms before (yesterday at this time 330 ms)``."""
    return f"{number_text(side or 0.0, limit.unit)}, {limit.note}" if limit.note else number_text(side or 0.0, limit.unit)


def standing_reason(condition: Condition, track: Track, verdict: Verdict, at: datetime) -> str:
    """The verdict and how far its confirmation is: ``… since 14:03:15, breached 4m0s of 5m0s``."""
    text = verdict_reason(condition, verdict)
    if verdict.state is not State.BREACH or track.run is None:
        return text
    text = f"{text} since {track.onset or track.run.start:%H:%M:%S}"
    match condition.confirm:
        case For(duration) if duration:
            return f"{text}, breached {duration_text(at - track.run.start)} of {duration_text(duration)}"
        case Breaches(at_least, of):
            return f"{text}, {sum(look.breach is True for look in track.recent)} of the last {of} looks breached, {at_least} needed"
        case _:
            return text


class Words(NamedTuple):
    """What ``standing_reason`` says of these, when it is asked."""

    condition: Condition
    track: Track
    verdict: Verdict
    at: datetime

    def __str__(self) -> str:
        return standing_reason(self.condition, self.track, self.verdict, self.at)


def blame_reason(found: Sequence[Change]) -> str:
    """The suspects, newest first: ``revision 7f9c ready 14:01:50``. Of many the newest few, and how many more there are."""
    return few([_change_text(change) for change in found]) or "no change in its watch window"


def few(said: Sequence[str]) -> str:
    """The first of these, and how many are left out: a page at 03:00 is read once."""
    more = len(said) - FEW
    return "; ".join([*said[:FEW], *([f"and {more} more"] if more > 0 else [])])


def _change_text(change: Change) -> str:
    when = f"ready {change.ready:%H:%M:%S}" if change.ready else _changed_text(change.started_early, change.started_late)
    parts = f" ({', '.join(change.parts)})" if change.parts else ""
    note = f" [{change.note}]" if change.note else ""
    return f"{change.target} revision {change.revision}{parts} {when}{note}"


def _changed_text(early: datetime, late: datetime) -> str:
    """When it changed; from when on it may have, where nobody could look for longer than between two looks in calm: it may lie after the onset."""
    return f"changed by {late:%H:%M:%S}" if late - early <= BLIND else f"changed between {early:%H:%M:%S} and {late:%H:%M:%S}"


def number_text(value: float, unit: str) -> str:
    """A number as people write it: ``5 %``, ``1.2 GiB``, ``2 s``."""
    if unit == "%":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        return _bytes_text(value)
    return f"{value:.4g} {unit}".rstrip()


def _bytes_text(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def clock_text(moment: datetime, at: datetime) -> str:
    """``14:03:15`` for whoever reads it on the day of ``at``, with the date for another day: what waits for a day ends at the same time of day."""
    return f"{moment:%H:%M:%S}" if moment.date() == at.date() else f"{moment:%Y-%m-%d %H:%M:%S}"


def duration_text(length: timedelta) -> str:
    """``1h2m``, ``4m0s``, ``15s``."""
    seconds = int(length.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
