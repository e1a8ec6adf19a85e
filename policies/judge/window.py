"""The newest counts that a look draws on: blocks that do not overlap, a window of them, and more of a share where they are few."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rollbackd.policies.judge.evidence import Bounds, Happened, Share, wilson
from rollbackd.policies.model.policy import Condition
from rollbackd.policies.model.readings import COUNTED, Counts, Events, Reading

WIDEST = 8
"""A window widens to this many times its length where traffic is low."""


def share_in(condition: Condition, readings: Sequence[Reading], since: datetime | None, volume: float) -> Share | None:
    """The newest evidence: at least the condition's window, wider while it holds less than ``volume``, never before ``since``."""
    least = most = total = 0.0
    first = last = full = None
    for block in reversed(readings):
        if not isinstance(block, Counts) or (first is not None and block.end > first.start):
            continue
        if since is not None and block.start < since:
            break
        if last is None or full is None:
            last, full = block, block.end - condition.window
        elif block.start < full and (total >= volume or last.end - block.start > WIDEST * condition.window):
            break
        least, most, total = least + block.least, most + block.most, total + block.total
        first = block
    if first is None or last is None:
        return None
    return _share(first, last, least, most, total)


def _share(first: Counts, last: Counts, least: float, most: float, total: float) -> Share:
    # Sources extrapolate, so counts arrive as fractions. Each bound rounds against its own claim: a breach has to be proven by whole
    # errors among more requests, health by whole requests with more errors.
    fewer, more = math.floor(total + 1e-9), math.ceil(total - 1e-9)
    low_bad, high_bad = min(math.floor(least + 1e-9), fewer), min(math.ceil(most - 1e-9), fewer)
    if fewer == more > 0 and low_bad == high_bad:
        bounds = wilson(low_bad, more)
    else:
        bounds = Bounds(wilson(low_bad, more).low if more > 0 else 0.0, wilson(high_bad, fewer).high if fewer > 0 else 1.0)
    return Share(low_bad, high_bad, fewer, bounds, first.start, last.end, last.newest, last.low, last.high)


def events_in(condition: Condition, readings: Sequence[Reading], since: datetime | None) -> Happened | None:
    """What happened in the newest blocks that fit into the condition's window, none of them begun before ``since``."""
    count, first, last, span = 0.0, None, None, timedelta(0)
    for block in _disjoint(readings, since):
        if not isinstance(block, Events) or (last is not None and last.end - block.start > condition.window):
            break
        count, first, last, span = count + block.count, block, last or block, span + (block.end - block.start)
    if first is None or last is None:
        return None
    return Happened(count, span, first.start, last.end, last.newest, is_complete=span + (last.end - last.start) > condition.window)


def _disjoint(readings: Sequence[Reading], since: datetime | None) -> Iterator[Counts | Events]:
    """Blocks that do not overlap, newest first, none of which began before ``since``: each event is counted once."""
    border: datetime | None = None
    for block in reversed(readings):
        if (border is not None and block.end > border) or not isinstance(block, COUNTED):
            continue
        if since is not None and block.start < since:
            return
        yield block
        border = block.start
