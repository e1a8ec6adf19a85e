"""A timeline for each change, and one page with all of them: SVG made by hand, which needs nothing else to be looked at. Pure.

What was proven lies in the band; where there is none, nothing was.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from rollbackd.controller.backtest.cases import Judged
from rollbackd.controller.backtest.margins import nearest
from rollbackd.controller.backtest.report import summary, told
from rollbackd.controller.backtest.run import Outcome
from rollbackd.controller.backtest.stretches import Stretch, stretches
from rollbackd.policies.judge.evidence import Happened, Share, Trickle, Value
from rollbackd.policies.judge.verdict import Verdict, share_limit
from rollbackd.policies.known.reasons import number_text
from rollbackd.policies.model.policy import Condition
from rollbackd.policies.watching.since import COARSE

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 80, 36, 58, 40
TICKS = 6
MARK = 120
"""So wide may the words of a mark be."""
COLOURS = {"rollback": "#b3261e", "held": "#8a5a00", "inconclusive": "#6b6b6b", "ok": "#1b6e3c"}
STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}.s{fill:#555}.g{stroke:#ddd}.b{fill:#9cc3e6;opacity:.5}"
    ".v{fill:none;stroke:#1f5f99;stroke-width:1.5}.l{stroke:#b3261e;stroke-dasharray:6 3}.m{stroke:#222}"
)
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Point:
    """What one look proved: the value, and what it lies between."""

    at: datetime
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Scale:
    since: datetime
    until: datetime
    top: float
    bottom: float = 0.0

    def x(self, at: datetime) -> float:
        share = (at - self.since) / max(self.until - self.since, timedelta(seconds=1))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - min(max((value - self.bottom) / (self.top - self.bottom), 0.0), 1.0) * (HEIGHT - TOP - BOTTOM), 1)


def pages(outcome: Outcome) -> Mapping[str, str]:
    """File name to text: an SVG for each verdict, and index.html, which shows them all."""
    plots = {name_of(number, one): svg(one) for number, one in enumerate(outcome.judged, 1)}
    return plots | {"index.html": _index(outcome, tuple(plots))}


def name_of(number: int, one: Judged) -> str:
    """A file name that says which change it is, whatever its target and revision are called."""
    target = _UNSAFE.sub("-", one.change.target.rpartition("/")[2])[:40]
    return f"{number:04}-{target}-{_UNSAFE.sub('-', one.policy.name)[:40]}-{one.change.at:%Y%m%dT%H%M%SZ}.svg"


def svg(one: Judged) -> str:
    """The timeline of the condition that decided, or that came nearest to its limit."""
    index = _shown(one)
    condition, points = one.policy.conditions[index], list(_points(one, index))
    unit, until = share_limit(condition).unit, max([one.ended, *([one.found.at] if one.found is not None else [])])
    limits = list(stretches(one, index, until))
    shown = [point.value for point in points] + [stretch.value for stretch in limits]
    top = max([point.high for point in points if point.high < 1] + shown, default=1.0)
    bottom, top = _ends(min([0.0, *shown]), max(0.0, top))
    scale = _Scale(one.change.at, until, top, bottom)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{_text(_title(one))}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="t" x="12" y="20">{_text(_title(one))} <tspan fill="{COLOURS[one.word]}">{one.word}</tspan></text>',
        f'<text class="s" x="12" y="38">{_text(_cut(one.reason))}</text>',
        *_axes(scale, unit),
        *_curves(points, scale, max(2 * one.policy.every, COARSE + one.policy.every)),
        *(_limit(stretch, unit, scale) for stretch in limits),
        *_marks(one, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _shown(one: Judged) -> int:
    margin = nearest(one)
    name = one.found.condition if one.found is not None else margin.condition if margin is not None else None
    return next((index for index, condition in enumerate(one.policy.conditions) if condition.name == name), 0)


def _title(one: Judged) -> str:
    return f"{one.change.target} {one.change.revision or ''} at {told(one.change.at)}".replace("  ", " ")


def _points(one: Judged, index: int) -> Iterator[Point]:
    for look in one.looks:
        point = point_of(one.policy.conditions[index], look.verdicts[index], look.at)
        if point is not None:
            yield point


def point_of(condition: Condition, verdict: Verdict, at: datetime) -> Point | None:
    """What a verdict rests on, as numbers that the limit can be compared with; None where it rests on none."""
    match verdict.evidence:
        case Share() as share if share.total > 0:
            return Point(at, share.least / share.total, share.bounds.low, share.bounds.high)
        case Happened() as seen:
            value = seen.per_second if condition.limit.unit == "/s" else seen.count
            return Point(at, value, value, value)
        case Trickle(count, expected) if expected > 0:
            return Point(at, count / expected, count / expected, count / expected)
        case Value(value):
            return Point(at, value, value, value)
        case _:
            return None


def _ends(low: float, high: float) -> tuple[float, float]:
    """Bottom and top of the scale: these and a little more, so that every tick is a round number."""
    if not high > low:
        return 0.0, 1.0
    low, high = 1.1 * low, 1.1 * high
    size = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    found = ((math.floor(low / (size * step)) * size * step, TICKS * size * step) for step in (1, 2, 2.5, 5, 10, 20))
    return next((bottom, bottom + length) for bottom, length in found if bottom + length >= high)


def _axes(scale: _Scale, unit: str) -> Iterator[str]:
    for step in range(TICKS + 1):
        value, at = scale.bottom + (scale.top - scale.bottom) * step / TICKS, scale.since + (scale.until - scale.since) * step / TICKS
        value = 0.0 if abs(value) < 1e-9 * (scale.top - scale.bottom) else value  # what is left of sums of fractions is none
        y, x = scale.y(value), scale.x(at)
        yield f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="s" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{_text(number_text(value, unit))}</text>'
        yield f'<text class="s" x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{at:%H:%M:%S}</text>'


def _curves(points: Sequence[Point], scale: _Scale, gap: timedelta) -> Iterator[str]:
    for run in _unbroken(points, gap):
        lower = [f"{scale.x(point.at)},{scale.y(point.low)}" for point in run]
        upper = [f"{scale.x(point.at)},{scale.y(point.high)}" for point in reversed(run)]
        yield f'<polygon class="b" points="{" ".join([*lower, *upper])}"/>'
        yield f'<polyline class="v" points="{" ".join(f"{scale.x(point.at)},{scale.y(point.value)}" for point in run)}"/>'


def _unbroken(points: Sequence[Point], gap: timedelta) -> Iterator[list[Point]]:
    """Stretches without a hole: no line is drawn over what was not seen."""
    run: list[Point] = []
    for point in points:
        if run and point.at - run[-1].at > gap:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _limit(stretch: Stretch, unit: str, scale: _Scale) -> str:
    x1, x2, y = scale.x(stretch.since), scale.x(stretch.until), scale.y(stretch.value)
    line = f'<line class="l" x1="{x1}" x2="{x2}" y1="{y}" y2="{y}"/>'
    if not stretch.is_last:  # of a limit that moves along with old pods there are too many to be told
        return line
    return f'{line}<text x="{x2 - 4}" y="{y - 4}" text-anchor="end">limit {_text(number_text(stretch.value, unit))}</text>'


def _marks(one: Judged, scale: _Scale) -> Iterator[str]:
    moments = {"change": one.change.at, "ready": one.change.ready, "taken back": one.change.rolled_back_at}
    if one.found is not None:
        moments |= {"onset": one.found.onset, "confirmed" if one.found.word == "rollback" else "held": one.found.at}
    for row, (name, at) in enumerate((name, at) for name, at in moments.items() if at is not None and scale.since <= at <= scale.until):
        x, y = scale.x(at), TOP + 12 + 14 * row
        place = f'x="{x + 4}" y="{y}"' if x < WIDTH - RIGHT - MARK else f'x="{x - 4}" y="{y}" text-anchor="end"'
        yield f'<line class="m" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/><text {place}>{name} {at:%H:%M:%S}</text>'


def _index(outcome: Outcome, names: Sequence[str]) -> str:
    shown = "\n".join(
        f'<p><img src="{escape(name)}" alt="{escape(_title(one))}: {one.word}" width="{WIDTH}"></p>'
        for name, one in zip(names, outcome.judged, strict=True)
    )
    alarms = "".join(f"<li>{told(one.onset)} {escape(one.target)}: {escape(one.reason)}</li>" for one in outcome.alarms)
    outside = f"<h2>Breaches outside of changes</h2><ul>{alarms}</ul>" if alarms else ""
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>rollbackd backtest</title></head>'
    body = f'<body style="font-family:sans-serif"><h1>rollbackd backtest</h1><p>{escape(summary(outcome))}</p>'
    return f"{head}{body}\n{shown}\n{outside}</body></html>\n"


def _cut(text: str) -> str:
    return text if len(text) <= 125 else f"{text[:124]}…"


def _text(text: str) -> str:
    """Text that is text in XML whatever was written: no markup, and no character that XML has not."""
    return escape("".join(char if char.isprintable() else " " for char in text))
