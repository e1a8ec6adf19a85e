"""A run as JSON, and back: what is printed and plotted can be made again without running it again."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.scorecard.plan import Cell
from tests.bench.scorecard.reach import Figure
from tests.bench.scorecard.run import Outcome

LISTS = ("delays", "suggested")


def written(outcomes: Sequence[Outcome], figures: Sequence[Figure], seed: int) -> str:
    """The document of a run."""
    shown = [asdict(one) | _lists(one) for one in outcomes]
    lines = [dict(zip(("what", "target", "measured", "interval", "services", "word"), one.row(), strict=True)) for one in figures]
    return json.dumps({"kind": "Scorecard", "seed": seed, "figures": lines, "outcomes": shown}, indent=1)


def _lists(one: Outcome) -> dict[str, list[float]]:
    return {name: [round(delay, 1) for delay in getattr(one, name)] for name in LISTS}


def read(file: Path) -> list[Outcome]:
    """The outcomes of a document."""
    found = json.loads(file.read_text())["outcomes"]
    return [Outcome(**one | {"cell": Cell(**one["cell"])} | {name: tuple(one.get(name, ())) for name in LISTS}) for one in found]
