"""The scorecard: ``python -m tests.bench.scorecard``. How often rollbackd is wrong and how long it takes to be right, beside baselines."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.scorecard import kept, nab, pace, page, plan, reach, tables
from tests.bench.scorecard.run import JUDGES, Outcome, Progress, run

DOCS = Path(__file__).parents[3] / "docs"


def main(args: Sequence[str]) -> None:
    """Run what is asked and print it; with ``--write`` also docs/accuracy.md and its plot."""
    told = _parser().parse_args(args)
    if told.nab is not None:
        print(nab.report(told.nab))
        return
    cells = plan.chosen(plan.quick() if told.quick else plan.full(), told.only)
    if not cells:
        sections = ", ".join(dict.fromkeys(cell.section for cell in plan.full()))
        raise SystemExit(f"nothing is called {', '.join(told.only)}: sections are {sections}; or name a kind")
    outcomes = kept.read(told.kept) if told.kept else run(cells, told.seed, JUDGES, told.jobs, Progress(time.perf_counter()))
    figures = [*reach.figures(outcomes), *pace.figures()]
    print(kept.written(outcomes, figures, told.seed) if told.json else _text(outcomes, figures))
    if told.write:
        page.write(DOCS, outcomes, figures, told.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scorecard", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few services of each row, in under a minute: that it runs, not what comes of it")
    parser.add_argument("--seed", type=int, default=plan.SEED, help="of all dice; default %(default)s")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a section or a kind; may be given again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; the figures do not depend on it")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md and its plot")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="the --json of a run: print and write that, run nothing")
    parser.add_argument("--nab", type=Path, metavar="FOLDER", help="instead: the Numenta Anomaly Benchmark's folder, through a real Prometheus")
    return parser


def _text(outcomes: Sequence[Outcome], figures: Sequence[reach.Figure]) -> str:
    return "\n\n".join(table.text() for table in [*tables.tables(outcomes), tables.reached(figures)])


if __name__ == "__main__":
    main(sys.argv[1:])
