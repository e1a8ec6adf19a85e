"""What people read: the API's answers as tables that fit 80 columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollbackd.controller.answers.past import ChangeLine, ChangeList, DryRun, History, RungPlan
from rollbackd.controller.answers.status import ConditionBrief, FleetLine, IncidentLine, OfferLine, PolicyLine, Status
from rollbackd.controller.cli.show import clock, since, span

STYLES = {"breach": "bold red", "ok": "green", "unproven": "yellow", "nodata": "yellow", "error": "bold yellow"}
STANDINGS = {"good": "green", "bad": "red", "quarantined": "bold red"}
OUTCOMES = {
    "planned": "[bold yellow]would write[/]",
    "nothing": "[green]nothing to do[/]",
    "ordered": "[bold]under way[/]",
    "refused": "[bold red]REFUSED[/]",
}
MOST_FAULTS = 5
"""An API server that is down is at fault for every target behind it: the first few say it all."""
MOST_BREACHES = 2
"""So many breaches have their names in the row of their policy: it has to fit a screen, and `explain` has them all."""
NOBODY = "[dim]-[/]"


def grid(*columns: str) -> Table:
    """A table without lines. Columns marked by ``!`` are never folded."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.rstrip("!"), no_wrap=column.endswith("!"), overflow="fold")
    return table


def state_text(state: str) -> str:
    """A verdict in its colour; a breach is told apart without colour too."""
    return f"[{STYLES.get(state, 'default')}]{state.upper() if state == 'breach' else state}[/]"


def short_target(target: str, targets: Iterable[str]) -> str:
    """The target as it may be typed: without its cluster where all of ``targets`` share one."""
    clusters = {key.partition(":")[2].partition("/")[0] for key in targets if key.startswith("kubernetes:")}
    parts = target.partition(":")[2].split("/")
    if len(clusters) == 1 and target.startswith("kubernetes:") and len(parts) == 4:
        return f"{parts[1]}/{parts[3]}"
    return target


# --- status ----------------------------------------------------------------------------------------------------------------------------------


def status(answer: Status, out: Console) -> None:
    """The daemon, its sources, a row for each policy, what has ended, and what is open."""
    _daemon(answer, out)
    fleet_lines(answer.fleets, answer.now, out)
    _policy_rows(answer, out)
    _ended(answer, out)
    for incident in {p.incident.id: p.incident for p in answer.policies if p.incident}.values():
        out.print()
        incident_block(incident, answer.now, out)


def _policy_rows(answer: Status, out: Console) -> None:
    if not answer.policies:
        out.print("nobody is watched yet" if answer.fleets else "no policies are loaded")
        return
    out.print()
    targets = [policy.target for policy in answer.policies]
    table = grid("POLICY", "TARGET", "MODE!", "WATCH!", "VERDICTS", "INCIDENT")
    shown = [policy for policy in answer.policies if not _is_quiet(policy, answer.now)]
    for policy in shown:
        table.add_row(
            escape(policy.name),
            escape(short_target(policy.target, targets)),
            policy.mode,
            _watch(policy, answer.now),
            _verdicts(policy.conditions),
            _incident_word(policy.incident),
        )
    if shown:
        out.print(table)
    if len(shown) < len(answer.policies):
        out.print(f"[dim]{len(answer.policies) - len(shown):,} members of fleets in which nothing happens; -o json has them all[/]")
    for policy in [policy for policy in answer.policies if policy.target_fault][:MOST_FAULTS]:
        out.print(f"\n[bold yellow]cannot read[/] {escape(policy.target)}: {escape(policy.target_fault or '')}")


def _ended(answer: Status, out: Console) -> None:
    """What is over, and nothing where nothing is: a page that is answered by now has its story here."""
    if not answer.ended and not answer.ended_more:
        return
    out.print("\n[bold]ended[/] in the last 12 hours, the newest first")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for line in answer.ended:
        facts.add_row(f"  {clock(line.at, answer.now)}", escape(line.said))
        facts.add_row("", f"{line.id} {escape(line.target)}, policy {escape(line.policy)}: {escape(line.reason)}")
    out.print(facts)
    if answer.ended_more:
        out.print(f"  and {answer.ended_more:,} more: rollbackd history")


def _is_quiet(policy: PolicyLine, now: datetime) -> bool:
    """Whether it is a member of a fleet with no change under watch, no breach and no incident: hundreds of such rows would hide the others."""
    is_watched = policy.watch_until is not None and policy.watch_until > now
    is_well = all(condition.state not in ("breach", "error") for condition in policy.conditions)
    return "/" in policy.name and policy.incident is None and is_well and not is_watched


