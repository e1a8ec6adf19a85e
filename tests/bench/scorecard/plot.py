"""The page's plot: two panels as SVG, a line for each judge, drawn by hand so that the page needs nothing to be read."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from tests.bench.scorecard import generator as made
from tests.bench.scorecard.reach import false_share, wait
from tests.bench.scorecard.run import OURS, Outcome

WIDTH, HEIGHT = 980, 430
PANEL, TOP, BOTTOM, TALL = 330.0, 84.0, 360.0, 276.0
COLOURS = {
    OURS: "#0b6e4f",
    "bare threshold": "#c1121f",
    "for: 2m": "#e07a1f",
    "Flagger": "#3a6ea5",
    "Argo Rollouts": "#7b4fa3",
    "rank test": "#6b705c",
}
LONGEST = 60.0
"""Minutes: the watch. What is not found within it is drawn there."""


def draw(outcomes: Sequence[Outcome]) -> str:
    """False rollbacks of healthy changes, and the median wait for 20 % errors, both by requests a minute."""
    judges = list(dict.fromkeys(one.judge for one in outcomes))
    false = {judge: [_percent(outcomes, judge, level) for level in made.LEVELS] for judge in judges}
    waits = {judge: [_minutes(outcomes, judge, level) for level in made.LEVELS] for judge in judges}
    body = [
        *_panel(70, "Healthy changes rolled back", "of all healthy changes", [0, 20, 40, 60, 80, 100], "%", false, lambda v: v / 100),
        *_panel(550, "Wait until 20 % errors are proven", "median; on top: not found in the watch", [1, 2, 5, 10, 20, 60], " m", waits, _log_minutes),
        *_legend(judges),
    ]
    style = "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px;fill:#222}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="False rollbacks and time to proof by traffic"><style>{style}</style><rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _percent(outcomes: Sequence[Outcome], judge: str, level: int) -> float | None:
    found = false_share([o for o in outcomes if o.judge == judge and o.cell.section == "quiet" and o.cell.per_minute == level])
    return None if found is None else 100 * found.value


def _minutes(outcomes: Sequence[Outcome], judge: str, level: int) -> float | None:
    mine = [o for o in outcomes if o.judge == judge and o.cell.section == "bad" and o.cell.kind == made.ERRORS_20 and o.cell.per_minute == level]
    found = wait(mine, 0.5)
    return None if found is None else min(LONGEST, found.value / 60)


def _log_minutes(value: float) -> float:
    return math.log(max(1.0, value)) / math.log(LONGEST)


def _panel(
    left: float,
    title: str,
    under: str,
    ticks: Sequence[float],
    unit: str,
    lines: dict[str, list[float | None]],
    place: Callable[[float], float],
) -> Iterator[str]:
    """A panel with its grid, its lines and the names of its axes; ``place``: where between bottom (0) and top (1) a value lies."""
    yield f'<text x="{left}" y="30" style="font-size:16px;font-weight:600">{escape(title)}</text>'
    yield f'<text x="{left}" y="50" style="fill:#666">{escape(under)}</text>'
    for tick in ticks:
        y = BOTTOM - TALL * place(tick)
        yield f'<line x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e3e3"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{unit}</text>'
    for index, level in enumerate(made.LEVELS):
        yield f'<text x="{_x(left, index):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{level}</text>'
    yield f'<text x="{left + PANEL / 2}" y="{BOTTOM + 42}" text-anchor="middle" style="fill:#666">requests a minute</text>'
    # Ours is drawn last, so that nothing hides it.
    for judge in sorted(lines, key=lambda name: name == OURS):
        yield from _line(judge, [(_x(left, i), BOTTOM - TALL * place(v)) for i, v in enumerate(lines[judge]) if v is not None])


def _x(left: float, index: int) -> float:
    return left + 16 + index * (PANEL - 32) / (len(made.LEVELS) - 1)


def _line(judge: str, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    colour, wide = COLOURS.get(judge, "#000"), 3.5 if judge == OURS else 1.8
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{wide}" stroke-linejoin="round"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{wide + 0.5}" fill="{colour}"/>' for x, y in points)


def _legend(judges: Sequence[str]) -> Iterator[str]:
    left = 70.0
    for judge in judges:
        colour, heavy = COLOURS.get(judge, "#000"), "font-weight:600" if judge == OURS else ""
        yield f'<line x1="{left}" x2="{left + 22}" y1="{HEIGHT - 10}" y2="{HEIGHT - 10}" stroke="{colour}" stroke-width="4"/>'
        yield f'<text x="{left + 28}" y="{HEIGHT - 5}" style="{heavy}">{escape(judge)}</text>'
        left += 48 + 7.6 * len(judge)
