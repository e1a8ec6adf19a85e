"""Two sets of policies over the same past: the changes of which they say something else. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollbackd.controller.backtest.cases import Judged
from rollbackd.controller.backtest.report import alarm, change, score_told, told
from rollbackd.controller.backtest.run import Outcome
from rollbackd.controller.backtest.score import score
from rollbackd.policies.model.policy import Policy


@dataclass(frozen=True, slots=True)
class Pair:
    """One change; None where that set has no policy for its target. ``other``: what the set says that it is compared with."""

    mine: Judged | None
    other: Judged | None

    @property
    def either(self) -> Judged:
        """What tells which change it is."""
        found = self.mine or self.other
        if found is None:
            raise ValueError("a pair has a side at least")
        return found

    @property
    def differs(self) -> bool:
        """Whether they say something else of it."""
        return self.mine is None or self.other is None or self.mine.word != self.other.word

    @property
    def is_undecided(self) -> bool:
        """Whether both leave it open: that they do not differ proves nothing then."""
        return not self.differs and self.either.word == "inconclusive"


def paired(mine: Sequence[Judged], other: Sequence[Judged]) -> Iterator[Pair]:
    """Each change with what both say of it, in their order. Policies are paired by their names, and else by their targets."""
    names = _names([one.policy for one in mine], [one.policy for one in other])
    theirs = {(one.change.number, one.policy.name): one for one in other}
    seen = set()
    for one in mine:
        key = one.change.number, names.get(one.policy.name, "")
        seen.add(key)
        yield Pair(one, theirs.get(key))
    yield from (Pair(None, their) for key, their in theirs.items() if key not in seen)


def _names(mine: Sequence[Policy], other: Sequence[Policy]) -> Mapping[str, str]:
    targets = {policy.name: policy.target for policy in other}
    found = {policy.name: policy.name for policy in mine if policy.name in targets}
    for policy in mine:
        free = (name for name, target in targets.items() if target == policy.target and name not in found.values())
        if policy.name not in found and (name := next(free, None)) is not None:
            found[policy.name] = name
    return found


def comparison(mine: Outcome, other: Outcome, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The comparison for programs; the keys are a contract. Below ``against`` is what the other set says."""
    return {
        "apiVersion": "rollbackd/v1",
        "kind": "BacktestComparison",
        "differences": [_difference(one) for one in pairs if one.differs],
        "undecided": sum(one.is_undecided for one in pairs),
        **_side(mine),
        "against": _side(other),
        "queries": mine.queries + other.queries,
        "seconds": round((mine.took + other.took).total_seconds(), 3),
    }


def _difference(one: Pair) -> dict[str, Any]:
    given = one.either.change
    mine, other = (None if side is None else change(side) for side in (one.mine, one.other))
    return {"target": given.target, "at": told(given.at), "revision": given.revision, "outcome": given.outcome, "verdict": mine, "against": other}


def _side(outcome: Outcome) -> dict[str, Any]:
    return {
        "changes": [change(one) for one in outcome.judged],
        "false_alarms_outside_changes": [alarm(one) for one in outcome.alarms],
        "score": score_told(score(outcome.judged)),
    }


def difference_lines(one: Pair) -> Iterator[str]:
    """The change, what is said now, and what the other set says."""
    given = one.either.change
    truth = f" ({given.outcome})" if given.outcome else ""
    yield f"{told(given.at)}  {given.target}  {given.revision or '-'}{truth}"
    for mark, side in (("-", one.other), ("+", one.mine)):
        yield f"  {mark} no policy for it" if side is None else f"  {mark} {side.word} by {side.policy.name}: {side.reason}"