def fleet_lines(fleets: Sequence[FleetLine], now: datetime, out: Console) -> None:
    """A line for each fleet: how many it watches of how many it found, and what is doubtful about that."""
    for fleet in fleets:
        out.print(f"[bold]fleet[/] {escape(fleet.name)}: {_fleet_counts(fleet)}, read {since(fleet.read_at, now)}")
        if fleet.doubt:
            stands = "nothing new is watched, and nobody is dropped" if fleet.members else "nothing of it is watched"
            out.print(f"  [bold red]HELD BACK[/]: {escape(fleet.doubt)}: {stands}")
        if fleet.fault:
            out.print(f"  [bold yellow]cannot be read[/], the last members stay: {escape(fleet.fault)}")


def _fleet_counts(fleet: FleetLine) -> str:
    found = "nobody has answered yet" if fleet.found is None else f"{fleet.found:,} found"
    parts = [f"{fleet.members:,} watched", f"{found} (expected {fleet.expect_min:,} to {fleet.expect_max:,})"]
    parts += [f"{fleet.opted_out:,} opted out"] if fleet.opted_out else []
    parts += [f"{fleet.own_policy:,} with a policy of their own"] if fleet.own_policy else []
    parts += [f"[yellow]{fleet.findings:,} findings[/]"] if fleet.findings else []
    return ", ".join(parts)


def _daemon(answer: Status, out: Console) -> None:
    daemon, now = answer.daemon, answer.now
    out.print(f"[bold]rollbackd {escape(daemon.version)}[/] up {span(now - daemon.started_at)}, mode cap {daemon.mode_cap}")
    if daemon.paused:
        out.print(f"[bold red]PAUSED[/]: nothing more is begun: {escape(daemon.paused)}")
    for freeze in answer.freezes:
        where = f" in {', '.join(freeze.namespaces)}" if freeze.namespaces else ""
        out.print(f"[bold red]FROZEN[/]{escape(where)} until {clock(freeze.until, now)}: nothing is begun by itself: {escape(freeze.reason)}")
    if daemon.store_fault:
        out.print(f"[bold red]STORE FAILS[/]: nothing new is done: {escape(daemon.store_fault)}")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    missed = f", [yellow]{daemon.missed_slots} missed[/]" if daemon.missed_slots else ", none missed"
    facts.add_row("slots", f"{daemon.slots} decided, the last {since(daemon.last_slot, now)}{missed}")
    facts.add_row("policies", _reload(answer))
    for source in answer.sources:
        facts.add_row("source", f"{escape(source.name)} {_health(source.seen, source.fault, now)}")
    facts.add_row("messages", _outbox(answer))
    out.print(facts)


def _reload(answer: Status) -> str:
    reload = answer.daemon.reload
    if reload.is_ok:
        return f"{len(answer.policies)} loaded, read {since(reload.at, answer.now)}"
    return f"[bold yellow]NOT as on disk[/], the last good ones run: {escape(reload.fault or 'the files are at fault')}"


def _health(seen: datetime | None, fault: str | None, now: datetime) -> str:
    if fault is not None:
        blind = f"since {clock(seen, now)}" if seen else "from the start"
        return f"[bold red]BLIND[/] {blind}: {escape(fault)}"
    return f"[green]ok[/], answered {since(seen, now)}" if seen else "not asked yet"


def _outbox(answer: Status) -> str:
    daemon = answer.daemon
    waiting = (
        f"{daemon.outbox_pending} on their way, the oldest for {span(answer.now - daemon.outbox_oldest)}" if daemon.outbox_oldest else "all delivered"
    )
    return f"{waiting}, [bold red]{daemon.outbox_dead} given up[/]" if daemon.outbox_dead else waiting


def _watch(policy: PolicyLine, now: datetime) -> str:
    if policy.watch_until is not None and policy.watch_until > now:
        return f"{span(policy.watch_until - now)} left"
    return "always" if policy.is_always_watched else NOBODY


def _verdicts(conditions: Sequence[ConditionBrief]) -> str:
    """The first breaches by their names, those confirmed before the others; the rest counted: a source that is silent makes each an error."""
    breaches = sorted((c for c in conditions if c.state == "breach"), key=lambda c: not c.is_confirmed)
    named = [f"{escape(c.name)} {state_text(c.state)}{' confirmed' if c.is_confirmed else ''}" for c in breaches[:MOST_BREACHES]]
    more = [f"{len(breaches) - MOST_BREACHES} more {state_text('breach')}"] if len(breaches) > MOST_BREACHES else []
    counts = Counter(c.state for c in conditions if c.state != "breach")
    return ", ".join([*named, *more, *(f"{count} {state_text(state)}" for state, count in counts.items())])


def _incident_word(incident: IncidentLine | None) -> str:
    if incident is None:
        return NOBODY
    word = incident.phase.upper() if incident.phase in ("held", "stopped", "awaiting") else incident.phase
    rung = f", rung {incident.rung}" if incident.rung else ""
    return f"[bold red]{word}[/]{rung}"


