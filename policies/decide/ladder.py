"""The remedy: which rung comes next, and when there is none."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack

from rollbackd.policies.blame.irreversible import on_the_way
from rollbackd.policies.decide.coming import lack, suspect_of, together
from rollbackd.policies.decide.decisions import Act, Decision, Offer
from rollbackd.policies.decide.guards import first_block, running_guards
from rollbackd.policies.decide.slot import Slot
from rollbackd.policies.judge.verdict import Verdict
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Held, RungEnd, Stopped
from rollbackd.policies.known.incident import Incident, suspects_of
from rollbackd.policies.known.reasons import blame_reason, verdict_reason
from rollbackd.policies.model.keys import namespace_of
from rollbackd.policies.model.policy import FlagsRung, Mode, Policy, RestoreRung, RevertRung, Rung


class People(TypedDict, total=False):
    """What people have decided of a rung, as Act has it."""

    plan_digest: str | None
    by: tuple[str, ...]
    overrides: tuple[str, ...]


def next_rung(slot: Slot, incident: Incident, why: str, allowed: Mode) -> tuple[Decision, ...]:
    """The next rung to try or to put to people, after the rows of those that do not apply; or the incident is held, with what was tried.

    Rungs that begin at once follow one another, each as an Act; one of them that does not apply stands in its place.
    No rung is repeated: only those above ``incident.rung`` are looked at (I11). ``allowed``: the most that the proven breaches allow; every other
    mode is asked anew, as it may have been lowered meanwhile.
    """
    policy, at = slot.policy, slot.at
    blamed = suspects_of(incident, slot.changes)
    if block := first_block(running_guards(blamed, slot.fleet, policy, at, incident)):
        return (Held(incident.id, at, block.name, block.blocks or block.value),)
    skipped: list[Decision] = []
    for index in range(incident.rung + 1, len(policy.ladder)):
        rung = policy.ladder[index]
        if why_not := lack(rung, blamed):
            skipped.append(Stopped(incident.id, at, index, rung.target, RungEnd.NO_SUSPECT, why_not))
            continue
        mode = group_mode(slot, index, blamed, allowed)
        if mode < Mode.APPROVE:
            return (*skipped, Held(incident.id, at, "mode", f"{_mode_text(slot, index, mode)}: it is yours to decide; {why}"))
        first, *others = acts_from(slot, incident, index, blamed, lambda each: _with_irreversible(slot, each, blamed, why))
        return (*skipped, first, *others) if mode is Mode.AUTO else (*skipped, Offer(first, tuple(others)))
    return (*skipped, Held(incident.id, at, "ladder", _exhausted(incident, skipped, blamed, why)))


def acts_from(
    slot: Slot, incident: Incident, index: int, blamed: Sequence[Change], why: Callable[[Rung], str], **people: Unpack[People]
) -> tuple[Act, *tuple[Act | Stopped, ...]]:
    """The order to try this rung, and those to try what begins at once with it."""
    first, *others = together(slot.policy.ladder, index)
    acts: list[Act | Stopped] = []
    for each, rung in others:
        if why_not := lack(rung, blamed):
            acts.append(Stopped(incident.id, slot.at, each, rung.target, RungEnd.NO_SUSPECT, why_not))
        else:
            acts.append(act_on(slot, incident, each, rung, blamed, why(rung), **people))
    return (act_on(slot, incident, *first, blamed, why(first[1]), **people), *acts)


def group_mode(slot: Slot, index: int, blamed: Sequence[Change], allowed: Mode) -> Mode:
    """The most that may be done on this rung and on those that begin at once with it: people are asked about all of them or about none."""
    return min(rung_mode(slot, rung, blamed, allowed) for _, rung in together(slot.policy.ladder, index))


def rung_mode(slot: Slot, rung: Rung, blamed: Sequence[Change], allowed: Mode) -> Mode:
    """The most that may be done on this rung now, and where it writes.

    A revert across an irreversible change is never the machine's alone to decide, nor is a restore.
    """
    cap = Mode.APPROVE if isinstance(rung, RestoreRung) or _crossing(slot, rung, blamed) else Mode.AUTO
    return min(slot.ceiling, slot.fleet.cap_of(rung.target), rung.mode, allowed, cap)


def _mode_text(slot: Slot, index: int, mode: Mode) -> str:
    """What the rung may do, and whose cap it is where a namespace that is written to has one so low."""
    capped = next((rung.target for _, rung in together(slot.policy.ladder, index) if slot.fleet.cap_of(rung.target) <= mode), None)
    whose = f", the most that {namespace_of(capped)} allows" if capped is not None else ""
    return f"rung {index + 1} ({rung_text(slot.policy.ladder[index])}) has mode {mode.name.lower()}{whose}"


def act_on(
    slot: Slot,
    incident: Incident,
    index: int,
    rung: Rung,
    blamed: Sequence[Change],
    why: str,
    **people: Unpack[People],
) -> Act:
    """The order to try this rung on its suspect, with the evidence of this slot."""
    suspect = suspect_of(rung, blamed)
    only = changed_parts(rung, blamed) if suspect is not None and isinstance(rung, FlagsRung) and rung.only_changed else None
    revision = suspect.revision if suspect is not None else None
    digest = evidence_digest(slot.policy, slot.verdicts)
    changed = suspect.id if suspect else None
    return Act(incident.id, slot.at, index, rung, revision, only, changed, why, digest, **people)


def changed_parts(rung: Rung, blamed: Sequence[Change]) -> tuple[str, ...]:
    """What all suspects of the rung's target touched: a second flag that was switched after the bad one must not hide it."""
    return tuple(sorted({part for change in blamed if change.target == rung.target and not change.posted for part in change.parts}))


