"""What a backtest came to, as a document and as lines for people. Pure."""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollbackd.controller.backtest.cases import Alarm, Judged
from rollbackd.controller.backtest.margins import Margin, nearest
from rollbackd.controller.backtest.run import Outcome
from rollbackd.controller.backtest.score import Rate, Score, score
from rollbackd.controller.numbers import counted
from rollbackd.policies.known.reasons import duration_text, number_text


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome for programs; the keys are a contract."""
    return {
        "apiVersion": "rollbackd/v1",
        "kind": "BacktestResult",
        "changes": [change(one) for one in outcome.judged],
        "false_alarms_outside_changes": [alarm(one) for one in outcome.alarms],
        "score": score_told(score(outcome.judged)),
        "queries": outcome.queries,
        "slots": outcome.slots,
        "seconds": round(outcome.took.total_seconds(), 3),
        "seconds_waiting": round(outcome.waited.total_seconds(), 3),
    }


def change(one: Judged) -> dict[str, Any]:
    """One policy's verdict on one change."""
    found = one.found
    return {
        "target": one.change.target,
        "at": told(one.change.at),
        "revision": one.change.revision,
        "policy": one.policy.name,
        "verdict": one.word,
        "condition": found.condition if found is not None else None,
        "onset": told(found.onset if found is not None else None),
        "confirmed_at": told(found.at if found is not None else None),
        "blocked_by": found.blocked_by if found is not None else None,
        "reason": one.reason,
        "outcome": one.change.outcome,
        "censored": one.is_censored,
        "looks": len(one.looks),
        "nearest": margin(nearest(one)),
    }


def margin(one: Margin | None) -> dict[str, Any] | None:
    """How near it came. ``furthest`` is what was proven throughout a confirmation; a limit just inside of it would have been breached."""
    if one is None:
        return None
    ratio = one.ratio if math.isfinite(one.ratio) else None
    return {"condition": one.condition, "side": one.side, "furthest": one.furthest, "limit": one.limit, "ratio": ratio, "since": told(one.since)}


def margin_text(one: Margin) -> str:
    """``errors came to 1.2 % (limit 5 %) at 10:02:11; a limit below 1.2 % would have been breached``."""
    furthest, limit = number_text(one.furthest, one.unit), number_text(one.limit, one.unit)
    inside = "below" if one.side == "above" else "above"
    said = f"{one.condition} was proven to be {one.side} {furthest} throughout its confirmation from {one.since:%H:%M:%S} (limit {limit})"
    return f"{said}; a limit {one.side if one.is_beyond else inside} {furthest} would {'not ' if one.is_beyond else ''}have been breached"


def score_told(one: Score) -> dict[str, Any]:
    """The score; intervals are null where there is nothing to count."""
    return {
        "found": _rate(one.found),
        "false": _rate(one.false),
        "censored": one.censored,
        "undecided": one.undecided,
        "held": one.held,
        "unlabelled": one.unlabelled,
        "median_seconds_to_proof": None if one.to_proof is None else round(one.to_proof.total_seconds(), 3),
    }


def _rate(one: Rate) -> dict[str, Any]:
    interval = None if one.interval is None else [round(end, 4) for end in one.interval]
    return {"count": one.count, "of": one.of, "share": one.count / one.of if one.of else None, "interval": interval}


def score_lines(one: Score) -> Iterator[str]:
    """The score for people; nothing where no outcome was given."""
    if not (one.found.of or one.false.of or one.censored or one.undecided):
        return
    after = "" if one.to_proof is None else f", {duration_text(one.to_proof)} after the change (median)"
    yield f"found:    {_rate_text(one.found, 'bad changes')}{after}"
    yield f"false:    {_rate_text(one.false, 'good changes')}"
    left = {"people were first": one.censored, "nothing was proven": one.undecided}
    yield from (f"left out: {number} of which {why}" for why, number in left.items() if number)


def _rate_text(one: Rate, what: str) -> str:
    if one.interval is None:
        return f"no {what} to count"
    low, high = (number_text(end, "%") for end in one.interval)
    return f"{one.count} of {one.of} {what} would have been rolled back ({low} to {high}, 95 % Wilson)"


def alarm(one: Alarm) -> dict[str, Any]:
    """A breach that no change explains."""
    return {
        "target": one.target,
        "policy": one.policy,
        "condition": one.condition,
        "onset": told(one.onset),
        "confirmed_at": told(one.confirmed_at),
        "reason": one.reason,
    }


def told(at: datetime | None) -> str | None:
    """A time in UTC as RFC 3339 writes it, to the millisecond where it is no whole second."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")


def summary(outcome: Outcome) -> str:
    """One line: ``12 changes: 1 rollback, 10 ok, 1 inconclusive; 0 breaches outside of changes; 36 queries, 1.2 s``."""
    words = [one.word for one in outcome.judged]
    said = ", ".join(f"{words.count(word)} {word}" for word in ("rollback", "held", "ok", "inconclusive") if word in words)
    outside = counted(len(outcome.alarms), "breach", "breaches")
    waited = f" ({outcome.waited.total_seconds():.1f} s of them waiting)" if outcome.waited else ""
    spent = f"{counted(outcome.queries, 'query', 'queries')}, {outcome.took.total_seconds():.1f} s{waited}"
    number = len({one.change for one in outcome.judged})
    changes = counted(number, "change")
    what = changes if number == len(words) else f"{counted(len(words), 'verdict')} on {changes}"
    return f"{what}: {said or 'none'}; {outside} outside of changes; {spent}"
