"""The remedy: which rung comes next, and when there is none."""

import hashlib
from collections.abc import Sequence

from rollbackd.policies.changes import Change
from rollbackd.policies.decisions import Act, Decision
from rollbackd.policies.events import Held, RungEnd, Stopped
from rollbackd.policies.guards import first_block, running_guards
from rollbackd.policies.incident import Incident
from rollbackd.policies.judge import Verdict
from rollbackd.policies.model import FlagsRung, Mode, Policy, Rung
from rollbackd.policies.reasons import blame_reason, verdict_reason
from rollbackd.policies.slot import Slot


def suspects_of(incident: Incident, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that the incident was opened for, newest first."""
    known = {change.id: change for change in changes}  # ids are unique among all targets
    return tuple(known[change_id] for change_id in incident.suspects if change_id in known)


def next_rung(slot: Slot, incident: Incident, why: str) -> tuple[Decision, ...]:
    """The next rung to try, after the rows of those that do not apply; or the incident is held, with what was tried.

    No rung is repeated: only those above ``incident.rung`` are looked at (I11). The mode is asked anew: it may have been lowered meanwhile.
    """
    policy, at = slot.policy, slot.at
    blamed = suspects_of(incident, slot.changes)
    if block := first_block(running_guards(blamed, slot.fleet, policy)):
        return (Held(incident.id, at, block.name, block.blocks or block.value),)
    skipped: list[Decision] = []
    for index in range(incident.rung + 1, len(policy.ladder)):
        rung = policy.ladder[index]
        suspect = next((c for c in blamed if c.target == rung.target and not c.posted), None)
        if suspect is None and not rung.always:
            skipped.append(Stopped(incident.id, at, index, rung.target, RungEnd.NO_SUSPECT, f"{rung.target} had no change to undo"))
            continue
        mode = min(slot.ceiling, rung.mode)
        if mode is not Mode.AUTO:
            reason = f"rung {index + 1} ({rung_text(rung)}) has mode {mode.name.lower()}: it is yours to decide; {why}"
            return (*skipped, Held(incident.id, at, "mode", reason))
        return (*skipped, _act(slot, incident, index, suspect, why))
    return (*skipped, Held(incident.id, at, "ladder", _exhausted(incident, skipped, blamed, why)))


def _act(slot: Slot, incident: Incident, index: int, suspect: Change | None, why: str) -> Act:
    rung = slot.policy.ladder[index]
    only = suspect.parts if suspect is not None and isinstance(rung, FlagsRung) and rung.only_changed else None
    revision = suspect.revision if suspect is not None else None
    digest = evidence_digest(slot.policy, slot.verdicts)
    return Act(incident.id, slot.at, index, rung, revision, only, suspect.id if suspect else None, why, digest)


def _exhausted(incident: Incident, skipped: Sequence[Decision], blamed: Sequence[Change], why: str) -> str:
    stopped = [*incident.stopped, *(s for s in skipped if isinstance(s, Stopped))]
    tried = "; ".join(f"rung {s.rung + 1} {s.how.value}: {s.reason}" for s in stopped) or "every rung was tried"
    if not incident.acted and all(s.how is RungEnd.NO_SUSPECT for s in stopped):
        return f"nothing here can undo the suspects: {blame_reason(blamed)}. {why}"
    return f"{tried}; no rung is left" if why in tried else f"{tried}; no rung is left. {why}"


def rung_text(rung: Rung) -> str:
    """``flags flagd:…`` or ``revert kubernetes:…``."""
    return f"flags {rung.target}" if isinstance(rung, FlagsRung) else f"revert {rung.target}"


def evidence_digest(policy: Policy, verdicts: Sequence[Verdict]) -> str:
    """SHA-256 over every condition's verdict with its numbers: what the decision was made on."""
    lines = (f"{v.state.value} {verdict_reason(c, v)}" for c, v in zip(policy.conditions, verdicts, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
