"""What the tests came to, as a document and as lines for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollbackd.controller.numbers import counted
from rollbackd.controller.policytest.check import Mismatch
from rollbackd.controller.policytest.load import Loaded
from rollbackd.controller.policytest.looks import Look
from rollbackd.controller.policytest.run import Outcome
from rollbackd.policies.text.units import written

BEFORE, AFTER = 3, 1
"""So many looks around a mismatch are shown."""


@dataclass(frozen=True, slots=True)
class Result:
    """All that was loaded and run. ``outcomes`` with how long each took."""

    loaded: Loaded
    outcomes: tuple[tuple[Outcome, timedelta], ...]

    @property
    def failed(self) -> int:
        """How many tests were not as expected."""
        return sum(not outcome.passed for outcome, _ in self.outcomes)

    @property
    def passed(self) -> bool:
        """True if every test was run and was as expected."""
        return not self.failed and not self.loaded.faults


def document(result: Result, *, timeline: bool) -> dict[str, Any]:
    """The result for programs; the keys are a contract. ``timeline``: with every look."""
    return {
        "apiVersion": "rollbackd/v1",
        "kind": "PolicyTestResult",
        "passed": result.passed,
        "tests": [_test(outcome, timeline=timeline) for outcome, _ in result.outcomes],
        "faults": [fault.as_dict() for fault in result.loaded.faults],
        "warnings": [fault.as_dict() for fault in result.loaded.warnings],
    }


def _test(outcome: Outcome, *, timeline: bool) -> dict[str, Any]:
    case = outcome.case
    told: dict[str, Any] = {
        "file": case.file,
        "line": case.line,
        "name": case.name,
        "policy": case.policy.name,
        "passed": outcome.passed,
        "looks": len(outcome.looks),
        "failures": [_failure(mismatch) for mismatch in outcome.mismatches],
    }
    return told | ({"timeline": [_look(outcome, look) for look in outcome.looks]} if timeline else {})


def _failure(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "at": written(mismatch.at),
        "looked": written(mismatch.looked),
        "line": mismatch.line,
        "what": mismatch.what,
        "expected": mismatch.expected,
        "found": mismatch.found,
        "why": mismatch.why,
        "message": str(mismatch),
    }


def _look(outcome: Outcome, look: Look) -> dict[str, Any]:
    triples = zip(outcome.case.policy.conditions, look.states, look.reasons, strict=True)
    standing = look.standing
    return {
        "at": written(look.at),
        "verdicts": {condition.name: {"verdict": state.value, "reason": reason} for condition, state, reason in triples},
        "decision": standing.word,
        "reason": standing.reason,
        "remedy": standing.remedy,
        "to": standing.to,
        "guard": standing.guard,
        "said": list(look.said),
    }


def failure_lines(outcome: Outcome) -> Iterator[str]:
    """Every mismatch of a test with where it was expected, and the looks around the first of each time."""
    shown: set[timedelta] = set()
    for mismatch in outcome.mismatches:
        yield f"{mismatch}"
        yield f"  expected at {outcome.case.file}:{mismatch.line}"
        if mismatch.looked not in shown:
            shown.add(mismatch.looked)
            index = next(index for index, look in enumerate(outcome.looks) if look.at == mismatch.looked)
            around = outcome.looks[max(0, index - BEFORE) : index + AFTER + 1]
            yield from (f"  {line}" for line in look_lines(outcome, around, marked=mismatch.looked))


def look_lines(outcome: Outcome, looks: Sequence[Look], marked: timedelta | None = None) -> Iterator[str]:
    """A line for each condition of each look: when, how the policy stands, the verdict and its arithmetic; what was decided on a line of its own."""
    for look in looks:
        mark = ">" if look.at == marked else " "
        heads = [f"{mark} {written(look.at):>8}  {look.standing.word:<10}"]
        for state, reason in zip(look.states, look.reasons, strict=True):
            yield f"{heads.pop() if heads else ' ' * 22}  {state.value:<8}  {reason}"
        yield from (f"{' ' * 24}{said}" for said in look.said)


def summary(result: Result) -> str:
    """One line: ``3 tests in 1 file: 2 passed, 1 failed``."""
    total, files = len(result.outcomes), len(result.loaded.files)
    parts: Mapping[str, int] = {"passed": total - result.failed, "failed": result.failed}
    said = [f"{count} {word}" for word, count in parts.items() if count or word == "passed"]
    said += [counted(len(found), word) for word, found in (("fault", result.loaded.faults), ("warning", result.loaded.warnings)) if found]
    return f"{counted(total, 'test')} in {counted(files, 'file')}: {', '.join(said)}"
