"""Plants one mutant at a time and asks the tests that run its lines: each in a fork, so that imports and collection are paid once.

It is a plug-in of one pytest run. First a fork runs every test and tells which lines each of them ran; then each mutant has a fork of its own, ended
by the first test that fails or by the CPU time it may take. This process itself runs no test, so every fork begins clean.
"""

import gc
import importlib.abc
import importlib.machinery
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import hypothesis
import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.seen import Seen, passing, seen_by

ASKED = 1.5
"""CPU seconds of tests beside its own that a mutant is shown to at most, the quickest first."""
PATIENCE, GRACE = 5, 10
"""A mutant runs for ever where its tests take so many times what they take without it, and so many seconds more."""
IDLE = 6
"""One that waits for what never comes uses no CPU time: it is ended after so many times the CPU seconds that it may use, by the wall's clock."""


class Fate(Enum):
    """What became of a mutant. TIMEOUT counts as killed, UNCOVERED as survived: no test runs its lines."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    UNCOVERED = "uncovered"

    @property
    def is_noticed(self) -> bool:
        """True where the tests would have told."""
        return self in (Fate.KILLED, Fate.TIMEOUT)


class Trial:
    """The plug-in: ``tell`` hears of each mutant's fate as it is known; ``files`` are those of the mutants, and may be more.

    Tests that do not pass without a mutant are not asked, and beside the module's own none beyond ``seconds`` of CPU time.
    """

    def __init__(self, mutants: Sequence[Mutant], files: Iterable[str], tell: Callable[[Mutant, Fate], None], seconds: float = ASKED) -> None:
        self._mutants = mutants
        self._seconds = seconds
        self._files = {str(Path(file).resolve()) for file in files}
        self._tell = tell
        self._killers: list[str] = []

    def pytest_configure(self) -> None:
        # Whatever is drawn is drawn alike for every mutant, a slow machine kills none, and what kills need not be small.
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None, phases=phases)
        hypothesis.settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        seen = seen_by(session.items, self._files)
        items = sorted((item for item in session.items if item.nodeid in seen), key=lambda item: seen[item.nodeid].took)
        gc.collect()
        gc.freeze()  # what is here stays as it is: no fork copies it only to look it through
        for mutant in self._mutants:
            self._tell(mutant, self._tried(mutant, list(_asked(mutant, items, seen, self._seconds)), seen))
        return True

    def _tried(self, mutant: Mutant, asked: list[pytest.Item], seen: dict[str, Seen]) -> Fate:
        if not asked:
            return Fate.UNCOVERED
        # What told of the mutants before will likely tell of this one too.
        asked.sort(key=lambda item: -self._killers.index(item.nodeid) if item.nodeid in self._killers else 1)
        fate, killer = _fate(mutant, asked, sum(seen[item.nodeid].took for item in asked))
        if killer:
            self._killers = [*(name for name in self._killers if name != killer), killer]
        return fate


def _asked(mutant: Mutant, items: Sequence[pytest.Item], seen: dict[str, Seen], left: float) -> Iterator[pytest.Item]:
    """The tests that run the mutant's statement; of one outside functions, which runs at import, the tests beside any that runs the module.

    All of those in the file of tests that is named after the module, then as many others, the quickest first, as take no longer than ``left``.
    """
    file, own = str(Path(mutant.file).resolve()), f"test_{Path(mutant.file).stem}"
    beside = {item.path for item in items if any(where == file for where, _ in seen[item.nodeid].lines)}
    for item in sorted(items, key=lambda item: item.path.stem != own):
        found = seen[item.nodeid]
        is_run = any(where == file and line in mutant.lines for where, line in found.lines) if mutant.scope else item.path in beside
        if is_run and (left > 0 or item.path.stem == own):
            left -= 0 if item.path.stem == own else found.took
            yield item


def _fate(mutant: Mutant, asked: Sequence[pytest.Item], took: float) -> tuple[Fate, str]:
    """What became of it, and the test that told, where that is known."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _end_as(lambda: _killer(mutant, asked), write, round(took * PATIENCE + GRACE))
    os.close(write)
    with os.fdopen(read) as told:
        killer = told.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Fate.TIMEOUT, ""
    return Fate.KILLED if os.WEXITSTATUS(status) else Fate.SURVIVED, killer


def _end_as(killer: Callable[[], str | None], write: int, seconds: int) -> None:
    """Ends this process: 1 and the name of the test where one told; by a signal where the CPU time is used up, or it only waits."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.alarm(IDLE * seconds)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        found = killer()
        os.write(write, (found or "").encode())
        os._exit(int(found is not None))
    except BaseException:  # noqa: BLE001 whatever ends it, the mutant did
        os._exit(1)


def _killer(mutant: Mutant, asked: Sequence[pytest.Item]) -> str | None:
    """The test that tells of the mutant, empty where that is not known; None where none does."""
    code = mutant.compiled()
    if mutant.scope and _swap(module_of(mutant.file), mutant.scope, code):
        return next((item.nodeid for item, passes in passing(asked) if not passes), None)
    return "" if _is_killed_anew(mutant, code, [item.nodeid for item in asked]) else None


def module_of(file: str) -> str:
    """The name under which a module of this repository is imported."""
    path = Path(file).with_suffix("")
    return ".".join(path.parts if path.parts[0] == "tests" else ("rollbackd", *path.parts))


def _swap(module: str, scope: str, code: CodeType) -> bool:
    """Whether the function that everybody holds runs the mutant's code from now on."""
    found: Any = sys.modules[module]
    for name in scope.split("."):
        found = vars(found).get(name)
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or getattr(found, "__wrapped__", None) or found
    mutated = next(_functions_in(code, scope), None)
    if not isinstance(found, FunctionType) or mutated is None or mutated.co_freevars != found.__code__.co_freevars:
        return False
    found.__code__ = mutated
    return True


def _functions_in(code: CodeType, scope: str) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == scope:
                yield constant
            yield from _functions_in(constant, scope)


def _is_killed_anew(mutant: Mutant, code: CodeType, names: Sequence[str]) -> bool:
    """The same for what runs at import: this fork forgets the product and the tests, and imports them with the mutant."""
    for name in [name for name in sys.modules if name.startswith(("rollbackd.", "tests."))]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Planted(module_of(mutant.file), mutant.file, code))
    quiet = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # that hypothesis is imported already is no fault
    return pytest.main(["-x", "-q", *quiet, *names]) != pytest.ExitCode.OK


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from the code of its mutant."""

    def __init__(self, name: str, file: str, code: CodeType) -> None:
        self._name, self._file, self._code = name, file, code

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, origin=self._file) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(Path(self._file).resolve())
        exec(self._code, vars(module))
