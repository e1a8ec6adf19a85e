"""``make soak``: the shipped daemon for 30 real minutes with faults on; exit code 1 where a limit is broken."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.figures import machine
from tests.soak.course import Run, run
from tests.soak.limits import Finding, findings, table
from tests.soak.plot import draw
from tests.soak.samples import Sample
from tests.soak.town import town_in

OUT = Path(__file__).parents[2] / ".cache" / "soak"


def main(args: Sequence[str]) -> int:
    """0 where every limit was kept; the table is printed, the plot and the samples are in the folder."""
    asked = _parser().parse_args(args)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rollbackd-soak-", ignore_cleanup_errors=True) as folder, town_in(Path(folder)) as town:
        town.open()
        told = run(town, asked.minutes, lambda one: _show(one, asked.minutes))
    found = findings(told)
    print(f"\n{table(found)}\n\n{asked.minutes:g} minutes with faults, {(time.monotonic() - began) / 60:.0f} in all; {machine()}")
    write(asked.out, told, found)
    print(f"{asked.out}/soak.svg, {asked.out}/soak.json")
    return int(not all(each.is_kept for each in found))


def write(folder: Path, told: Run, found: Sequence[Finding]) -> None:
    """The plot and all samples are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.svg").write_text(draw(told.samples))
    document = {"machine": machine(), "findings": [asdict(each) for each in found], **asdict(told)}
    (folder / "soak.json").write_text(json.dumps(document, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="with faults; default %(default)g")
    parser.add_argument("--out", type=Path, default=OUT, help="a folder for soak.svg and soak.json; default .cache/soak")
    return parser


def _show(one: Sample, minutes: float) -> None:
    cost = f"RSS {one.rss_mib:6.1f} MiB  files {one.files:3}  threads {one.threads:3}  late {one.late:6.3f} s  missed {one.missed}"
    line = f"{one.at * 60:5.1f} of {minutes:g} min  {cost}  writes {one.accepted}  {one.fault}"
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{line:<120}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
