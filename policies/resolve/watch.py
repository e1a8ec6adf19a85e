"""Whether a watch is long enough: a breach is laid to a change where it was first proven within the watch, so a verdict has to be possible in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollbackd.policies.model.policy import Condition
from rollbackd.policies.model.signals import Count, Latency, PromQL, Rate, Ratio, Traffic, Vanished
from rollbackd.policies.text.units import LONGEST, written
from rollbackd.policies.text.validate import Findings, locate
from rollbackd.policies.text.yaml_text import Path

_WATCH: Path = ("spec", "watch")


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a first verdict waits for, how long, why, and where that may have been written. ``of``: what is written there, unless it is that time."""

    name: str
    span: timedelta
    why: str
    path: Path
    of: str = ""


def proves_after(condition: Condition, every: timedelta) -> timedelta:
    """How long after a change the condition can prove a breach at the soonest, whatever the warm-up."""
    if (window := _window(condition)) is not None:
        return window
    # What is counted comes in blocks, and a block is never shorter than an evaluation.
    return every if isinstance(condition.signal, Ratio | Latency | Count) else timedelta(0)


def check_watches(
    conditions: Sequence[Condition], places: Sequence[Path], watch: timedelta | None, warmup: timedelta, every: timedelta, findings: Findings
) -> None:
    """Faults of watches that end before anything can be proven in them. ``places``: where each condition says what is its own. None: always."""
    pairs = list(zip(conditions, places, strict=True))
    _check(pairs, watch, _Wait("the warm-up", warmup, "no verdict is given before it ends", ("spec", "timing", "warmup")), findings)
    if every > warmup:
        counting = [pair for pair in pairs if _window(pair[0]) is None and proves_after(pair[0], every)]
        names = ", ".join(f"'{condition.name}'" for condition, _ in counting)
        why = f"{names} count in blocks of at least one evaluation, which begin after the change"
        _check(counting, watch, _Wait("one evaluation", every, why, ("spec", "every")), findings)
    for condition, place in pairs:
        if (span := _window(condition)) is not None:
            _check([(condition, place)], watch, _waits(condition, span, place), findings)


def _window(condition: Condition) -> timedelta | None:
    """How much after a change has to be seen before any verdict against a side that it has; None: a first sample or block may prove a breach."""
    signal, limit = condition.signal, condition.limit
    if isinstance(signal, PromQL):
        return signal.reach
    has_floor = limit.low is not None or (limit.of_before is not None and not limit.of_before.is_above)
    # Of too many events a part of the window may be proof, of too few none is.
    is_whole = isinstance(signal, Rate | Traffic | Vanished) or (isinstance(signal, Count) and has_floor)
    return condition.window if is_whole else None


def _waits(condition: Condition, span: timedelta, place: Path) -> _Wait:
    if isinstance(condition.signal, PromQL):
        why = "it is judged once its ranges reach back no further than the change"
        return _Wait(f"the ranges of '{condition.name}'", span, why, (*place, "promql"), "ranges of ")
    return _Wait(f"the window of '{condition.name}'", span, "it is judged over a whole window that begins after the change", (*place, "over"))


def _check(pairs: Sequence[tuple[Condition, Path]], watch: timedelta | None, wait: _Wait, findings: Findings) -> None:
    """One fault where the policy's watch is not longer, and one for each condition whose own is not."""
    if findings.was_cut(wait.path):
        return
    shares = False
    for condition, place in pairs:
        path: Path = (*place, "watch")
        if condition.watch is not None and condition.watch <= wait.span:
            findings.fault(path, f"more than {wait.name} ({written(wait.span)})", written(condition.watch), _hint(wait, "write"))
        shares |= condition.watch is None and not findings.was_cut(path)
    if not shares or watch is None or watch > wait.span or findings.was_cut(_WATCH):
        return
    if locate(findings.document.root, wait.path)[0] == wait.path:
        findings.fault(wait.path, f"{wait.of}less than the watch ({written(watch)})", written(wait.span), _hint(wait, "write less, or"))
    else:
        findings.fault(_WATCH, f"more than {wait.name} ({written(wait.span)})", written(watch), _hint(wait, "write"))


def _hint(wait: _Wait, do: str) -> str:
    longer = f"{do} 'watch: {written(min(2 * wait.span, LONGEST))}'" if wait.span < LONGEST else "no watch is long enough, write less"
    return f"{wait.why}, and a breach that begins after the watch is laid to no change: {longer}"
