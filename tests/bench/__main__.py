"""The figures of docs/benchmarks.md: ``python -m tests.bench [--json] [NAME...]``. One run's, beside the budgets; nothing fails by being slow."""

import argparse
import sys
from collections.abc import Callable, Mapping

from tests.bench import aws, backtest, check, detection, flags, patch, slot, start, step, takeover
from tests.bench.figures import Figure, as_json, machine, table

BENCHES: Mapping[str, Callable[[], list[Figure]]] = {
    "start": start.figures,
    "check": check.figures,
    "step": step.figures,
    "patch": patch.figures,
    "detection": detection.figures,
    "flags": flags.figures,
    "aws": aws.figures,
    "backtest": backtest.figures,
    "takeover": takeover.figures,
    "slot-1000": lambda: slot.figures(1_000),
    "slot-10000": lambda: slot.figures(10_000),
}


def main(args: list[str]) -> None:
    """Run the named benches, or all, one after the other, and print what they measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="NAME", help=f"of {', '.join(BENCHES)}; default all")
    parser.add_argument("--json", action="store_true", help="JSON, with how each figure was taken")
    told = parser.parse_args(args)
    found: list[Figure] = []
    for name in told.names or BENCHES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found += BENCHES[name]()
    print(as_json(found) if told.json else f"{table(found)}\n\n{machine()}")


if __name__ == "__main__":
    main(sys.argv[1:])
