"""A metric that the workload had before the change and has no more. It suggests; it may act only where a second fact says the same."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.policies.model.policy import Condition
from rollbackd.policies.model.readings import Absence

COVERAGE = 0.9
"""A metric was there before the change where so many of the looks found it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an absence comes to: a breach, or not proven to be one; ``said`` is for people. ``agrees``: a second fact says the same."""

    is_breach: bool
    said: str
    agrees: bool = False


def claim_of(condition: Condition, seen: Absence, since: datetime | None) -> Claim:
    """A breach where the metric was steady before the change, had events enough to be missed, and is gone since then for the condition's window."""
    if seen.wanted == 0:
        return Claim(False, "scaled to 0 replicas: no metric is no surprise")
    if seen.gone is None:
        return Claim(False, "was gone before the change already")
    past = f"gone since {seen.gone:%H:%M:%S}, was there in {seen.seen} of {seen.of} minutes before"
    if seen.seen < COVERAGE * seen.of:
        return Claim(False, f"{past}: {COVERAGE:.0%} are needed")
    lasted, least = seen.end - max(seen.gone, since or seen.gone), max(condition.window, seen.scrapes)
    if lasted < least:
        return Claim(False, f"{past}: {_seconds(lasted)} of {_seconds(least)} prove nothing yet")
    if seen.before is None:
        return Claim(False, f"{past}: how many events there were is not known")
    # A series is born at its first event: at night a new pod may have none for long, and nothing is wrong with it.
    expected = seen.before * lasted.total_seconds()
    if expected < condition.min_volume:
        return Claim(False, f"{past}: {expected:.0f} expected events prove nothing, {condition.min_volume} are needed")
    unready = unready_text(seen.wanted, seen.ready)
    return Claim(True, f"{past}; {seen.lives}; {unready or 'nothing else says so: suggested at most'}", unready is not None)


def unready_text(wanted: int | None, ready: int | None) -> str | None:
    """``2 of 3 pods are not ready``; None where less than half are not, or nothing is known of them."""
    if not wanted or ready is None or 2 * ready > wanted:
        return None
    return f"{wanted - ready} of {wanted} pods are not ready"


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
