"""The newest counts that a look draws on: blocks that do not overlap, a window of them, and more of a share where they are few."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from rollbackd.policies.judge.evidence import Bounds, Happened, Share, wilson
from rollbackd.policies.model.policy import Condition
from rollbackd.policies.model.readings import Counts, Events, Reading
from rollbackd.policies.model.signals import Count

SURE = 0.75
"""So much of what a block counted has happened: a source that extrapolates four scrapes to its edges tells up to a third more."""
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
    """What happened in the newest blocks that fit into the condition's window, none of them begun before ``since``.

    Which blocks do not overlap depends on the one that is begun with. Of a number of events with a limit above, what any choice proves counts.
    """
    blocks = _fitting(condition, readings, since)
    if not blocks:
        return None
    last, count, span, start = blocks[0], 0.0, timedelta(0), blocks[0].end
    for block in blocks:
        if block.end <= start:
            count, span, start = count + block.count, span + (block.end - block.start), block.start
    is_complete = span + (last.end - last.start) > condition.window
    if isinstance(condition.signal, Count) and condition.limit.high is not None:
        count, start = max(count, SURE * _most(blocks)), min([block.start for block in blocks])
    return Happened(count, span, start, last.end, last.newest, is_complete)


def _fitting(condition: Condition, readings: Sequence[Reading], since: datetime | None) -> list[Events]:
    """The blocks of the window that ends with the newest of them, newest first."""
    found: list[Events] = []
    for block in reversed(readings):
        if not isinstance(block, Events):
            continue
        if since is not None and block.start < since:
            break
        if not found or found[0].end - block.start <= condition.window:
            found.append(block)
    return found


def _most(blocks: Sequence[Events]) -> float:
    """The most that any blocks counted of which no two overlap: each event is counted once. Newest first."""
    most = [0.0]  # of the oldest block, of the oldest two, and so on
    ends = [block.end for block in reversed(blocks)]
    for block in reversed(blocks):
        most.append(max(most[-1], block.count + most[bisect_right(ends, block.start)]))
    return most[-1]
