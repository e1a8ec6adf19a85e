"""``make mutation``: plants small faults in what decides, one at a time, and tells which of them no test notices."""

import argparse
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.trying import ASKED, Fate, Trial

DECIDING = [
    *(f"policies/judge/{name}.py" for name in ("verdict", "evidence", "trial", "evalue", "bursts", "tally", "systemic")),
    *(f"policies/watching/{name}.py" for name in ("confirm", "recovery")),
    *(f"policies/decide/{name}.py" for name in ("step", "opening", "proof", "coming", "ladder", "guards", "hands")),
    *(f"policies/known/{name}.py" for name in ("freeze", "fold", "incident", "changes")),
    *(f"policies/blame/{name}.py" for name in ("attribution", "neighbours")),
]
"""What a wrong rollback would come from."""
ACCEPTED = Path(__file__).with_name("accepted.yaml")
"""Mutants that no test need notice, each with its reason: the name of the mutant under its module."""
LAST = Path(".cache/mutation.json")
"""What became of the mutants that were tried, for ``--survivors``."""


def main() -> int:
    """0 where every mutant was noticed or is accepted; 1 otherwise, also where something is accepted that is no mutant any more."""
    asked = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    asked.add_argument("modules", nargs="*", default=DECIDING, help="files under policies/ or controller/; what decides by default")
    asked.add_argument("--tests", nargs="+", default=["tests/policies"], help="the tests that are asked")
    asked.add_argument("--seconds", type=float, default=ASKED, help="CPU seconds of tests for each mutant, beside those of its module's own file")
    asked.add_argument("--sample", type=int, help="only so many mutants, drawn at random")
    asked.add_argument("--seed", type=int, default=1, help="of the draw")
    asked.add_argument("--survivors", action="store_true", help="what a test noticed before is taken as noticed")
    args = asked.parse_args()
    mutants = [mutant for file in args.modules for mutant in mutants_of(file, Path(file).read_text())]
    accepted = _accepted()
    stale = sorted(set(accepted) - {mutant.name for mutant in mutants}) if args.modules == DECIDING else []
    known = _noticed_before(mutants) if args.survivors else []
    if args.sample and args.sample < len(mutants):
        mutants = sorted(random.Random(args.seed).sample(mutants, args.sample), key=lambda mutant: (mutant.file, mutant.line))
    left = [mutant for mutant in mutants if mutant not in known]
    fates = [*((mutant, Fate.KILLED) for mutant in known), *try_all(left, args.tests, args.seconds)]
    return _report(fates, accepted, stale)


def _noticed_before(mutants: Sequence[Mutant]) -> list[Mutant]:
    last = json.loads(LAST.read_text())
    return [mutant for mutant in mutants if last.get(mutant.name) == Fate.KILLED.value]


def try_all(mutants: Sequence[Mutant], tests: Sequence[str], seconds: float) -> list[tuple[Mutant, Fate]]:
    """The fate of each mutant under these tests; none where the tests could not be collected."""
    fates: list[tuple[Mutant, Fate]] = []
    begun = time.monotonic()

    def tell(mutant: Mutant, fate: Fate) -> None:
        fates.append((mutant, fate))
        if len(fates) % 50 == 0:
            _remember(fates)
            print(f"{len(fates)} of {len(mutants)} mutants, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)

    plugin = Trial(mutants, {*DECIDING, *(mutant.file for mutant in mutants)}, tell, seconds)
    pytest.main(["-q", "-s", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning", *tests], plugins=[plugin])
    _remember(fates)
    return fates


def _accepted() -> dict[str, str]:
    found: dict[str, dict[str, str]] = yaml.safe_load(ACCEPTED.read_text()) or {}
    return {f"{file} {mutant}": reason for file, mutants in found.items() for mutant, reason in mutants.items()}


def _remember(fates: Sequence[tuple[Mutant, Fate]]) -> None:
    LAST.parent.mkdir(exist_ok=True)
    known = json.loads(LAST.read_text()) if LAST.exists() else {}
    # Of mutants with one name the one that survived counts.
    known |= {mutant.name: Fate.KILLED.value for mutant, _ in fates} | {mutant.name: fate.value for mutant, fate in fates if not fate.is_noticed}
    LAST.write_text(json.dumps(known, indent=1))


def _report(fates: Sequence[tuple[Mutant, Fate]], accepted: dict[str, str], stale: Sequence[str]) -> int:
    by_file: dict[str, list[tuple[Mutant, Fate]]] = defaultdict(list)
    for mutant, fate in fates:
        by_file[mutant.file].append((mutant, fate))
    print(f"{'module':38} mutants  noticed  accepted  score  without the accepted")
    for file, found in [*by_file.items(), ("all", list(fates))]:
        print(_line(file, found, accepted))
    left = [(mutant, fate) for mutant, fate in fates if not fate.is_noticed and mutant.name not in accepted]
    for mutant, fate in left:
        print(f"{fate.value}: {mutant.file}:{mutant.line} {mutant.scope or '(module)'}: {mutant.before} -> {mutant.after}")
    for name in stale:
        print(f"accepted, and no mutant any more: {name}; take it out of {ACCEPTED.name}")
    needless = sorted({mutant.name for mutant, _ in fates if mutant.name in accepted} - {m.name for m, fate in fates if not fate.is_noticed})
    for name in needless:
        print(f"accepted, and noticed by a test: {name}; take it out of {ACCEPTED.name}")
    return int(bool(left or stale or needless or not fates))


def _line(file: str, found: Sequence[tuple[Mutant, Fate]], accepted: dict[str, str]) -> str:
    told = Counter(fate.is_noticed for _, fate in found)
    excused = sum(not fate.is_noticed and mutant.name in accepted for mutant, fate in found)
    whole, rest = len(found), max(1, len(found) - excused)
    return f"{file:38} {whole:7}  {told[True]:7}  {excused:8}  {told[True] / max(1, whole):5.1%}  {told[True] / rest:.1%}"


if __name__ == "__main__":
    sys.exit(main())
