"""Which past a backtest reads, and when each change could be judged."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.way import Window
from rollbackd.policies.model.policy import For, Policy
from rollbackd.policies.watching.confirm import ONSET_MEMORY
from rollbackd.policies.watching.since import watch_length


def windows_of(policy: Policy, given: Sequence[GivenChange]) -> Mapping[str, Window]:
    """By change id: from the end of the warm-up to the end of the watch, or to what came first: another change of the policy's targets, or people."""
    mine = [change for change in given if change.target in policy.targets]
    found = {}
    for change in mine:
        effective = change.ready or change.at
        back, ends = change.rolled_back_at, min([effective + watch_length(policy), *(other.began for other in mine if other.at > change.at)])
        is_cut = back is not None and back < ends
        found[change.id] = Window(effective + policy.timing.warmup, back if is_cut and back is not None else ends, is_cut)
    return found


def longest_confirmation(policy: Policy) -> timedelta:
    """How long after its onset a breach may be confirmed, at most, where it is proven at each look."""
    spans = [one.confirm.duration if isinstance(one.confirm, For) else one.confirm.of * policy.every for one in policy.conditions]
    return max(spans, default=timedelta(0)) + 2 * policy.every


def span_of(policies: Sequence[Policy], given: Sequence[GivenChange], since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """From when to when slots are replayed: asked or as the changes need it, and before it what the first looks rest on.

    Without a change both have to be asked for.
    """
    before = max(max((one.window for one in policy.conditions), default=timedelta(0)) + longest_confirmation(policy) for policy in policies)
    begin = since or min(change.began for change in given)
    lasts = ((change.ready or change.at) + watch_length(policy) + longest_confirmation(policy) for change in given for policy in policies)
    return begin - before - ONSET_MEMORY, until or max(lasts)
