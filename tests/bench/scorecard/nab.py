"""The Numenta Anomaly Benchmark's series through a real Prometheus: nothing is rolled back where its authors saw nothing, and no hole is bridged.

The data is not shipped. A folder is its repository, or anything with CSV files of ``timestamp,value`` below it.
"""

import csv
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeVar

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.run import Asked, run
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from tests.servers import prometheus_with_history

T = TypeVar("T")
LABELS = ("labels/combined_labels.json", "labels/combined_windows.json")
"""Either says in which series its authors saw an anomaly."""
UNLABELLED = "artificialNoAnomaly"
LEARNT = 0.15
"""The part of a series from which its limit is taken, as the benchmark's own detectors have it to learn."""
BETWEEN_CHANGES = timedelta(hours=6)
HOLE = 6
"""So many missing samples are a hole."""
HELD = timedelta(minutes=45)
"""So long a breach has to be there behind a hole, at least; three samples where they are further apart."""
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: {name}}}
spec:
  mode: auto
  target: {{kubernetes: {{namespace: nab, deployment: {name}}}}}
  every: {every:g}s
  watch: {watch}
  metrics: custom
  match: {{app: {name}}}
  rollback_when:
    - name: level
      gauge: nab_value
      above: {above:.6f}
      for: {held:g}m
  remedy:
    - revert: {{to: known-good}}
  notify: [oncall]
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One file: its samples in the order of time, and whether its authors saw an anomaly in it (None: they do not say)."""

    name: str
    samples: tuple[tuple[datetime, float], ...]
    is_labelled: bool | None

    @property
    def spacing(self) -> timedelta:
        """How far apart its samples usually are."""
        return timedelta(seconds=median((b - a).total_seconds() for (a, _), (b, _) in pairwise(self.samples)))

    @property
    def held(self) -> timedelta:
        """How long a breach has to be there behind a hole before it counts."""
        return max(HELD, 3 * self.spacing)

    def holes(self) -> list[tuple[datetime, datetime]]:
        """From the last sample before each hole to the first after it."""
        return [(a, b) for (a, _), (b, _) in pairwise(self.samples) if b - a >= HOLE * self.spacing]


def report(folder: Path) -> str:
    """What came of it, a line for each series and the sums; says so where there is no such folder, or no Prometheus."""
    if not folder.is_dir():
        return f"{folder}: no such folder; the Numenta Anomaly Benchmark is not shipped with rollbackd, so nothing was measured"
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        return "prometheus and promtool are not installed (as root on Debian: make servers), so nothing was measured"
    lines = list(read(folder))
    calm = [line for line in lines if line.is_labelled is False]
    judged = {line.name: rolled_back(line) for line in _shown(calm, "series")}
    found = [(line, hole) for line in lines for hole in line.holes()]
    holes = {f"{line.name}, {a:%Y-%m-%d %H:%M} to {b:%H:%M}": (confirmed_after(line, (a, b)), line.held) for line, (a, b) in _shown(found, "holes")}
    bridged = sum(after is not None and after < held for after, held in holes.values())
    return "\n".join(
        [
            *(f"{name}: {found} of {of} changes found bad" for name, (found, of) in judged.items()),
            *(f"hole of {name}: {_said(*waits)}" for name, waits in holes.items()),
            f"{len(calm)} of {len(lines)} series without labels: {sum(found for found, _ in judged.values())} found bad "
            f"of {sum(of for _, of in judged.values())} changes; {bridged} of {len(holes)} holes bridged",
        ]
    )


def _shown(these: Sequence[T], what: str) -> Iterator[T]:
    """Each of them, and on the terminal how many are done."""
    for number, one in enumerate(these):
        print(f"{number} of {len(these)} {what}", file=sys.stderr, flush=True)
        yield one


def _said(after: timedelta | None, held: timedelta) -> str:
    if after is None:
        return "not bridged: what was there before it is never confirmed"
    word = "BRIDGED" if after < held else "not bridged"
    waited, asked = (span / timedelta(minutes=1) for span in (after, held))
    return f"{word}: what was there before it is confirmed {waited:.0f} m after it, where {asked:.0f} m are asked"


def read(folder: Path) -> Iterator[Line]:
    """Every series below the folder."""
    labels = next((json.loads(file.read_text()) for name in LABELS if (file := folder / name).is_file()), None)
    for file in sorted(folder.rglob("*.csv")):
        with file.open(newline="") as text:
            rows = list(csv.DictReader(text))
        if not rows or not {"timestamp", "value"} <= rows[0].keys():
            continue
        samples = sorted({datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC): float(row["value"]) for row in rows}.items())
        yield Line("-".join((*file.parts[-2:-1], file.stem)).lower().replace("_", "-"), tuple(samples), _is_labelled(file, labels))


def _is_labelled(file: Path, labels: dict[str, list[object]] | None) -> bool | None:
    if labels is not None and (known := labels.get("/".join(file.parts[-2:]))) is not None:
        return bool(known)
    return False if file.parent.name == UNLABELLED else None


def rolled_back(line: Line) -> tuple[int, int]:
    """How many of the changes that come every six hours are rolled back, and of how many: half above what was seen in the first part is too much."""
    learnt = [value for _, value in line.samples[: max(2, int(LEARNT * len(line.samples)))]]
    above = max(learnt) + 0.5 * (max(learnt) - min(learnt))
    start, end = line.samples[len(learnt)][0], line.samples[-1][0]
    changes = [start + BETWEEN_CHANGES * number for number in range(1, max(2, int((end - start) / BETWEEN_CHANGES)))]
    found = _found(line, above, timedelta(minutes=15), changes, watch="1h")
    return sum(at is not None for at in found), len(changes)


def confirmed_after(line: Line, hole: tuple[datetime, datetime]) -> timedelta | None:
    """How long after the hole a breach is confirmed that is there all the time, before the hole and behind it; None: not at all.

    Less than ``held`` would be a hole that was bridged: the wait for a breach has to begin anew behind it.
    """
    lowest = min(value for _, value in line.samples)
    (found,) = _found(line, lowest - 1, line.held, [hole[0] - timedelta(minutes=15)], watch="6h")
    return None if found is None else found - hole[1]


def _found(line: Line, above: float, held: timedelta, changes: Sequence[datetime], watch: str) -> list[datetime | None]:
    """When each change would have been rolled back, or people been asked to, by the shipped backtest of a real Prometheus that has these samples."""
    with prometheus_with_history(_openmetrics(line)) as server:
        source = Prometheus("prometheus", server.url, scrape_interval=line.spacing)
        policy = _policy(line, above, held, watch)
        given = tuple(GivenChange(number, policy.target, at, at, f"v{number}") for number, at in enumerate(changes, 1))
        outcome = run(Asked((policy,), given, line.samples[-1][0] + timedelta(days=1)), lambda _: source)
    # What would have been left to people was found all the same.
    return [one.found.at if one.found is not None else None for one in outcome.judged]


def _policy(line: Line, above: float, held: timedelta, watch: str) -> Policy:
    every, minutes = line.spacing.total_seconds(), held / timedelta(minutes=1)
    loaded = load_policies({"nab.yaml": POLICY.format(name=line.name, every=every, above=above, held=minutes, watch=watch)})
    assert not loaded.faults, loaded.faults
    return loaded.policies[0]


def _openmetrics(line: Line) -> str:
    rows = [f'nab_value{{app="{line.name}"}} {value!r} {at.timestamp():.0f}' for at, value in line.samples]
    return "# TYPE nab_value gauge\n" + "\n".join(rows) + "\n# EOF\n"
