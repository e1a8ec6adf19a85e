"""What a policy's ladder would write now, asked of the targets with the daemon's own rights. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Target, TargetState
from rollbackd.controller.act.outcome import intent_of
from rollbackd.controller.act.planning import live_revision
from rollbackd.controller.answers.past import DryRun, RungPlan
from rollbackd.controller.observe.changes import ChangeBook
from rollbackd.controller.observe.past_changes import is_first_sight
from rollbackd.policies.blame.irreversible import crossed
from rollbackd.policies.decide.ladder import changed_parts, rung_text
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Intended
from rollbackd.policies.known.incident import Incident, suspects_of
from rollbackd.policies.model.policy import FlagsRung, Policy, RestoreRung, RevertRung, Rung

NOBODY = "plan"
"""Stands where an incident's id would: the plan belongs to none."""


def dry_run(
    policy: Policy,
    targets: Mapping[str, Target],
    book: ChangeBook,
    known_good: Mapping[str, Sequence[str]],
    incident: Incident | None = None,
    known: Sequence[Change] = (),
) -> DryRun:
    """Each rung's plan from what is live now. ``known_good``: the revisions that a revert may go to, by target, newest first.

    ``incident``: the open one in which it would be ordered: what is undone are its suspects, as it would carry it out; else the newest changes.
    ``known``: the changes that a revert might cross, as the policy sees them.
    """
    states = _live(policy, targets)
    moment = _moment(policy, book)
    rungs = [_rung(number, rung, targets, states, book, known_good, moment, incident) for number, rung in enumerate(policy.ladder, 1)]
    return DryRun(policy.name, policy.target, tuple(_with_crossed(plan, rung, known) for plan, rung in zip(rungs, policy.ladder, strict=True)))


def dry_undo(policy: str, watched: str, writes: Sequence[Intended], targets: Mapping[str, Target]) -> DryRun:
    """What taking each of these writes back would write now, under the number of the rung that wrote it."""
    return DryRun(policy, watched, tuple(_undo(write, targets) for write in writes))


def _undo(write: Intended, targets: Mapping[str, Target]) -> RungPlan:
    number, what = write.rung + 1, f"undo: {write.summary}"
    target = targets.get(_kind(write.target))
    if target is None:
        return _failed(number, what, Permanent(f"no target of kind {_kind(write.target)} is configured"))
    back = (write.from_revision,)
    try:
        # The revision of flags is that of their whole scope; each flag of the write is compared by itself, and no other matters.
        judged = live_revision(target, write.target) if _is_of_flags(write) else write.to_revision
        planned = target.plan(PlanRequest(write.target, NOBODY, judged, back, undo=intent_of(write)))
    except AdapterError as fault:
        return _failed(number, what, fault, write.to_revision)
    if isinstance(planned, NothingToDo):
        return RungPlan(number, what, "nothing", write.to_revision, reason=planned.reason)
    return _planned(number, what, planned, ())


def _is_of_flags(write: Intended) -> bool:
    """True if the write keeps the state of each of its parts."""
    return isinstance(write.record.get("after"), Mapping)


def _live(policy: Policy, targets: Mapping[str, Target]) -> dict[str, TargetState | AdapterError]:
    states: dict[str, TargetState | AdapterError] = {}
    for key in dict.fromkeys(rung.target for rung in policy.ladder):
        target = targets.get(_kind(key))
        if target is None:
            states[key] = Permanent(f"no target of kind {_kind(key)} is configured; nothing can be read or undone there")
        else:
            states.update(target.survey([key]))
    return states


