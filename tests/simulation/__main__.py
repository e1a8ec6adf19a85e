"""``make simulate N=10000``: so many incidents, or one story again with ``--seed``; a story that fails is printed as short as it can be."""

import argparse
import sys
import time

from tests.simulation.story import story
from tests.simulation.telling import Teller, Told, teller


def main() -> int:
    """0 where every promise was kept."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("incidents", type=int, nargs="?", default=2_000)
    asked.add_argument("--first", type=int, default=0, help="the seed of the first story")
    asked.add_argument("--seed", type=int, help="only the story of this seed")
    args = asked.parse_args()
    with teller() as at:
        if args.seed is not None:
            return _one(at, args.seed)
        return _many(at, args.first, args.incidents)


def _many(at: Teller, seed: int, wanted: int) -> int:
    begun, incidents, first, failed = time.monotonic(), 0, seed, 0
    while incidents < wanted:
        told = at.tell(story(seed))
        incidents += told.incidents
        failed += bool(told.broken)
        if told.broken:
            _print_shortest(at, seed, told)
        seed += 1
        _show(incidents, wanted, seed - first, time.monotonic() - begun)
    took = time.monotonic() - begun
    print(f"\n{incidents:,} incidents in {seed - first:,} stories (seeds {first} to {seed - 1}), {took:.0f} s; {failed} stories broke a promise")
    return min(1, failed)


def _one(at: Teller, seed: int) -> int:
    told = at.tell(story(seed))
    if told.broken:
        _print_shortest(at, seed, told)
        return 1
    print(f"seed {seed}: {told.incidents} incidents, every promise kept")
    return 0


def _print_shortest(at: Teller, seed: int, told: Told) -> None:
    print(f"\nseed {seed} breaks {told.text}\nleaving out what it does not need ...", file=sys.stderr)
    print(f"{at.shortest(story(seed), told.broken)}\n=> {told.broken}; again: make simulate SEED={seed}")


def _show(incidents: int, wanted: int, stories: int, took: float) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    if end == "\r" or stories % 20 == 0:
        left = took / max(incidents, 1) * max(wanted - incidents, 0)
        print(f"{incidents:,} of {wanted:,} incidents, {stories} stories, {took:.0f} s, {left:.0f} s to go", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
