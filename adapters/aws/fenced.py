"""A write where Amazon has no compare-and-set: sent right after a second look, and sent again only after a definite no and another look."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from rollbackd.adapters.aws.access import Answer, Caller
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.failures import Expired, Throttled
from rollbackd.adapters.base.errors import Refused

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before the write is tried again: after Amazon refused to take it for its frequency or its token, or when the look has grown old."""
FRESH = timedelta(seconds=3)
"""How old the second look may be when the write leaves."""
BUDGET = timedelta(seconds=20)
"""Nothing is sent later than this after the claim was looked at last, so that the claim of whoever applies never runs out before."""


def nothing() -> None:
    """The look of a write that carries a lock of its own, or that serves nobody yet."""


def write(
    caller: Caller,
    call: Call,
    incident: str,
    look: Callable[[], object],
    *,
    pauses: Sequence[float] = PAUSES,
    budget: timedelta = BUDGET,
    begun: float | None = None,
    **parameters: Any,
) -> Answer:
    """The answer to the write. ``look`` raises whatever forbids it; it is asked before every try. ``budget``: nothing is sent later, counted from
    ``begun`` on the monotonic clock, else from now.

    Raises Refused if Amazon was too slow for the look to mean anything, Throttled if it never took the write, Expired if it did not take it with
    renewed credentials either: nothing was changed in any of these.
    """
    began, is_renewed = time.monotonic() if begun is None else begun, False
    for pause in (*pauses, None):
        caller.prove(incident)  # entering the account takes time that the look must not grow old by
        looked_at = time.monotonic()
        look()
        now = time.monotonic()
        if now - began > budget.total_seconds() or (pause is None and now - looked_at > FRESH.total_seconds()):
            break
        if now - looked_at <= FRESH.total_seconds():
            try:
                return caller.write(call, incident, **parameters)
            except Throttled:
                if pause is None:
                    raise
            except Expired:
                if pause is None or is_renewed:
                    raise
                is_renewed = True
        caller.sleep(pause or 0)
    what = f"{call} in account {caller.account.name}: Amazon answers so slowly that somebody may have been there since the last look"
    raise Refused(f"{what}. Nothing was changed.", advice="See why it answers slowly, then plan again.")
