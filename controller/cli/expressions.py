"""Expressions in policies that a daemon could not read; what reads them is loaded only where there are any."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbackd.policies.text.faults import Fault


def unreadable_in(texts: Mapping[str, str]) -> "tuple[Fault, ...]":
    """A fault for each, also where the file has others."""
    from rollbackd.controller.doctor.grammar import expressions_in, unreadable

    written = tuple(expressions_in(texts))
    if not written:
        return ()
    from rollbackd.controller.wiring.grammar import why_no_promql

    return unreadable(written, why_no_promql)
