"""A past for a real Prometheus, written as OpenMetrics."""

from collections.abc import Iterable, Mapping

START = 1_700_000_000
"""Second 0 of every history."""


def series(name: str, labels: Mapping[str, str], values: Iterable[tuple[int, float]]) -> list[str]:
    """The lines of one series; times in seconds after ``START``."""
    inside = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return [f"{name}{{{inside}}} {value} {START + second}" for second, value in values]


def growing(per_second: float, *, first: int = 0, last: int = 600, step: int = 15) -> list[tuple[int, float]]:
    """A counter that grows evenly, scraped every ``step`` seconds."""
    return [(second, per_second * second) for second in range(first, last + 1, step)]


def document(*families: list[str]) -> str:
    """One text of all the series."""
    return "\n".join([line for family in families for line in family]) + "\n# EOF\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
