"""`rollbackd backtest`: what policies would have done about the changes of the past."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackd.controller.cli.options import prints, to_write
from rollbackd.controller.cli.past import Given, check_span, policies_in, reached, refuse, source_now, time_option, with_progress
from rollbackd.controller.cli.policies import FOUND
from rollbackd.controller.cli.prometheus import ADDRESS, CA_FILE, MATCH, SCRAPE_INTERVAL, TOKEN_FILE
from rollbackd.controller.cli.show import say, show
from rollbackd.controller.texts import bounded_text

if TYPE_CHECKING:
    from rich.console import Console

    from rollbackd.controller.backtest.cases import GivenChange
    from rollbackd.controller.backtest.compare import Pair
    from rollbackd.controller.backtest.run import Outcome
    from rollbackd.policies.model.policy import Policy

_NEVER = datetime.max.replace(tzinfo=UTC)


def _changes_file(_: click.Context, option: click.Parameter, file: Path) -> Path | None:
    """The file, which may be a pipe; None where Prometheus is to be asked."""
    if str(file) == "prometheus" and not file.is_file():
        return None
    if file.is_dir():
        raise click.BadParameter(f"{file} is a folder, not a file of changes", param=option)
    if not file.exists():
        raise click.BadParameter(f"there is no file {str(file)!r}", param=option)
    return file


@click.command(
    short_help="What policies would have done about past changes.",
    epilog="Exit codes: 0 nothing would have been rolled back, 2 at least one change would have been "
    "(with --against: a verdict differs), 4 Prometheus gave no answer, 64 usage, a faulty policy or a faulty file of changes.\n\n"
    "Examples:\n\n\b\n  rollbackd backtest policies.d/checkout.yaml --prometheus http://127.0.0.1:9090 --changes deploys.csv\n"
    "  rollbackd backtest policies.d/ --prometheus http://127.0.0.1:9090 --changes deploys.yaml -o json\n"
    "  rollbackd backtest new.yaml --against old.yaml --prometheus http://127.0.0.1:9090 --changes deploys.csv",
)
@click.argument("places", metavar="POLICY...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@ADDRESS
@click.option(
    "--changes",
    "file",
    metavar="FILE|prometheus",
    type=click.Path(path_type=Path),
    required=True,
    callback=_changes_file,
    help="CSV or YAML: target and at, perhaps ready, revision, replicaset, outcome, rolled_back_at. prometheus: what kube-state-metrics saw since "
    "--from.",
)
@click.option("--from", "since", metavar="TIME", callback=time_option, help="Look at this span only, for breaches outside of changes too.")
@click.option("--to", "until", metavar="TIME", callback=time_option, help="The end of the span. Default: what the changes need.")
@TOKEN_FILE
@CA_FILE
@SCRAPE_INTERVAL
@MATCH
@click.option(
    "--against", "others", metavar="POLICY", multiple=True, type=click.Path(exists=True, path_type=Path), help="Show only what these say otherwise."
)
@click.option(
    "--plots",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    callback=to_write,
    help="Write a timeline per change there.",
)
@prints
def backtest(
    places: tuple[Path, ...],
    url: str,
    file: Path | None,
    since: datetime | None,
    until: datetime | None,
    token_file: Path | None,
    ca_file: Path | None,
    scrape_interval: timedelta,
    match: tuple[tuple[str, str], ...],
    others: tuple[Path, ...],
    folder: Path | None,
    output: str,
) -> None:
    """Replay the history in Prometheus through the daemon's own functions: would each change have been rolled back, when and why?

    Every policy is judged as if it were armed (mode auto). Nothing is touched.
    """
    from rollbackd.controller.backtest.report import document, summary

    given = Given(url, token_file, ca_file, scrape_interval, since, until, match)
    if file is None and since is None:
        raise click.UsageError("--changes prometheus needs --from: since when are changes looked for?")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from has to be before --to")
    if others and folder is not None:
        raise click.UsageError("--plots shows one set of policies: leave out --against")
    if others:
        _compare(places, others, file, given, output)
        return
    (outcome,) = reached(partial(_outcomes, (places,), file, given))
    if folder is not None:
        _write_plots(outcome, folder)
    show(document(outcome), output, partial(_draw, outcome))
    say(summary(outcome))
    click.get_current_context().exit(FOUND if any(one.word == "rollback" for one in outcome.judged) else 0)


def _compare(places: tuple[Path, ...], others: tuple[Path, ...], file: Path | None, given: Given, output: str) -> None:
    from rollbackd.controller.backtest.compare import comparison, paired

    mine, other = reached(partial(_outcomes, (places, others), file, given))
    pairs = tuple(paired(mine.judged, other.judged))
    found, open_in_both = [one for one in pairs if one.differs], sum(one.is_undecided for one in pairs)
    same = f", {open_in_both} inconclusive on both sides" if open_in_both else ""
    show(comparison(mine, other, pairs), output, partial(_draw_differences, found, same))
    of = max(len(mine.judged), len(other.judged))
    say(f"{len(found)} of {of} verdicts differ{same}; {mine.queries + other.queries} queries, {(mine.took + other.took).total_seconds():.1f} s")
    click.get_current_context().exit(FOUND if found else 0)


def _outcomes(sets: tuple[tuple[Path, ...], ...], file: Path | None, given: Given) -> "list[Outcome]":
    from rollbackd.adapters.base.errors import AdapterError
    from rollbackd.controller.backtest.run import Asked, run

    read = [policies_in(places) for places in sets]
    every = tuple(policy for policies in read for policy in policies)
    try:
        now = source_now(given)
    except AdapterError:
        if file is not None:
            _changes(file, every, given, _NEVER)  # no server is needed to tell of its faults
        raise
    check_span(given, now if file is None else None)
    changes = _seen_changes(every, given, now) if file is None else _changes(file, every, given, now)
    return [with_progress(partial(run, Asked(policies, changes, now, given.since, given.until), given.source)) for policies in read]


def _seen_changes(policies: "tuple[Policy, ...]", given: Given, now: datetime) -> "tuple[GivenChange, ...]":
    from rollbackd.controller.backtest.generations import METRIC, changes_in

    targets = tuple(dict.fromkeys(target for policy in policies for target in policy.targets))
    found = changes_in(given.source("prometheus"), targets, given.since or now, min(given.until or now, now))
    if not found:
        raise click.UsageError(f"{METRIC} shows no change of the policies' Deployments in this span: write them into a file")
    return found


def _changes(file: Path, policies: "tuple[Policy, ...]", given: Given, now: datetime) -> "tuple[GivenChange, ...]":
    from rollbackd.controller.backtest.changes_file import Frame, read_changes

    try:
        text = bounded_text(file)
    except (OSError, UnicodeDecodeError) as fault:
        raise click.UsageError(f"{file} cannot be read as UTF-8 text: {fault}") from fault
    targets = frozenset(target for policy in policies for target in policy.targets)
    changes, faults = read_changes(text, str(file), Frame(targets, now, given.since, given.until))
    if faults:
        refuse(faults, {str(file): text})
    return changes


def _write_plots(outcome: "Outcome", folder: Path) -> None:
    from rollbackd.controller.backtest.plots import pages

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages(outcome).items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.ClickException(f"the plots cannot be written to {folder}: {fault.strerror}") from fault


def _draw(outcome: "Outcome", out: "Console") -> None:
    from rich.markup import escape

    from rollbackd.controller.backtest.margins import nearest
    from rollbackd.controller.backtest.report import margin_text, score_lines, told
    from rollbackd.controller.backtest.score import score

    colours = {"rollback": "bold red", "held": "yellow", "inconclusive": "yellow", "ok": "green"}
    for one in outcome.judged:
        word = f"[{colours[one.word]}]{one.word:<12}[/]"
        out.print(f"{told(one.change.at)}  {word}  {escape(one.change.target)}  {escape(one.change.revision or '-')}", soft_wrap=True)
        if one.found is not None:
            held = f", held by {one.found.blocked_by}" if one.found.blocked_by else ""
            said = f"{one.found.condition} since {told(one.found.onset)}, confirmed at {told(one.found.at)}{held}"
            out.print(f"    {escape(said)}", soft_wrap=True)
        out.print(f"    {escape(one.reason)}", soft_wrap=True)
        if (margin := nearest(one)) is not None:
            out.print(f"    {escape(margin_text(margin))}", soft_wrap=True)
    for alarm in outcome.alarms:
        out.print(f"{told(alarm.onset)}  [yellow]outside[/]       {escape(alarm.target)}\n    {escape(alarm.reason)}", soft_wrap=True)
    for line in score_lines(score(outcome.judged)):
        out.print(escape(line), soft_wrap=True)


def _draw_differences(found: "list[Pair]", same: str, out: "Console") -> None:
    from rich.markup import escape

    from rollbackd.controller.backtest.compare import difference_lines

    if not found:
        out.print(f"no verdict differs{same}")
    for one in found:
        for line in difference_lines(one):
            out.print(escape(line), soft_wrap=True)
