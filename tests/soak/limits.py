"""What the soak promises, and what a run made of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.soak.course import Run
from tests.soak.samples import Sample, missed_in
from tests.soak.trend import Trend, trend
from tests.soak.weather import FAULTS

WARM_UP = 1 / 2
"""The first part of a run, in which caches fill and pools grow, is left out of every trend: that takes over ten minutes at this pace."""
MIB_AN_HOUR = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``said`` with its numbers, beside its ``limit``."""

    what: str
    said: str
    limit: str
    is_kept: bool


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """Those after the warm-up."""
    return [one for one in samples if one.at >= WARM_UP * samples[-1].at]


def rise(samples: Sequence[Sample], of: str) -> Trend:
    """How this field changes an hour, after the warm-up."""
    later = warm(samples)
    return trend([one.at for one in later], [float(getattr(one, of)) for one in later])


def findings(run: Run) -> list[Finding]:
    """All that was promised, then what is only told. A run in which nothing happened keeps its promises by idling: that is none kept."""
    missed, beyond = _missed(run.samples)
    last = run.samples[-1]
    late, overslept = (sorted(getattr(one, of) for one in run.samples) for of in ("late", "overslept"))
    return [
        _some("slots", last.slots),
        _some("incidents opened", run.incidents, f"{run.incidents}, {run.closed} closed"),
        _some("writes accepted", last.accepted),
        _memory(run.samples),
        *(_flat(run.samples, name) for name in ("files", "threads")),
        Finding("missed slots", f"{missed} of {last.slots}, {beyond} of them beyond the faults'", "0 beyond", beyond == 0),
        Finding("audit chain", run.broken or f"holds over {run.rows:,} rows", "holds", run.broken is None),
        Finding("open incidents at the end", str(run.open_at_end), "0", run.open_at_end == 0),
        Finding("crashes in the log", str(run.crashes), "0", run.crashes == 0),
        Finding("slot lateness", _late(late), "-", is_kept=True),
        Finding("the sampler's own lateness", _late(overslept), "-", is_kept=True),
        Finding("journal", f"{last.journal_kib:,.0f} KiB with its log, {run.rows:,} rows", "-", is_kept=True),
    ]


def table(found: Sequence[Finding]) -> str:
    """The findings as text."""
    rows = [("", "measured", "limit", ""), *((f.what, f.said, f.limit, "" if f.is_kept else "BROKEN") for f in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip() for a, b, c, d in rows)


def _some(what: str, count: int, said: str = "") -> Finding:
    return Finding(what, said or str(count), "> 0", count > 0)


def _memory(samples: Sequence[Sample]) -> Finding:
    found = rise(samples, "rss_mib")
    is_level = found.is_known and found.slope < MIB_AN_HOUR
    return Finding("RSS", f"{_span(samples, 'rss_mib')} MiB, {_slope(found, 'MiB/h')}", f"< {MIB_AN_HOUR:g} MiB/h", is_level)


def _flat(samples: Sequence[Sample], of: str) -> Finding:
    """Pools breathe, so that a slope is never exactly zero: it is flat unless it surely rises, and by one at least within the run."""
    found, hours = rise(samples, of), samples[-1].at
    is_flat = found.is_known and not (found.is_sure_to_rise() and found.slope * hours >= 1)
    return Finding(f"open {of}" if of == "files" else of, f"{_span(samples, of)}, {_slope(found, 'an hour')}", "flat", is_flat)


def _missed(samples: Sequence[Sample]) -> tuple[int, int]:
    """In all, and while no fault held the daemon up."""
    return samples[-1].missed, missed_in(samples, [fault.name for fault in FAULTS if not fault.holds_up])


def _span(samples: Sequence[Sample], of: str) -> str:
    found = [getattr(one, of) for one in warm(samples)]
    return f"{min(found):.4g} to {max(found):.4g}"


def _slope(found: Trend, unit: str) -> str:
    return f"slope {found.slope:+.2f} ({found.low:+.2f} to {found.high:+.2f}) {unit}" if found.is_known else "too few samples for a slope"


def _late(ordered: Sequence[float]) -> str:
    return f"p50 {_quantile(ordered, 0.5):.3f} s, p99 {_quantile(ordered, 0.99):.3f} s, most {ordered[-1]:.3f} s"


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)]
