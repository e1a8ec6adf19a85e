"""Commands for pipelines and auditors: wait, audit verify."""

import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from rollbackd.controller.api.client import Client
from rollbackd.controller.cli.options import FILE, finds_daemon, prints, talks_to_daemon
from rollbackd.controller.cli.show import say, show

if TYPE_CHECKING:
    from rich.console import Console

FOUND = 2
PASSED_BY = 1
LOOK_EVERY = 2.0
VERIFYING = 600.0
SHORTEST_HEAD, LONGEST_HEAD = 16, 64
_CONFIG, _HEAD = re.compile(rb"^kind:\s*Config\b", re.MULTILINE), 65_536
ENDS = {"good": 0, "bad": FOUND, "superseded": PASSED_BY}


def _length(context: click.Context, option: click.Parameter, text: str) -> timedelta:
    from rollbackd.policies.text.units import UnitError, duration

    try:
        return duration(text)
    except UnitError as fault:
        raise click.BadParameter(f"expected {fault}") from fault


@click.command(
    short_help="Wait until a revision is good or bad.",
    epilog="Exit codes: 0 it is known good, 2 it is bad (rolled back, declared, or blamed by an incident), 1 it was replaced or the time is up.\n\n"
    "Examples:\n\n\b\n  rollbackd wait shop/checkout --revision 7f9c2d5510aa34be --timeout 45m",
)
@click.argument("target")
@click.option("--revision", required=True, help="The revision that was released, as `rollbackd changes` names it.")
@click.option("--timeout", default="60m", show_default=True, metavar="TIME", callback=_length, help="How long to wait, such as 45m.")
@talks_to_daemon
@prints
def wait(client: Client, target: str, revision: str, timeout: timedelta, output: str) -> None:
    """Wait until a revision has served its bake time without a breach, or has gone bad: the last step of a pipeline."""
    from rollbackd.policies.known.reasons import duration_text

    until, last = time.monotonic() + timeout.total_seconds(), ""
    while True:
        document = client.get("standing", target=target, revision=revision)
        code = ENDS.get(document["state"], PASSED_BY if time.monotonic() >= until else None)
        if code is not None:
            _told(document, output)
            if document["state"] not in ENDS:
                say(f"the time is up, after {duration_text(timeout)}: it is neither known good nor bad")
            click.get_current_context().exit(code)
        if (said := f"{document['state']}: {document['said']}") != last:
            say(f"{document['target']} {revision} {said}")
        last = said
        time.sleep(min(LOOK_EVERY, max(until - time.monotonic(), 0.0)))


def _told(document: dict[str, Any], output: str) -> None:
    def table(out: "Console") -> None:
        out.print(f"{document['target']} {document['revision']} is {document['state']}: {document['said']}", markup=False)

    show(document, output, table)


def _head(context: click.Context, option: click.Parameter, heads: tuple[str, ...]) -> tuple[str, ...]:
    for head in heads:
        if not SHORTEST_HEAD <= len(head) <= LONGEST_HEAD or not set(head) <= set("0123456789abcdef"):
            raise click.BadParameter(f"expected at least {SHORTEST_HEAD} of the 64 digits of a hash, 0-9 and a-f, found {head[:80]!r}")
    return heads


@click.group(
    short_help="Prove that the journal is as it was written.",
    epilog="Examples:\n\n\b\n  rollbackd audit verify\n  rollbackd audit verify --kept heads-2026-11.json",
)
def audit() -> None:
    """Prove that the journal is as it was written."""


@audit.command(
    short_help="Check the journal's hash chain.",
    epilog="Exit codes: 0 it holds, 2 it does not.\n\n"
    "Examples:\n\n\b\n  rollbackd audit verify -o json > heads-2026-11.json    # keep this elsewhere\n"
    "  rollbackd audit verify --kept heads-2026-11.json\n  rollbackd audit verify --head 3f2a9c01b7de4455     # from a page\n"
    "  rollbackd audit verify /archive/journal-*.jsonl.gz    # with what `rollbackd compact` moved away\n"
    "  rollbackd audit verify /backup/rollbackd-2026-11-26.db    # a backup, without a daemon",
)
@click.argument("files", nargs=-1, type=FILE)
@click.option("--kept", type=FILE, help="An earlier `audit verify -o json`: its heads have to be there still, or rows were cut off or written anew.")
@click.option("--head", "heads", multiple=True, metavar="HASH", callback=_head, help="A head from a page or the log: its row has to be there still.")
@finds_daemon
@prints
def verify(daemon: Callable[[], Client], files: tuple[Path, ...], kept: Path | None, heads: tuple[str, ...], output: str) -> None:
    """Check the journal's hash chain, and that of FILES that `rollbackd compact` moved rows to. A file of `rollbackd backup` is checked in place of
    the daemon's journal. A chain does not show that its end was cut off: keep the heads elsewhere, and name them with --kept.
    """
    _refuse_configs(files)
    known = [*heads, *(_heads(kept) if kept is not None else ())]
    journals = _journals(files)
    document = _of_file(journals[0], known) if journals else daemon().get("audit", VERIFYING, kept=known)
    if exported := tuple(file for file in files if file not in journals):
        document = with_files(document, exported)
    show(document, output, lambda out: _verified(document, out))
    is_bad = document["fault"] or document["missing"] or document.get("gaps")
    click.get_current_context().exit(FOUND if is_bad else 0)


