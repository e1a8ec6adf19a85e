"""Runs a case through the functions that the daemon runs: the same questions, readings, verdicts and decisions, slot by slot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rollbackd.controller.observe.aging import aged
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.baselines import Baselines, read_before
from rollbackd.controller.observe.facts import told
from rollbackd.controller.observe.questions import ProbeQuestion, asks_of
from rollbackd.controller.observe.readings import readings_at
from rollbackd.controller.observe.sides import beside_old
from rollbackd.controller.observe.traffic import Traffics
from rollbackd.controller.observe.vanished import Absences
from rollbackd.controller.policytest.cases import Case
from rollbackd.controller.policytest.check import Mismatch, mismatches
from rollbackd.controller.policytest.looks import Look, Standing
from rollbackd.controller.policytest.source import CaseSource
from rollbackd.controller.policytest.world import World, rung_of
from rollbackd.policies.decide.decisions import Act, Decision, Offer, Outside, Wait, WouldAct
from rollbackd.policies.decide.evaluate import Evaluation, decide
from rollbackd.policies.decide.ladder import rung_text
from rollbackd.policies.known.events import CloseHow
from rollbackd.policies.known.incident import Incident, Phase
from rollbackd.policies.known.reasons import standing_reason
from rollbackd.policies.known.watch import Watch, new_watch, take
from rollbackd.policies.watching.since import is_due, is_watching

START = datetime(2000, 1, 1, tzinfo=UTC)
"""The moment of the first sample: midnight, so that the clock in a reason shows the time of the test."""
_REPEATS = 100
"""So often one slot is decided again, at most: once for each rung, and a ladder has fewer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case came to: every look, and what was not as expected."""

    case: Case
    looks: tuple[Look, ...]
    mismatches: tuple[Mismatch, ...]

    @property
    def passed(self) -> bool:
        """True if all was as expected."""
        return not self.mismatches


def run(case: Case) -> Outcome:
    """The outcome of the case. Equal cases have equal outcomes."""
    looks = tuple(_looks(case))
    return Outcome(case, looks, tuple(mismatches(case, looks)))


def _looks(case: Case) -> Iterator[Look]:
    policy, source, world = case.policy, CaseSource(case, START), World(case, START)
    asks, calm = (asks_of(policy, source.block(policy.every), in_calm=in_calm) for in_calm in (False, True))
    watch, last, traffics, absences, baselines = new_watch(policy), None, Traffics(), Absences(), Baselines()
    for at in slots(policy.every, case.until):
        # As in the daemon: who is due follows from what was known before this slot, and without an open watch that is once a minute.
        due = last is None or is_due(policy, world.incident, world.changes, world.fleet(at), last, at)
        watching = is_watching(policy, world.incident, world.changes, world.fleet(at), at)
        lacking = baselines.lacking(policy, world.incident, world.changes, world.fleet(at), at)
        world.survey(at)
        if not due:
            continue
        last = at
        compared = [] if lacking is None else [lacking]
        baselines.take(compared, read_before(source, compared, {policy.name: asks}, at) if compared else {})

        def probing(question: ProbeQuestion, at: datetime = at) -> float | None:
            return source.probe(question, at)

        state = source.state(policy.target, world.sides, at)
        readings = told(policy, readings_at(source, probing, asks if watching else calm, at), state, at)
        readings = answered(beside_old(policy, readings, source, state, at), source)
        readings = answered(traffics.beside(policy, readings, world.changes, source, state, at), source)
        readings = answered(absences.beside(policy, readings, world.changes, source, state, at), source)
        before = take(policy, watch, answered(aged(policy, readings, world.changes, source, at), source))
        evaluations = list(_settled(case, world, baselines, before, at))
        watch = evaluations[-1].watch
        yield _look(case, world, evaluations, at)


def slots(every: timedelta, until: timedelta) -> list[datetime]:
    """Every slot up to ``until``. The grid's offset, which spreads daemons over time, is left out: the first sample is a slot."""
    return [START + index * every for index in range(until // every + 1)]


def _settled(case: Case, world: World, baselines: Baselines, before: Watch, at: datetime) -> Iterator[Evaluation]:
    """The slot, and once more after everything that it led to: as in the daemon, where an outcome wakes the engine."""
    for _ in range(_REPEATS):
        known = world.incident, world.changes, world.fleet(at), at
        evaluation = decide(case.policy, before, *known, baselines.of(case.policy, *known))
        yield evaluation
        if not world.carry_out(evaluation.decisions, at):
            return
    raise RuntimeError(f"the slot {at} of test {case.name!r} comes to no end")


def _look(case: Case, world: World, evaluations: Sequence[Evaluation], at: datetime) -> Look:
    # The verdicts are those that were decided on: after a rung evidence begins anew, and there is none yet.
    first, last = evaluations[0], evaluations[-1]
    triples = zip(first.policy.conditions, first.watch.tracks, first.verdicts, strict=True)
    reasons = tuple(standing_reason(condition, track, verdict, at) for condition, track, verdict in triples)
    decided = [decision for evaluation in evaluations for decision in evaluation.decisions if not isinstance(decision, Wait)]
    waits = "; ".join(decision.reason for decision in last.decisions if isinstance(decision, Wait))
    states = tuple(verdict.state for verdict in first.verdicts)
    return Look(at - START, states, reasons, _standing(case, world, decided, waits), tuple(_said(decided)))


def _said(decided: Sequence[Decision]) -> Iterator[str]:
    for decision in decided:
        match decision:
            case Act() | Offer():
                act = decision.act if isinstance(decision, Offer) else decision
                yield f"{type(decision).__name__.lower()}: rung {act.rung + 1}, {rung_text(act.remedy)}"
            case _:
                yield f"{type(decision).__name__.lower()}: {getattr(decision, 'reason', '')}"


def _standing(case: Case, world: World, decided: Sequence[Decision], waits: str) -> Standing:
    """How the policy stands after the slot: by its newest incident, else by what this slot would have led to."""
    for decision in decided:
        if isinstance(decision, WouldAct):
            return Standing("observed", decision.reason)
        if isinstance(decision, Outside):
            return Standing("outside", decision.reason)
    if not world.incidents:
        return Standing("nothing", waits)
    incident = world.incidents[-1]
    found = rung_of(case.policy, incident)
    remedy, to = (rung_text(found[0]), found[1]) if found is not None else (None, None)
    guard = incident.held.guard if incident.held is not None else None
    word, reason = _word(incident, waits, world.closings.get(incident.id, ""))
    return Standing(word, reason, remedy, to, guard)


def _word(incident: Incident, waits: str, closing: str) -> tuple[str, str]:
    match incident.phase:
        case Phase.CLOSED:
            return ("recovered" if incident.how is CloseHow.RECOVERED else "superseded"), closing
        case Phase.HELD:
            return "held", incident.held.reason if incident.held is not None else ""
        case Phase.PROPOSED:
            return "suggested", incident.reason
        case Phase.AWAITING:
            return "approval", incident.offer.reason if incident.offer is not None else incident.reason
        case _:
            return ("rollback", incident.reason) if incident.acted else ("nothing", waits)
