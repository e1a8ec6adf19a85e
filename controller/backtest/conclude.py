"""From what a replay noted to a verdict on each change. What was not seen is inconclusive, never well."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from rollbackd.controller.backtest.cases import Alarm, GivenChange, Judged, Look, Word
from rollbackd.controller.backtest.way import Replayed
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.reasons import duration_text, verdict_reason
from rollbackd.policies.watching.confirm import COVERAGE


def judged(way: Replayed, given: Sequence[GivenChange], read_until: datetime) -> Iterator[Judged]:
    """A verdict on each change of the policy's targets, in the order of the changes. ``read_until``: the last slot that was read."""
    for change in given:
        if change.target in way.policy.targets:
            yield _judged(way, change, read_until)


def _judged(way: Replayed, change: GivenChange, read_until: datetime) -> Judged:
    window, looks, found = way.windows[change.id], tuple(way.looks.get(change.id, ())), way.found.get(change.id)
    back = change.rolled_back_at

    def verdict(word: Word, reason: str, *, is_censored: bool = False) -> Judged:
        kept = None if is_censored else found
        return Judged(way.policy, change, word, reason, window.began, window.ended, looks, kept, is_censored)

    if back is not None and (window.is_cut if found is None else found.at > back):
        if found is None and _is_blind(looks):
            return verdict(*_unfound(looks, duration_text(window.ended - window.began)))
        why = f"people took it back at {back:%H:%M:%S}, before anything was confirmed: nobody can know what came next"
        return verdict("inconclusive", why, is_censored=True)
    if change.ready is not None and change.ready >= window.ended:  # what was found meanwhile is about others
        why = f"no look at it: its watch was over at {window.ended:%H:%M:%S}, before its first replica served at {change.ready:%H:%M:%S}"
        return replace(verdict("inconclusive", why), found=None)
    if found is not None:
        return verdict(found.word, found.reason)
    if window.ended > read_until:
        why = f"its watch lasts until {window.ended:%Y-%m-%d %H:%M:%S}, and nothing is read after {read_until:%Y-%m-%d %H:%M:%S}"
        return verdict("inconclusive", why)
    if not looks:
        return verdict("inconclusive", f"no look at it: the next change came within its warm-up, which ends at {window.began:%H:%M:%S}")
    return verdict(*_unfound(looks, duration_text(window.ended - window.began)))


def _is_blind(looks: Sequence[Look]) -> bool:
    """Whether too much of it was not seen at all, so that nobody could have known anyhow. A look that waits for more evidence is none of those."""
    missing = sum(not look.is_known and any(verdict.state in (State.NODATA, State.ERROR) for verdict in look.verdicts) for look in looks)
    return missing > (1 - COVERAGE) * len(looks)


def _unfound(looks: Sequence[Look], span: str) -> tuple[Word, str]:
    known = sum(look.is_known for look in looks)
    if known < COVERAGE * len(looks):
        if not known and all(verdict.state is State.NODATA for look in looks for verdict in look.verdicts):
            place = (
                "outside of what Prometheus keeps, its series are called otherwise, or `--scrape-interval` is shorter than what they are scraped at"
            )
            return "inconclusive", f"there is no sample in the {span} of its watch: it lies {place}; {_lack(looks)}"
        needed = f"{COVERAGE:.0%}".replace("%", " %")
        return "inconclusive", f"{known} of {len(looks)} looks in {span} proved anything, {needed} are needed; mostly {_lack(looks)}"
    return "ok", f"nothing was confirmed in {len(looks)} looks in {span}; at the last: {_said(looks[-1])}"


def _said(look: Look) -> str:
    pairs = zip(look.conditions, look.verdicts, strict=True)
    return "; ".join(verdict_reason(condition, verdict) for condition, verdict in pairs)


def _lack(looks: Sequence[Look]) -> str:
    """The commonest kind of not knowing, as it was said last."""
    counted: Counter[tuple[int, State]] = Counter()
    last: dict[tuple[int, State], str] = {}
    for look in looks:
        for index, verdict in enumerate(look.verdicts):
            if not look.is_known and not verdict.state.is_known:
                counted[index, verdict.state] += 1
                last[index, verdict.state] = verdict_reason(look.conditions[index], verdict)
    return last[counted.most_common(1)[0][0]]


def alarms(way: Replayed, since: datetime | None, until: datetime | None) -> Iterator[Alarm]:
    """What was confirmed without a change, by its onset, within the asked span."""
    blind = (Alarm(way.policy.name, way.policy.target, one.condition, one.onset, one.at, one.reason) for one in way.unblamed.values())
    found = sorted((*way.alarms.values(), *blind), key=lambda alarm: alarm.onset)
    yield from (one for one in found if (since is None or one.onset >= since) and (until is None or one.onset <= until))
