"""`rollbackd status --coverage` for people: what is not watched, and why."""

from collections import Counter

from rich.console import Console
from rich.markup import escape

from rollbackd.controller.answers.status import Coverage, CoverageLine
from rollbackd.controller.cli.show import clock
from rollbackd.controller.cli.tables import fleet_lines, grid, short_target

WORDS = {
    "watched": "[green]watched[/]",
    "own-policy": "own policy wins",
    "opted-out": "[yellow]opted out[/]",
    "unwatched": "[bold yellow]NOT WATCHED[/]",
}


def coverage(answer: Coverage, out: Console) -> None:
    """Counts, then a row for each target that is not simply watched."""
    counts = Counter(standing for standing, _ in {(line.standing, line.target) for line in answer.items})
    out.print(
        f"{counts['watched']:,} watched, {counts['unwatched']:,} not watched, {counts['opted-out']:,} opted out, "
        f"{counts['own-policy']:,} found by a fleet beside a policy of their own"
    )
    fleet_lines(answer.fleets, answer.now, out)
    _change_lines(answer, out)
    for fault in answer.faults:
        out.print(f"[bold yellow]what else runs there is unknown[/]: {escape(fault)}")
    rows = [line for line in answer.items if line.standing != "watched" or line.notes]
    if not rows:
        return
    out.print()
    targets = [line.target for line in answer.items]
    table = grid("TARGET", "STANDING!", "FLEET", "POLICY", "NOTES")
    for line in rows:
        table.add_row(escape(short_target(line.target, targets)), WORDS.get(line.standing, line.standing), *_rest(line))
    out.print(table)


def _change_lines(answer: Coverage, out: Console) -> None:
    """How many changes could have been undone, and each that could not."""
    if not answer.changes:
        return
    lost = [change for change in answer.changes if change.hindrance is not None]
    out.print(f"{len(answer.changes) - len(lost):,} of {len(answer.changes):,} changes of the last 30 days could have been rolled back")
    targets = [change.target for change in answer.changes]
    for change in lost:
        said = f"{clock(change.at, answer.now)} {short_target(change.target, targets)} {change.revision}: {change.hindrance}"
        out.print(f"  [yellow]could not[/] {escape(said)}", soft_wrap=True)


def _rest(line: CoverageLine) -> tuple[str, str, str]:
    return escape(line.fleet or "-"), escape(line.policy or "-"), escape("; ".join(line.notes))
