"""Expressions in policies that a daemon could not read; what reads them is loaded only where there are any."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbackd.policies.load import Loaded
    from rollbackd.policies.text.faults import Fault


def unreadable_in(loaded: "Loaded", texts: Mapping[str, str]) -> "tuple[Fault, ...]":
    """A fault for each, in the files ``texts`` of the sound policies."""
    from rollbackd.controller.doctor.grammar import has_expressions, unreadable

    written = [each for each in (*loaded.policies, *(fleet.template for fleet in loaded.fleets)) if has_expressions(each)]
    if not written:
        return ()
    from rollbackd.controller.wiring.grammar import why_no_promql

    return unreadable(written, texts, why_no_promql)
