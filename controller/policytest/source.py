"""The samples of a test as a metric source: counted and answered by the scrape source's own code."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.adapters.base.source import Answer, Expression, Query, Row
from rollbackd.adapters.base.target import Progress, Sides, TargetState
from rollbackd.adapters.scrape import Given, Shown
from rollbackd.controller.observe.questions import ProbeQuestion, TargetQuestion, asks_of
from rollbackd.controller.policytest.cases import Case, GivenSeries
from rollbackd.controller.policytest.notation import Absent, Value
from rollbackd.policies.model.policy import Policy

_NO_ANSWER = "an expression cannot be evaluated without Prometheus: write under 'answers' what it says"


@dataclass(frozen=True, slots=True)
class Answers:
    """What is told at each interval from ``start`` on."""

    start: datetime
    interval: timedelta
    values: Sequence[Value]

    def newest(self, at: datetime) -> tuple[datetime, float] | None:
        """The newest value at ``at`` and its time; None where there is none, or where it is known to be gone."""
        index = min((at - self.start) // self.interval, len(self.values) - 1)
        while index >= 0 and self.values[index] is Absent.MISSING:
            index -= 1
        value = self.values[index] if index >= 0 else Absent.MISSING
        return None if isinstance(value, Absent) or not math.isfinite(value) else (self.start + index * self.interval, value)


class CaseSource:
    """A ``Source`` over the samples of one test, and over what it says that expressions and probes answer. Raises nothing."""

    def __init__(self, case: Case, start: datetime) -> None:
        self._given = Given(case.policy.source, _pages(case.series, start, case.interval), interval=case.interval)
        self.name = self._given.name
        self.delay = self._given.delay
        self.freshness = self._given.freshness
        self.block = self._given.block
        self._answers = dict(_by_question(case, start))

    def read(self, query: Query, at: datetime) -> Answer:
        """The answer as of ``at``."""
        if not isinstance(query, Expression):
            return self._given.read(query, at)
        if query.promql not in self._answers:
            return Answer({}, dict.fromkeys(query.only, _NO_ANSWER))
        found = self._answers[query.promql].newest(at)
        return Answer({} if found is None else {row: Row({"value": found[1]}, found[0]) for row in query.only})

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        """The answers at these instants."""
        return {at: self.read(query, at) for at in instants}

    def probe(self, question: ProbeQuestion, at: datetime) -> float | None:
        """The share of endpoints that fail the check at ``at``; None where the test does not say."""
        answers = self._answers.get(question)
        found = None if answers is None else answers.newest(at)
        return None if found is None or at - found[0] > self.freshness else found[1]

    def state(self, target: str, sides: Sides | None, at: datetime) -> TargetState | None:
        """How the target stands at ``at``: its pods on these sides, its rollout as the test says; None where nothing is known of either."""
        progress = self._progress(at)
        return None if sides is None and progress is None else TargetState(target, "", progress=progress, sides=sides)

    def _progress(self, at: datetime) -> Progress | None:
        """The rollout is stuck where the test says 1, complete where it says 0; None where it does not say."""
        answers = self._answers.get(TargetQuestion("rollout"))
        found = None if answers is None else answers.newest(at)
        if found is None or at - found[0] > self.freshness:
            return None
        is_stuck = found[1] > 0
        return Progress(1, int(not is_stuck), overdue="past its progress deadline, says the test" if is_stuck else None)


def _by_question(case: Case, start: datetime) -> Iterator[tuple[str | ProbeQuestion | TargetQuestion, Answers]]:
    questions = _questions(case.policy)
    for index, values in case.answers.items():
        yield questions[index], Answers(start, case.interval, values)


def _questions(policy: Policy) -> Mapping[int, str | ProbeQuestion | TargetQuestion]:
    """What each condition asks that no series answers here, by its index."""
    groups = {index: ask.group for index, ask in enumerate(asks_of(policy, policy.every))}
    told = {index: group.promql if isinstance(group, Expression) else group for index, group in groups.items()}
    return {index: question for index, question in told.items() if isinstance(question, str | ProbeQuestion | TargetQuestion)}


def _pages(series: Sequence[GivenSeries], start: datetime, interval: timedelta) -> Iterator[list[Shown]]:
    by_page: dict[tuple[str, ...], list[GivenSeries]] = defaultdict(list)
    for one in series:
        by_page[one.page].append(one)
    for together in by_page.values():
        length = max(len(one.values) for one in together)
        shown = (_shown(together, index, start + index * interval) for index in range(length))
        yield [page for page in shown if page is not None]


def _shown(together: Sequence[GivenSeries], index: int, at: datetime) -> Shown | None:
    """What the page showed at this index; None where nothing is known of any of its series: then it was not read."""
    values = {one.text: one.values[index] for one in together if index < len(one.values)}
    if all(value is Absent.MISSING for value in values.values()):
        return None
    return Shown(at, {text: value for text, value in values.items() if not isinstance(value, Absent)})