def _refuse_configs(files: Sequence[Path]) -> None:
    """Raises click.UsageError for a daemon's config among them: it names the journal, and is none."""
    for file in files:
        with suppress(OSError), file.open("rb") as text:  # what cannot be read is said where it is needed
            if _CONFIG.search(text.read(_HEAD)):
                how = f"rollbackd audit verify --config {quote(str(file))} asks its daemon"
                raise click.UsageError(f"{file} is a daemon's config, and FILES hold rows of a journal: {how}")


def _journals(files: Sequence[Path]) -> tuple[Path, ...]:
    """Those of the files that are databases: one at most."""
    from rollbackd.controller.journal.sqlite import is_sqlite

    try:
        found = tuple(dict.fromkeys(file for file in files if is_sqlite(file)))
    except OSError as fault:
        raise click.ClickException(f"{fault.filename} cannot be read: {fault.strerror}") from fault
    if len(found) > 1:
        raise click.UsageError(f"one journal at a time: {', '.join(str(file) for file in found)}")
    return found


def _of_file(file: Path, known: list[str]) -> dict[str, Any]:
    from rollbackd.controller.answers.wire import document
    from rollbackd.controller.audit import audit_file
    from rollbackd.controller.journal.errors import StoreError, StoreUnfit

    try:
        return {**document(audit_file(file, known)), "journal": str(file)}
    except StoreUnfit as fault:
        raise click.UsageError(str(fault)) from fault
    except StoreError as fault:
        raise click.ClickException(str(fault)) from fault


def with_files(document: dict[str, Any], files: tuple[Path, ...]) -> dict[str, Any]:
    """The audit together with the rows in these files; a file that does not hold is the fault. Raises click.UsageError for a file of another kind."""
    from rollbackd.controller.journal.errors import StoreError
    from rollbackd.controller.journal.exports import NoExport, join

    try:
        joined = join(files, {writer: removed["hash"] for writer, removed in document["exported"].items()})
    except NoExport as fault:
        raise click.UsageError(f"{fault}; FILES are those of `rollbackd compact`, and one of `rollbackd backup`") from fault
    except StoreError as fault:
        return {**document, "fault": document["fault"] or str(fault)}
    missing = [head for head in document["missing"] if not joined.holds(head)]
    rows = {str(path): proven.rows for path, proven in joined.files}
    return {**document, "missing": missing, "files": rows, "gaps": list(joined.gaps)}


def _heads(file: Path) -> list[str]:
    try:
        heads = json.loads(file.read_text())["heads"]
        return [str(head) for head in heads.values()]
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise click.ClickException(f"{file} is no output of `rollbackd audit verify -o json`") from fault


def _verified(document: dict[str, Any], out: "Console") -> None:
    if document["fault"]:
        out.print(f"BROKEN at {document['fault']}", markup=False)
    is_elsewhere = ", or lie in a file that is not named" if document["exported"] else ""
    for head in document["missing"]:
        out.print(f"MISSING {head}: the row was there when it was noted down; rows were cut off, or written anew{is_elsewhere}", markup=False)
    for gap in document.get("gaps", ()):
        out.print(f"MISSING {gap}, which is in no file named here", markup=False)
    if not document["fault"] and not document["missing"]:
        out.print(f"the chain holds over {document['rows']} rows{f' in {journal}' if (journal := document.get('journal')) else ''}", markup=False)
    for file, rows in document.get("files", {}).items():
        out.print(f"the chain holds over {rows} rows in {file}", markup=False)
    for writer, removed in document["exported"].items():
        out.print(f"{removed['rows']} earlier rows of {writer} were moved to files; the last of them: {removed['hash']}", markup=False)
    for writer, head in document["heads"].items():
        out.print(f"head of {writer}: {head}", markup=False)