def _rung(
    number: int,
    rung: Rung,
    targets: Mapping[str, Target],
    states: Mapping[str, TargetState | AdapterError],
    book: ChangeBook,
    known_good: Mapping[str, Sequence[str]],
    moment: datetime | None,
    incident: Incident | None,
) -> RungPlan:
    what, live = rung_text(rung), states[rung.target]
    if isinstance(live, AdapterError):
        return _failed(number, what, live)
    undone = _undone(rung, book, incident)
    if isinstance(rung, FlagsRung) and rung.only_changed and not undone:
        known = "is known" if incident is None else f"is a suspect of {incident.id}"
        reason = f"no change of these flags {known}, and the rung touches only what changed"
        advice = "" if incident is None else f"for another one end it first: rollbackd ack {incident.id} --close"
        return RungPlan(number, what, "nothing", live.revision, reason=reason, advice=advice)
    if isinstance(rung, RevertRung) and set(known_good.get(rung.target, ())) == {live.revision}:
        reason = f"{rung.target} stands at {live.revision} already, the only known-good revision: there is nothing else to go back to"
        advice = f"declare another one good: rollbackd good {quote(rung.target)} REVISION"
        return RungPlan(number, what, "refused", live.revision, reason=reason, advice=advice)
    target = targets[_kind(rung.target)]
    try:
        planned = target.plan(replace(_request(rung, live, undone, book, known_good), moment=moment))
        warnings = target.check([rung.target])
    except AdapterError as fault:
        return _failed(number, what, fault, live.revision)
    if isinstance(planned, NothingToDo):
        return RungPlan(number, what, "nothing", live.revision, reason=planned.reason, warnings=warnings)
    return _planned(number, what, planned, warnings)


def _with_crossed(plan: RungPlan, rung: Rung, known: Sequence[Change]) -> RungPlan:
    """The plan, with a warning where it goes back across a change that no revert can safely cross: nobody is to find that out afterwards."""
    found = crossed(rung.target, plan.to_revision or "", known) if isinstance(rung, RevertRung) and plan.outcome == "planned" else None
    if found is None:
        return plan
    what = f"it goes back across {found.target} revision {found.revision}, which is irreversible ({found.irreversible})"
    return replace(plan, warnings=(*plan.warnings, f"{what}: look whether {plan.to_revision} can run with what that left"))


def _moment(policy: Policy, book: ChangeBook) -> datetime | None:
    """When the newest change began that a breach might be blamed on: a restore would go back to before it."""
    newest = (book.newest(target) for target in policy.targets)
    return max((seen.change.started_early for seen in newest if seen is not None and not is_first_sight(seen)), default=None)


def _undone(rung: Rung, book: ChangeBook, incident: Incident | None) -> tuple[Change, ...]:
    """The changes of the rung's target that it would undo."""
    if incident is not None:
        return tuple(change for change in suspects_of(incident, book.of([rung.target])) if not change.posted)
    newest = book.newest(rung.target)
    return () if newest is None or is_first_sight(newest) else (newest.change,)


def _request(rung: Rung, live: TargetState, undone: Sequence[Change], book: ChangeBook, known_good: Mapping[str, Sequence[str]]) -> PlanRequest:
    if isinstance(rung, RestoreRung):
        return PlanRequest(rung.target, NOBODY, live.revision)
    if isinstance(rung, RevertRung):
        good = tuple(revision for revision in known_good.get(rung.target, ()) if revision != live.revision)
        return PlanRequest(rung.target, NOBODY, live.revision, good)
    only = changed_parts(rung, undone) if rung.only_changed and undone else None
    before = book.parts_before(rung.target, [change.id for change in undone]) if undone else {}
    return PlanRequest(rung.target, NOBODY, live.revision, (), only, dict(before))  # type: ignore[arg-type]  # JSON values, as journalled


def _planned(number: int, what: str, plan: Plan, warnings: tuple[str, ...]) -> RungPlan:
    return RungPlan(
        number=number,
        what=what,
        outcome="planned",
        from_revision=plan.intent.from_revision,
        to_revision=plan.intent.to_revision,
        summary=plan.summary,
        steps=plan.steps,
        not_undone=plan.not_undone,
        command=plan.command,
        digest=plan.digest,
        warnings=warnings,
    )


def _failed(number: int, what: str, fault: AdapterError, revision: str | None = None) -> RungPlan:
    advice = ""
    match fault:
        case Refused():
            outcome, advice = "refused", fault.advice
        case Transient():
            outcome = "unreachable"
        case _:
            outcome = "failed"
    return RungPlan(number, what, outcome, revision, reason=str(fault), advice=advice)


def _kind(key: str) -> str:
    return key.partition(":")[0]