def _crossing(slot: Slot, rung: Rung, blamed: Sequence[Change]) -> Change | None:
    """The irreversible change that a revert by this rung would cross; a flag that is switched crosses none."""
    if not isinstance(rung, RevertRung):
        return None
    return on_the_way(rung.target, slot.fleet.good.get(rung.target, ()), blamed, slot.changes)


def _with_irreversible(slot: Slot, rung: Rung, blamed: Sequence[Change], why: str) -> str:
    found = _crossing(slot, rung, blamed)
    if found is None:
        return why
    return f"change {found.id} of {found.target} is irreversible ({found.irreversible}): a revert across it is yours to decide; {why}"


def _exhausted(incident: Incident, skipped: Sequence[Decision], blamed: Sequence[Change], why: str) -> str:
    stopped = [*incident.stopped, *(s for s in skipped if isinstance(s, Stopped))]
    tried = "; ".join(f"rung {s.rung + 1} {s.how.value}: {s.reason}" for s in stopped) or "every rung was tried"
    if not incident.acted and all(s.how is RungEnd.NO_SUSPECT for s in stopped):
        return f"nothing here can undo the suspects: {blame_reason(blamed)}. {why}"
    return f"{tried}; no rung is left" if why in tried else f"{tried}; no rung is left. {why}"


def rung_text(rung: Rung) -> str:
    """``flags flagd:…``, ``revert kubernetes:…`` or ``restore rds:…``."""
    return f"{rung_word(rung)} {rung.target}"


def rung_word(rung: Rung) -> str:
    """The key of a policy under which such a rung is written."""
    match rung:
        case FlagsRung():
            return "flags"
        case RevertRung():
            return "revert"
        case RestoreRung():
            return "restore"


def evidence_digest(policy: Policy, verdicts: Sequence[Verdict]) -> str:
    """SHA-256 over every condition's verdict with its numbers: what the decision was made on."""
    lines = (f"{v.state.value} {verdict_reason(c, v)}" for c, v in zip(policy.conditions, verdicts, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
