"""What a check says: a grade, what was found, and what to do. Knows no check."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Grade(Enum):
    """How bad it is."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What ``check`` found about ``subject``. ``reached``: whether something outside this process answered (None: nothing was asked)."""

    check: str
    subject: str
    grade: Grade
    found: str
    advice: str = ""
    reached: bool | None = None


def count_of(findings: Iterable[Finding], grade: Grade) -> int:
    """How many are of this grade."""
    return sum(finding.grade is grade for finding in findings)


def is_cut_off(findings: Iterable[Finding]) -> bool:
    """Something outside was asked, nothing of it answered, and nothing else failed: only that has to be mended first."""
    every = tuple(findings)
    reached = [finding.reached for finding in every if finding.reached is not None]
    fails_here = any(finding.grade is Grade.FAIL and finding.reached is None for finding in every)
    return bool(reached) and not any(reached) and not fails_here


def document(findings: Iterable[Finding]) -> Mapping[str, Any]:
    """The report for programs."""
    every = tuple(findings)
    counts = {grade.value: count_of(every, grade) for grade in Grade}
    lines = [{"check": f.check, "subject": f.subject, "grade": f.grade.value, "found": f.found, "advice": f.advice} for f in every]
    return {"apiVersion": "rollbackd/v1", "kind": "DoctorReport", "counts": counts, "findings": lines}