def incident_block(incident: IncidentLine, now: datetime, out: Console) -> None:
    """An open incident: what happened, what was done, what holds it."""
    title = f"[bold red]incident {incident.id}[/] {incident.phase} (mode {incident.mode}), opened {since(incident.opened_at, now)}"
    out.print(f"{title}, policy {escape(incident.policy)}")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("  why", escape(incident.reason))
    for stopped in incident.stopped:
        facts.add_row("  tried", escape(stopped))
    for write in incident.writes:
        word, _, rest = write.came_of.partition(", ")
        facts.add_row(f"  {word}", f"rung {write.rung}: {escape(write.summary)}{f' ({rest})' if rest else ''}")
    if incident.phase == "verifying" and incident.evidence_from:
        facts.add_row("  evidence", f"counts from {clock(incident.evidence_from, now)}")
    if incident.offer is not None:
        _offer_rows(incident.offer, now, facts)
    if incident.acked_by:
        facts.add_row("  taken", f"by {escape(incident.acked_by)}: nothing more is begun by itself")
    if incident.claim is not None:
        facts.add_row("  waits", escape(incident.claim.said))
    if incident.phase == "held":
        facts.add_row("  held", f"[bold]by {escape(incident.held_by or '')}[/]: {escape(incident.held_because or '')}")
    if incident.go_on:
        facts.add_row("", escape(incident.go_on))
    out.print(facts)


def _offer_rows(offer: OfferLine, now: datetime, facts: Table) -> None:
    names = f" ({escape(', '.join(offer.approved_by))})" if offer.approved_by else ""
    facts.add_row("  waits for", f"[bold]{len(offer.approved_by)} of {offer.needed} approvals[/]{names} until {clock(offer.expires_at, now)}")
    facts.add_row("  plan", f"{offer.plan}: {escape(offer.summary)}")
    for step in offer.steps:
        facts.add_row("", escape(step))
    for rest in offer.not_undone:
        facts.add_row("", f"not undone: {escape(rest)}")


# --- changes, history, plan ------------------------------------------------------------------------------------------------------------------


def changes(answer: ChangeList, now: datetime, out: Console) -> None:
    """The oldest first: what happened last stands beside the prompt."""
    targets = [change.target for change in answer.items]
    table = grid("STARTED!", "TARGET", "REVISION", "WHAT")
    for change in reversed(answer.items):
        shown = short_target(change.target, targets)
        table.add_row(clock(change.started_late, now), escape(shown), escape(change.revision), _what(change))
    out.print(table if answer.items else "no changes are known")


def _what(change: ChangeLine) -> str:
    standing = f"[{STANDINGS.get(change.standing, 'default')}]{change.standing}[/]" if change.standing else ""
    by = "seen for the first time" if change.is_first_sight else f"by {change.by or 'unknown'}"
    why = f"[bold]IRREVERSIBLE[/]: {escape(change.irreversible)}" if change.irreversible else ""
    return "; ".join(part for part in (standing, escape(by), escape(", ".join(change.parts)), escape(change.note), why) if part)


def history(answer: History, now: datetime, out: Console) -> None:
    """The oldest first: what happened last stands beside the prompt."""
    targets = [line.target for line in answer.items if line.target]
    table = grid("TIME!", "KIND!", "WHAT")
    for line in reversed(answer.items):
        place = " ".join(part for part in (line.incident, short_target(line.target, targets) if line.target else None) if part)
        table.add_row(clock(line.at, now), line.kind, f"{escape(line.text)} [dim]{escape(f'[{place}]') if place else ''}[/]")
    out.print(table if answer.items else "the journal has nothing on this")


def plan(answer: DryRun, out: Console, head: str = "what each rung would write now; nothing was written") -> None:
    """Each rung with what it would write, under this head."""
    out.print(f"[bold]{escape(answer.policy)}[/] on {escape(answer.target)}: {head}")
    for rung in answer.rungs:
        out.print(f"\n[bold]rung {rung.number}[/] {escape(rung.what)}: {_outcome(rung)}")
        facts = Table.grid(padding=(0, 2, 0, 0))
        facts.add_column(no_wrap=True)
        facts.add_column(overflow="fold")
        for name, text in _plan_rows(rung):
            facts.add_row(f"  {name}", escape(text))
        out.print(facts)
    if not answer.rungs:
        out.print("the policy has no remedy")


def _outcome(rung: RungPlan) -> str:
    return OUTCOMES.get(rung.outcome, f"[bold red]{rung.outcome}[/]")


def _plan_rows(rung: RungPlan) -> Iterable[tuple[str, str]]:
    rows = [("summary", rung.summary), ("why", rung.reason), ("instead", rung.advice)]
    if rung.to_revision:
        rows.append(("revision", f"{rung.from_revision} -> {rung.to_revision}"))
    rows += [("step", step) for step in rung.steps]
    rows += [("not undone", rest) for rest in rung.not_undone]
    rows += [("by hand", rung.command), ("digest", rung.digest)]
    rows += [("beware", warning) for warning in rung.warnings]
    return ((name, text) for name, text in rows if text)
