"""What the benches measured, beside the budget of each: one table, or JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MIB_PER_KIB = 1 / 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of one run; ``value`` None: not measured, for the reason in ``how``.

    ``budget`` None: nothing is promised, it is told all the same. ``how``: what was measured, from where to where.
    """

    what: str
    value: float | None
    unit: str
    budget: float | None = None
    how: str = ""


def table(figures: Sequence[Figure]) -> str:
    """The figures as text, each beside its budget."""
    rows = [("", "measured", "budget", ""), *((f.what, _amount(f.value, f.unit), _budget(f), _word(f)) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows)


def as_json(figures: Sequence[Figure]) -> str:
    """The figures and the machine they were taken on."""
    return json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}, indent=2)


def machine() -> str:
    """What the run ran on, and how busy that was."""
    (kib,) = (line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {int(kib) / 2**20:.0f} GiB, Python {platform.python_version()}, load {load:.1f} when the run ended"


def memory(what: str, process: int | str = "self") -> float:
    """A line of the process's status (VmHWM), in MiB. Not getrusage: its peak counts the parent's memory at the fork."""
    return _mib(what, Path(f"/proc/{process}/status"))


def resident(process: int | str = "self") -> float:
    """What the process has of memory now, in MiB: counted page by page. VmRSS of its status lags behind, by up to 64 pages for each thread."""
    return _mib("Rss", Path(f"/proc/{process}/smaps_rollup"))


def _mib(what: str, file: Path) -> float:
    (kib,) = (line.split()[1] for line in file.read_text().splitlines() if line.startswith(f"{what}:"))
    return int(kib) * MIB_PER_KIB


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f} {unit}".rstrip() if value == int(value) or value >= 100 else f"{value:.3g} {unit}"


def _budget(figure: Figure) -> str:
    return "-" if figure.budget is None else f"<= {_amount(figure.budget, figure.unit)}"


def _word(figure: Figure) -> str:
    if figure.value is None:
        return figure.how
    return "OVER" if figure.budget is not None and figure.value > figure.budget else ""
