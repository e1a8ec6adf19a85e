"""Which lines of the product each test runs: told by a fork that runs them all, and remembered for the test files that have not changed since."""

import hashlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

TRACED = 1.5
"""CPU seconds after which a test is no longer traced: by then it has run the lines that it runs."""
KNOWN = Path(".cache/mutation-lines.pickle")
PRODUCT = ("policies", "adapters", "controller")


@dataclass(frozen=True)
class Seen:
    """What one test ran of the modules, in how many CPU seconds; it passed."""

    lines: frozenset[tuple[str, int]]
    took: float


def seen_by(items: Sequence[pytest.Item], files: set[str]) -> dict[str, Seen]:
    """What each test runs of these files, by its name, where it passes."""
    known: dict[str, dict[str, Seen]] = pickle.loads(KNOWN.read_bytes()) if KNOWN.exists() else {}
    product = _digest(sorted(path for part in PRODUCT for path in Path(part).rglob("*.py")), *sorted(files))
    keys = {file: _digest([file, *_helpers(file)], product) for file in {item.path for item in items}}
    fresh = [item for item in items if keys[item.path] not in known]
    found = _in_fork(lambda: _run_all(fresh, files)) if fresh else {}
    for file in {item.path for item in fresh}:
        known[keys[file]] = {item.nodeid: found[item.nodeid] for item in fresh if item.path == file and item.nodeid in found}
    KNOWN.parent.mkdir(exist_ok=True)
    KNOWN.write_bytes(pickle.dumps(known))
    return {name: seen for file in keys.values() for name, seen in known[file].items()}


def _helpers(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.glob("*.py") if not path.name.startswith("test_"))


def _digest(files: Sequence[Path], *more: str) -> str:
    return hashlib.sha256(b"\0".join([*(path.read_bytes() for path in files), *(each.encode() for each in more)])).hexdigest()


def passing(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, bool]]:
    """Each test as it is run here, and whether it passed."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        yield item, all(report.passed for report in runtestprotocol(item, log=False, nextitem=following))


def _run_all(items: Sequence[pytest.Item], files: set[str]) -> dict[str, Seen]:
    """What each test ran of these files, by its name, where it passed."""
    found: dict[str, Seen] = {}
    for item, following in zip(items, [*items[1:], None], strict=True):
        lines: set[tuple[str, int]] = set()
        begun = time.process_time()
        with _traced(files, lines):
            passed = all(report.passed for report in runtestprotocol(item, log=False, nextitem=following))
        if passed:
            found[item.nodeid] = Seen(frozenset(lines), time.process_time() - begun)
    return found


@contextmanager
def _traced(files: set[str], lines: set[tuple[str, int]]) -> Iterator[None]:
    until = time.process_time() + TRACED

    def enter(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if time.process_time() > until:
            sys.settrace(None)
            return None
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return step

    def step(frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return step

    threading.settrace(enter)
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]  # the documented way to end it


def _in_fork(made: Callable[[], dict[str, Seen]]) -> dict[str, Seen]:
    """What a process of its own made: nothing that it did is left here."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            with os.fdopen(write, "wb") as out:
                pickle.dump(made(), out)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        found: dict[str, Seen] = pickle.load(told)
    os.waitpid(child, 0)
    return found
