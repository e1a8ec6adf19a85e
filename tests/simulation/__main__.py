"""``make simulate N=10000``: so many incidents, or one story again with ``--seed``; the first story that fails is printed as short as it can be."""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.many import CORES, many
from tests.simulation.story import FAULTS, story
from tests.simulation.telling import Told, teller

SAY_EVERY = 30.0
"""Seconds between two lines of progress where they go to a file."""


def main() -> int:
    """0 where every promise was kept."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("incidents", type=int, nargs="?", default=2_000)
    asked.add_argument("--first", type=int, default=0, help="the seed of the first story")
    asked.add_argument("--seed", type=int, help="only the story of this seed")
    asked.add_argument("--processes", type=int, default=CORES, help="how many tell at once; the result is the same")
    args = asked.parse_args()
    return _many(args.first, args.incidents, args.processes) if args.seed is None else _one(args.seed)


def _many(first: int, wanted: int, processes: int) -> int:
    progress, met, failed, seed = Progress(wanted), Counter[str](), 0, first
    for seed, told in many(first, wanted, processes):
        met.update(told.met)
        progress.add(told.incidents)
        if told.broken:
            failed += 1
            _print_shortest(seed, told) if failed == 1 else print(f"\nseed {seed} breaks {told.text}")
    print(f"\nfaults met: {_counted(met, faults=True)}\nwhat else happened: {_counted(met, faults=False)}")
    told_of = f"{progress.incidents:,} incidents in {progress.stories:,} stories (seeds {first} to {seed}), {progress.took:.0f} s"
    print(f"{told_of}; {failed} stories broke a promise")
    return min(1, failed)


def _one(seed: int) -> int:
    with teller() as at:
        told = at.tell(story(seed))
    if told.broken:
        _print_shortest(seed, told)
        return 1
    print(f"seed {seed}: {told.incidents} incidents, every promise kept\nmet: {_counted(Counter(told.met), faults=True)}")
    return 0


def _print_shortest(seed: int, told: Told) -> None:
    print(f"\nseed {seed} breaks {told.text}\nleaving out what it does not need ...", file=sys.stderr)
    with teller() as at:
        print(f"{at.shortest(story(seed), told.broken)}\n=> {told.broken}; again: make simulate SEED={seed}", flush=True)


def _counted(met: Counter[str], *, faults: bool) -> str:
    return ", ".join(f"{kind} {number:,}" for kind, number in sorted(met.items()) if (kind in FAULTS or kind == "unseen-change") is faults)


class Progress:
    """One line on a terminal, a line now and then in a file."""

    def __init__(self, wanted: int) -> None:
        self.incidents = self.stories = 0
        self._wanted = wanted
        self._begun = self._said = time.monotonic()

    @property
    def took(self) -> float:
        return time.monotonic() - self._begun

    def add(self, incidents: int) -> None:
        """One more story."""
        self.incidents += incidents
        self.stories += 1
        is_line = sys.stderr.isatty()
        if not is_line and time.monotonic() - self._said < SAY_EVERY:
            return
        self._said = time.monotonic()
        left = self.took / max(self.incidents, 1) * max(self._wanted - self.incidents, 0)
        line = f"{self.incidents:,} of {self._wanted:,} incidents, {self.stories:,} stories, {self.took:.0f} s, {left:.0f} s to go"
        print(f"\r{line:<100}" if is_line else line, end="" if is_line else "\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
