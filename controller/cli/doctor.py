"""The command that looks before anything has to work: doctor."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from rollbackd.controller.api.client import UNREACHABLE
from rollbackd.controller.cli.options import FILE, prints
from rollbackd.controller.cli.show import say, show
from rollbackd.controller.numbers import counted

if TYPE_CHECKING:
    from rich.console import Console

    from rollbackd.controller.doctor.findings import Finding
    from rollbackd.controller.doctor.surroundings import Surroundings
    from rollbackd.controller.logs import Secrets
    from rollbackd.policies.text.faults import Fault

FOUND = 2
COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red"}


@click.command(
    short_help="Check config, rights, sources, contacts, known goods.",
    epilog="It reads only: nothing is written, locked or sent, and the daemon may run beside it.\n\n"
    "Exit codes: 0 fine, 2 something failed (with --strict also what is only doubtful), 4 nothing outside could be reached, "
    "and nothing else failed.\n\n"
    "Examples:\n\n\b\n  rollbackd doctor --config /etc/rollbackd/rollbackd.yaml\n  rollbackd doctor --workload shop/checkout\n"
    "  rollbackd doctor -o json | jq '.findings[] | select(.grade == \"fail\")'",
)
@click.option("--config", type=FILE, default="rollbackd.yaml", show_default=True, help="The daemon's config.")
@click.option("--within", type=click.IntRange(1, 3600), default=60, show_default=True, metavar="SECONDS", help="The longest it may take.")
@click.option("--workload", metavar="TARGET", help="Propose a metric profile for this Deployment instead, such as shop/checkout.")
@click.option("--source", metavar="NAME", help="The metric source to look in for it, where there are several.")
@click.option("--strict", is_flag=True, help="A warning is a failure.")
@prints
def doctor(config: Path, within: int, workload: str | None, source: str | None, output: str, *, strict: bool) -> None:
    """Check what the daemon needs before it needs it: config, policies, sources, targets and rights, known goods, contacts, journal, pause switch.

    With --workload: look which metrics a source has for a Deployment, by every profile, and propose what its policy should say.
    """
    if workload is not None:
        from rollbackd.controller.cli.doctor_profile import proposed

        with quietly():
            code = proposed(config, workload, source, output)
        click.get_current_context().exit(code)
    from rollbackd.controller.doctor import findings
    from rollbackd.controller.doctor.findings import Grade

    found = _examined(config, timedelta(seconds=within))
    show(findings.document(found), output, lambda out: _table(found, out))
    counts = {grade: findings.count_of(found, grade) for grade in Grade}
    say(f"{counts[Grade.PASS]} passed, {counted(counts[Grade.WARN], 'warning')}, {counts[Grade.FAIL]} failed")
    is_bad = counts[Grade.FAIL] > 0 or (strict and counts[Grade.WARN] > 0)
    click.get_current_context().exit(UNREACHABLE if findings.is_cut_off(found) else FOUND if is_bad else 0)


def _examined(file: Path, within: timedelta) -> "tuple[Finding, ...]":
    from rollbackd.controller.doctor.checks import CHECKS, examine
    from rollbackd.controller.logs import Secrets

    secrets = Secrets()
    around = _around(file, secrets)
    if isinstance(around, tuple):
        return _faulty(file, around)
    with quietly(), _progress(len(CHECKS)) as told:
        found = examine(around, within=within, told=told)
    return tuple(replace(one, found=secrets.hide(one.found)) for one in found)


def _around(file: Path, secrets: "Secrets") -> "Surroundings | tuple[Fault, ...]":
    """What there is to look at; the faults of a config that cannot be read by a daemon either."""
    from rollbackd.controller.cli.config_file import config_text, parsed
    from rollbackd.controller.config.load import Config, names
    from rollbackd.controller.texts import Texts
    from rollbackd.controller.wiring.doctor import surroundings
    from rollbackd.policies.load import load_policies

    config = parsed(config_text(file), file)
    if not isinstance(config, Config):
        return config
    return surroundings(str(file), config, load_policies(Texts(config.policies), names(config)), secrets)


def _faulty(file: Path, faults: "tuple[Fault, ...]") -> "tuple[Finding, ...]":
    from rollbackd.controller.doctor.findings import Finding, Grade

    advice = f"see `rollbackd check --config {quote(str(file))}`; nothing else could be checked"
    return tuple(Finding("config", f"{fault.file}:{fault.line}", Grade.FAIL, f"{fault.trail}: {fault.message}", advice) for fault in faults)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """What the daemon's parts would log is in the table already."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def _progress(checks: int) -> Iterator[Callable[[str], None]]:
    """Tells which checks have ended, on a terminal; the line is gone afterwards."""
    ended: list[str] = []

    def tell(name: str) -> None:
        ended.append(name)
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{len(ended)} of {checks} checks done: {name}", err=True, nl=False)

    try:
        yield tell
    finally:
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)


def _table(found: "tuple[Finding, ...]", out: "Console") -> None:
    from rich.markup import escape

    from rollbackd.controller.cli.tables import grid
    from rollbackd.policies.text.faults import unbroken

    table = grid("!", "check!", "about", "found")
    for finding in found:
        grade = finding.grade.value
        said = escape(unbroken(finding.found)) + (f" [dim]-> {escape(finding.advice)}[/]" if finding.advice else "")
        table.add_row(f"[{COLOURS[grade]}]{grade.upper()}[/]", finding.check, escape(unbroken(finding.subject)), said)
    out.print(table)
