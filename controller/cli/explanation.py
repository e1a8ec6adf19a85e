"""`rollbackd explain` for people: what was decided, on which numbers, and what stands in the way."""

import math
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollbackd.controller.answers.explain import Explanation, PolicyExplained, PowerRow
from rollbackd.controller.cli.show import clock, since, span
from rollbackd.controller.cli.tables import incident_block, state_text
from rollbackd.policies.known.reasons import duration_text, number_text


def explanation(answer: Explanation, out: Console) -> None:
    """Every policy, the one that was asked for or whose target was asked for first."""
    for number, policy in enumerate(answer.items):
        if number:
            out.print()
        _policy(policy, answer, out)


def _policy(policy: PolicyExplained, answer: Explanation, out: Console) -> None:
    out.print(f"[bold]{escape(policy.policy)}[/] on {escape(policy.target)}, mode {policy.mode}")
    _facts(policy, answer, out)
    if policy.incident is not None:
        out.print()
        incident_block(policy.incident, answer.now, out)
    _conditions(policy, answer, out)
    _power(policy, out)
    _guards(policy, out)
    _ladder(policy, out)


def _facts(policy: PolicyExplained, answer: Explanation, out: Console) -> None:
    now, facts = answer.now, _pairs()
    for note in policy.notes:
        facts.add_row("note", escape(note))
    facts.add_row(
        "revision",
        escape(policy.revision or "unknown") + (f" [yellow](cannot be read: {escape(policy.target_fault)})[/]" if policy.target_fault else ""),
    )
    facts.add_row("looked", f"{clock(policy.at, now)}, {since(policy.at, now)}" if policy.at else "not yet")
    if policy.watch_until is None:
        # What an incident is about is answered by it: no watch is open for it any more.
        about = f"; what {policy.incident.id} is about is judged by that" if policy.incident is not None else ""
        facts.add_row("watch", f"no change is under watch{about}")
    else:
        facts.add_row("watch", f"open until {clock(policy.watch_until, now)}, {span(policy.watch_until - now)} left")
    if policy.evidence_from is not None:
        facts.add_row("evidence", f"counts from {clock(policy.evidence_from, now)}")
    if policy.warm_at is not None and policy.at is not None and policy.warm_at > policy.at:
        facts.add_row("warm-up", f"no verdict before {clock(policy.warm_at, now)}")
    for decision in policy.decisions or ("nothing: no breach is proven, no incident is open",):
        facts.add_row("decided", escape(decision))
    out.print(facts)


def _conditions(policy: PolicyExplained, answer: Explanation, out: Console) -> None:
    out.print("\n[bold]conditions[/]")
    facts = _pairs()
    for condition in policy.conditions:
        confirmed = " [bold red]confirmed[/]" if condition.is_confirmed else ""
        facts.add_row(f"  {state_text(condition.state)}{confirmed}", escape(condition.reason))
        details = [condition.confirmation, f"mode {condition.mode}"]
        if condition.onset is not None:
            details.append(f"onset {clock(condition.onset, answer.now)}")
        facts.add_row("", f"[dim]{escape(', '.join(details))}[/]")
        for suspect in condition.suspects:
            facts.add_row("", f"suspect: {escape(suspect)}")
    out.print(facts)


def _power(policy: PolicyExplained, out: Console) -> None:
    if not policy.power:
        return
    out.print("\n[bold]power[/] what would be found at the last week's traffic, from its change on")
    facts = _pairs()
    for line in policy.power:
        if line.why is not None or line.per_minute is None:
            facts.add_row(f"  {escape(line.condition)}", escape(line.why or "nothing is known"))
            continue
        quiet = f", {line.quiet_per_minute:.3g} in the quietest tenth" if line.quiet_per_minute is not None else ""
        bursty = f", {line.spread:.2g} times as bursty as chance" if line.spread is not None and line.spread > 1 else ""
        facts.add_row(f"  {escape(line.condition)}", f"at {line.per_minute:.3g} events/min (median{quiet}{bursty})")
        for row in line.rows:
            facts.add_row("", f"{number_text(row.share, '%')} {_found(row)}")
        if line.health is not None:
            facts.add_row("", escape(line.health))
    out.print(facts)


def _found(row: PowerRow) -> str:
    surely = f"{math.floor(row.probability * 100)} of 100"
    if row.seconds is None:
        return f"not surely in the whole watch: in {surely}"
    return f"found within {duration_text(timedelta(seconds=row.seconds))} in {surely}"


def _guards(policy: PolicyExplained, out: Console) -> None:
    held = [guard.name for guard in policy.guards if guard.blocks is not None]
    out.print(f"\n[bold]guards[/] {'[bold red]' + str(len(held)) + ' of ' + str(len(policy.guards)) + ' hold[/]' if held else 'none holds'}")
    facts = _pairs()
    for guard in policy.guards:
        if guard.blocks is None:
            facts.add_row(f"  {guard.name}", escape(guard.value))
        else:
            facts.add_row(f"  [bold red]{guard.name} HOLDS[/]", escape(guard.blocks))
    out.print(facts)


def _ladder(policy: PolicyExplained, out: Console) -> None:
    out.print("\n[bold]ladder[/]" if policy.ladder else "\n[bold]ladder[/] none: the policy has no remedy")
    held = ", ".join(guard.name for guard in policy.guards if guard.blocks is not None)
    facts = _pairs()
    for rung in policy.ladder:
        is_free = rung.is_ready and not held
        facts.add_row(f"  {rung.number} {'[green]could act[/]' if is_free else '[yellow]would not[/]'}", escape(rung.what))
        facts.add_row("", f"[dim]needs {escape(rung.needs)}[/]")
        if rung.is_ready and held:
            facts.add_row("", f"would act if not held by {escape(held)}")
    out.print(facts)


def _pairs() -> Table:
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    return facts
