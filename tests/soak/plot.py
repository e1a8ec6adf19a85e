"""The soak's plot: what the daemon cost over time, as SVG, drawn by hand so that the page needs nothing to be read."""

from collections.abc import Iterator, Sequence
from html import escape

from tests.soak.limits import WARM_UP
from tests.soak.samples import Sample

WIDTH, LEFT, WIDE, TALL, GAP, TOP = 980, 70.0, 880.0, 90.0, 58.0, 40.0
PANELS = (
    ("rss_mib", "RSS, MiB", "#0b6e4f"),
    ("files", "open files", "#3a6ea5"),
    ("threads", "threads", "#7b4fa3"),
    ("late", "slot lateness, s", "#e07a1f"),
    ("journal_kib", "journal, KiB", "#6b705c"),
)
STYLE = "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px;fill:#222}"


def draw(samples: Sequence[Sample]) -> str:
    """A panel for each thing that was sampled, over the minutes of the run; the warm-up is grey."""
    height = TOP + len(PANELS) * (TALL + GAP)
    body = [part for index, (of, title, colour) in enumerate(PANELS) for part in _panel(samples, of, title, colour, TOP + index * (TALL + GAP))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img" '
        f'aria-label="What the daemon cost over time"><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _panel(samples: Sequence[Sample], of: str, title: str, colour: str, top: float) -> Iterator[str]:
    values = [float(getattr(one, of)) for one in samples]
    last, least, most = samples[-1].at or 1.0, min(values), max(values)
    span = (most - least) or 1.0
    yield f'<rect x="{LEFT}" y="{top}" width="{WIDE * WARM_UP:.1f}" height="{TALL}" fill="#f2f2f2"/>'
    yield f'<text x="{LEFT}" y="{top - 8}" style="font-weight:600">{escape(title)}</text>'
    for value, y in ((most, top), (least, top + TALL)):
        yield f'<line x1="{LEFT}" x2="{LEFT + WIDE}" y1="{y}" y2="{y}" stroke="#e3e3e3"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value:.4g}</text>'
    points = " ".join(f"{LEFT + WIDE * one.at / last:.1f},{top + TALL * (most - v) / span:.1f}" for one, v in zip(samples, values, strict=True))
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>'
    for part in range(5):
        x = LEFT + WIDE * part / 4
        yield f'<text x="{x:.1f}" y="{top + TALL + 18}" text-anchor="middle" style="fill:#666">{last * 60 * part / 4:.3g} m</text>'
