"""What a backtest came to, as a document and as lines for people. Pure."""

from datetime import datetime
from typing import Any

from rollbackd.controller.backtest.cases import Alarm, Judged
from rollbackd.controller.backtest.run import Outcome


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome for programs; the keys are a contract."""
    return {
        "apiVersion": "rollbackd/v1",
        "kind": "BacktestResult",
        "changes": [change(one) for one in outcome.judged],
        "false_alarms_outside_changes": [alarm(one) for one in outcome.alarms],
        "score": {},
        "queries": outcome.queries,
        "slots": outcome.slots,
        "seconds": round(outcome.took.total_seconds(), 3),
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
    }


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
    """A time as the JSON contracts write it."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(outcome: Outcome) -> str:
    """One line: ``12 changes: 1 rollback, 10 ok, 1 inconclusive; 0 breaches outside of changes; 36 queries, 1.2 s``."""
    words = [one.word for one in outcome.judged]
    said = ", ".join(f"{words.count(word)} {word}" for word in ("rollback", "held", "ok", "inconclusive") if word in words)
    outside = _count(len(outcome.alarms), "breach", "breaches")
    spent = f"{_count(outcome.queries, 'query', 'queries')}, {outcome.took.total_seconds():.1f} s"
    return f"{_count(len(words), 'change', 'changes')}: {said or 'none'}; {outside} outside of changes; {spent}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
