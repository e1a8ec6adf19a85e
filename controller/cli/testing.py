"""`rollbackd test`: unit tests of policies."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackd.controller.cli.options import prints, to_write
from rollbackd.controller.cli.policies import FOUND
from rollbackd.controller.cli.show import say, show

if TYPE_CHECKING:
    from rich.console import Console

    from rollbackd.controller.policytest.cases import Case
    from rollbackd.controller.policytest.report import Result
    from rollbackd.controller.policytest.run import Outcome

NAMED = 5  # tests
SLOW = timedelta(seconds=1)
"""From when on a person at a terminal is told how far it is."""


@click.command(
    "test",
    short_help="Unit tests of policies, without a server.",
    epilog="Exit codes: 0 all passed, 2 a test failed or a file has faults, 64 usage.\n\n"
    "Examples:\n\n\b\n  rollbackd test tests/                            # every test of the folder\n"
    "  rollbackd test tests/checkout.yaml --timeline    # and what was judged and decided, look by look\n"
    "  rollbackd test tests/ --junit report.xml         # for a CI server",
)
@click.argument("places", metavar="FILES|FOLDERS...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-k", "wanted", metavar="NAME", help="Only tests with this in their name.")
@click.option(
    "--junit",
    "junit_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=to_write,
    help="Write JUnit XML too.",
)
@click.option("--timeline", is_flag=True, help="Show every look of every test.")
@prints
def test(places: tuple[Path, ...], wanted: str | None, junit_file: Path | None, output: str, *, timeline: bool) -> None:
    """Run unit tests of policies: given series and changes, is judged and decided what you expect? No server is asked, and nothing is touched."""
    from rollbackd.controller.policytest.report import document, summary

    result = _result(places, wanted)
    if junit_file is not None:
        _write_junit(result, junit_file)
    show(document(result, timeline=timeline), output, lambda out: _draw(result, out, timeline=timeline))
    say(summary(result))
    click.get_current_context().exit(0 if result.passed else FOUND)


def _result(places: tuple[Path, ...], wanted: str | None) -> "Result":
    from rollbackd.controller.cli.expressions import unreadable_in
    from rollbackd.controller.policytest.load import load_tests
    from rollbackd.controller.policytest.report import Result

    loaded = load_tests(places, unreadable_in)
    if not loaded.files:
        raise click.UsageError(f"no file with policy tests in {', '.join(str(place) for place in places)}")
    cases = [case for case in loaded.cases if wanted is None or wanted.casefold() in case.name.casefold()]
    if not cases and not loaded.faults:
        raise click.UsageError(f"no test has {wanted!r} in its name; there are: {_named([case.name for case in loaded.cases])}")
    return Result(loaded, tuple(_outcomes(cases)))


def _named(names: Sequence[str]) -> str:
    known = tuple(dict.fromkeys(names))
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return f"{', '.join(repr(name) for name in known[:NAMED])}{more}"


def _outcomes(cases: "list[Case]") -> "Iterator[tuple[Outcome, timedelta]]":
    from rollbackd.controller.policytest.run import run

    began, is_told = time.perf_counter(), False
    for number, case in enumerate(cases):
        if sys.stderr.isatty() and time.perf_counter() - began > SLOW.total_seconds():
            click.echo(f"\r{number} of {len(cases)} tests", err=True, nl=False)
            is_told = True
        start = time.perf_counter()
        outcome = run(case)
        yield outcome, timedelta(seconds=time.perf_counter() - start)
    if is_told:
        click.echo("\r\x1b[K", err=True, nl=False)


def _write_junit(result: "Result", file: Path) -> None:
    from rollbackd.controller.policytest.junit import junit

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(junit(result), encoding="utf-8")
    except OSError as fault:
        raise click.ClickException(f"{file} cannot be written: {fault.strerror}") from fault


def _draw(result: "Result", out: "Console", *, timeline: bool) -> None:
    from rich.markup import escape

    from rollbackd.controller.cli.faults import fault_text
    from rollbackd.controller.policytest.report import failure_lines, look_lines
    from rollbackd.policies.text.faults import unbroken

    for fault in (*result.loaded.faults, *result.loaded.warnings):
        out.print(escape(fault_text(fault, result.loaded.texts.get(fault.file, ""))) + "\n", soft_wrap=True)
    for file in dict.fromkeys(outcome.case.file for outcome, _ in result.outcomes):
        out.print(escape(unbroken(file)))
        for outcome in (outcome for outcome, _ in result.outcomes if outcome.case.file == file):
            word = "[green]ok[/]  " if outcome.passed else "[bold red]FAIL[/]"
            out.print(f"  {word}  {escape(outcome.case.name)}", soft_wrap=True)
            lines = [*failure_lines(outcome), *(look_lines(outcome, outcome.looks) if timeline else ())]
            for line in lines:
                out.print(f"        {escape(unbroken(line))}", soft_wrap=True)
