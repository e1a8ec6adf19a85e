"""Compares what a test expects with what was seen. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollbackd.controller.policytest.cases import Case, Expected
from rollbackd.controller.policytest.looks import Look
from rollbackd.controller.policytest.words import reads_text, rung_names
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.text.units import written


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that was not as expected. ``what``: a condition's verdict, or which part of the decision; ``why``: the arithmetic of what was found.

    ``looked``: when the look was that it is about: the last one that was due by then.
    """

    at: timedelta
    looked: timedelta
    line: int
    what: str
    expected: str
    found: str
    why: str

    def __str__(self) -> str:
        """One line: ``at 8m: error-rate: expected ok, found breach: …``."""
        when = written(self.at) if self.at == self.looked else f"{written(self.at)} (looked at {written(self.looked)})"
        return f"at {when}: {self.what}: expected {self.expected}, found {self.found}" + (f": {self.why}" if self.why else "")


def mismatches(case: Case, looks: Sequence[Look]) -> Iterator[Mismatch]:
    """Everything that was not as expected, in the order of time."""
    for expected in sorted(case.expected, key=lambda one: one.at):
        look = seen_at(looks, expected.at)
        yield from _verdicts(case, expected, look)
        yield from _decision(case, expected, look)


def seen_at(looks: Sequence[Look], at: timedelta) -> Look:
    """The last look that was due by ``at``; there always is one, as the first is due at the start."""
    return next(look for look in reversed(looks) if look.at <= at)


def _verdicts(case: Case, expected: Expected, look: Look) -> Iterator[Mismatch]:
    indexes = {condition.name: index for index, condition in enumerate(case.policy.conditions)}
    for name, state in expected.verdicts:
        index = indexes[name]
        found = look.states[index]
        if found is not state:
            hint = f" ({reads_text(case.policy.conditions[index])})" if found in (State.NODATA, State.ERROR) else ""
            yield Mismatch(expected.at, look.at, expected.line, name, state.value, found.value, look.reasons[index] + hint)


def _decision(case: Case, expected: Expected, look: Look) -> Iterator[Mismatch]:
    standing = look.standing

    def differs(what: str, wanted: str, found: str | None) -> Mismatch:
        return Mismatch(expected.at, look.at, expected.line, what, wanted, found or "none", standing.reason)

    if expected.decision not in (None, standing.word):
        yield differs("decision", str(expected.decision), standing.word)
    if expected.remedy is not None and expected.remedy not in _names(case, standing.remedy):
        yield differs("remedy", expected.remedy, standing.remedy)
    if expected.to not in (None, standing.to):
        yield differs("to", str(expected.to), standing.to)
    if expected.guard not in (None, standing.guard):
        yield differs("guard", str(expected.guard), standing.guard)
    if expected.reason_contains is not None and expected.reason_contains not in standing.reason:
        yield Mismatch(expected.at, look.at, expected.line, "reason", f"one with {expected.reason_contains!r}", repr(standing.reason), "")


def _names(case: Case, remedy: str | None) -> tuple[str, ...]:
    return next((names for names in map(rung_names, case.policy.ladder) if names[-1] == remedy), ())
