"""The freezes that are on, as people see them."""

from collections.abc import Iterable
from datetime import datetime

from rollbackd.controller.answers.status import FreezeLine
from rollbackd.policies.known.freeze import Freeze, frozen


def freeze_lines(freezes: Iterable[Freeze], at: datetime) -> tuple[FreezeLine, ...]:
    """Every freeze that is on at ``at``, wherever, the one that ends first before the others."""
    # Each is on in all of its namespaces at once, so that any of them tells.
    found = (frozen((freeze,), next(iter(freeze.namespaces), ""), at) for freeze in freezes)
    lines = (FreezeLine(freeze.reason, end, tuple(sorted(freeze.namespaces))) for freeze, end in filter(None, found))
    return tuple(sorted(lines, key=lambda line: line.until))
