"""`rollbackd doctor --workload`: which metrics there are for a Deployment, and what its policy should say."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackd.controller.api.client import UNREACHABLE
from rollbackd.controller.cli.config_file import read_config
from rollbackd.controller.cli.show import as_yaml, say, show
from rollbackd.controller.cli.tables import grid

if TYPE_CHECKING:
    from rich.console import Console

    from rollbackd.adapters.base.source import Source
    from rollbackd.controller.doctor.proposal import ProfileSight, Proposal, SignalSight
    from rollbackd.controller.doctor.surroundings import Surroundings

FOUND = 2
COLOURS = {"found": "green", "elsewhere": "yellow", "missing": "dim", "error": "bold yellow"}
SHOWN_LABELS = 4


def proposed(file: Path, workload: str, source: str | None, output: str) -> int:
    """The exit code, after the proposal was shown: 0 there is one, 2 there is none, 4 the source gave no answer."""
    from rollbackd.adapters.base.errors import AdapterError
    from rollbackd.controller.config.load import names
    from rollbackd.controller.doctor.proposal import propose
    from rollbackd.controller.logs import Secrets
    from rollbackd.controller.wiring.doctor import surroundings
    from rollbackd.policies.load import Loaded
    from rollbackd.policies.model.keys import parse_target

    config = read_config(file)
    try:
        target = parse_target(workload, names(config).default_cluster)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    if not target.startswith("kubernetes:"):
        raise click.UsageError(f"{target} has no labels of its own to be found by: a profile finds Deployments; write its `match` by hand")
    around = surroundings(str(file), config, Loaded((), (), ()), Secrets())
    name, chosen = _chosen(around, source)
    try:
        proposal = propose(name, chosen, target, around.now())
    except AdapterError as fault:
        say(f"rollbackd: nothing can be proposed: {fault}")
        return UNREACHABLE
    show(proposal.document(), output, lambda out: _table(proposal, out))
    _talk(proposal)
    return 0 if proposal.spec else FOUND


def _chosen(around: "Surroundings", name: str | None) -> "tuple[str, Source]":
    """The source that was named, else the only one that can show its series. Raises click.ClickException."""
    from rollbackd.adapters.base.errors import AdapterError
    from rollbackd.controller.doctor.surroundings import ShowsSeries

    able = {each: source for each, source in around.sources.items() if isinstance(source, ShowsSeries)}
    if not able and name is None:
        raise click.UsageError("the config has no source that can show its series: --workload needs one of kind prometheus")
    if name is None and len(able) != 1:
        raise click.UsageError(f"which source? Name one with --source: {', '.join(able)}")
    wanted = name or next(iter(able))
    found = around.sources.get(wanted)
    if isinstance(found, AdapterError):
        raise click.ClickException(str(found))
    if found is None or wanted not in able:
        raise click.UsageError(f"{wanted} is no source that can show its series; such are: {', '.join(able) or 'none'}")
    return wanted, found


def _table(proposal: "Proposal", out: "Console") -> None:
    from rich.markup import escape

    table = grid("profile!", "condition!", "state!", "metric!", "labels")
    telling = proposal.telling
    for sight in proposal.profiles:
        if sight not in telling:
            table.add_row(f"[bold]{sight.profile}[/]", *_summary(sight))
            continue
        for number, signal in enumerate(sight.signals):
            named = f"[bold]{sight.profile}[/]" if number == 0 else ""
            state = f"[{COLOURS[signal.state]}]{signal.state}[/]"
            table.add_row(named, signal.condition, state, signal.metric, escape(_labels(signal)))
    out.print(table)
    if proposal.spec:
        text = as_yaml(proposal.spec, 200)
        out.print("\n[bold]spec:[/]")
        out.print("\n".join(f"  {line}" for line in text.splitlines()), markup=False)


def _summary(sight: "ProfileSight") -> tuple[str, str, str, str]:
    """One row for a profile that is out of the question."""
    states = {state: len(sight.conditions(state)) for state in COLOURS}
    return "", ", ".join(f"{number} {state}" for state, number in states.items() if number), "", "[dim]all with -o json[/]"


def _labels(signal: "SignalSight") -> str:
    """Where it was found, or where others are."""
    said = ", ".join(f'{name}="{value}"' for name, value in islice(signal.labels.items(), SHOWN_LABELS))
    if signal.state == "elsewhere":
        return f"{signal.why}; there is {{{said}, …}}"
    return f"{{{said}, …}}" if said else signal.why


def _talk(proposal: "Proposal") -> None:
    if not proposal.spec:
        why = "are its namespace and name right, is it scraped, and has it run for some minutes?"
        say(f"no profile finds {proposal.target} in {proposal.source}; {why}")
    elif proposal.lacking:
        say(f"without data: {', '.join(proposal.lacking)}; shown as not applicable, never an alarm by itself")
