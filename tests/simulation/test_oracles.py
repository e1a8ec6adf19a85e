"""Every oracle can fail: the product is broken on purpose, a function or two at a time, and the promise that this loses is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollbackd.controller.act import actor as act
from rollbackd.controller.act import outcome
from rollbackd.controller.act.order import intent_to
from rollbackd.controller.engine import journalling
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.journal import claiming, transaction
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Claim
from rollbackd.controller.pause.shared import SharedPause
from rollbackd.policies.decide import evaluate, guards, hands, ladder, proof, step
from rollbackd.policies.decide.guards import Guard
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.incident import Incident, Phase
from tests.simulation.story import TIGHT, WIDE, Event, Story
from tests.simulation.telling import teller

Patch = pytest.MonkeyPatch


def sends_twice(patch: Patch) -> None:
    write = act.Actor._write

    def twice(self: act.Actor, target: Any, *rest: Any) -> None:
        write(self, Insisting(target), *rest)

    patch.setattr(act.Actor, "_write", twice)


class Insisting:
    """A target that is told everything twice."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def apply(self, plan: Any) -> None:
        for _ in range(2):
            self._target.apply(plan)


def needs_no_intent(patch: Patch) -> None:
    made: dict[tuple[str, int, str], Claim] = {}
    claim_on = Store.claim_on

    def claim(self: act.Actor, plan: Any, order: Any) -> Claim:
        now, of = self._store.now(), (order.act.incident, order.act.rung, plan.intent.target)
        intended = intent_to(plan, order.act, now)
        return made.setdefault(of, Claim(*of, self._store.writer, now, intended.deadline, 1, None, intended))

    patch.setattr(act.Actor, "_claim", claim)
    patch.setattr(Store, "claim_on", lambda self, *of: made.get(of) or claim_on(self, *of))


def takes_unknown_for_a_breach(patch: Patch) -> None:
    judge = evaluate.judge

    def sure(*args: Any) -> Any:
        verdict = judge(*args)
        return verdict if verdict.state.is_known else verdict._replace(state=State.BREACH)

    patch.setattr(evaluate, "judge", sure)


def goes_to_what_was_rolled_back(patch: Patch) -> None:
    def any_revision(tx: Any, one: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        return tuple(f"v{number}" for number in range(60, 1, -1) if f"v{number}" != one.from_revision)

    patch.setattr(journalling, "_candidates", any_revision)


def counts_nothing(patch: Patch) -> None:
    patch.setattr(claiming, "_spent", lambda *_: iter(()))
    for name in ("_per_hour", "_cooldown", "_per_day"):
        patch.setattr(guards, name, lambda *_, name=name: Guard(name, ""))
    patch.setattr(guards, "_in_flight", lambda *_: ())


def forgets(guard: str) -> Callable[[Patch], None]:
    """This one of the counting guards is asked nowhere, all others are."""

    def forget(patch: Patch) -> None:
        spent, in_flight = claiming._spent, guards._in_flight
        patch.setattr(claiming, "_spent", lambda *args: (each for each in spent(*args) if each.guard != guard))
        patch.setattr(guards, "_in_flight", lambda *args: [each for each in in_flight(*args) if each.name != guard])
        for name, asked in (("per-hour", "_per_hour"), ("cool-down", "_cooldown"), ("per-target-day", "_per_day")):
            if name == guard:
                patch.setattr(guards, asked, lambda *_: Guard(guard, ""))

    return forget


def minds_nobody_who_has_taken_it(patch: Patch) -> None:
    patch.setattr(guards, "_acknowledged", lambda *_: Guard("acknowledged", ""))
    patch.setattr(transaction, "refusal", lambda read, event, *rest: claiming.refusal(read, replace(event, by=("nobody",)), *rest))


def sees_no_common_cause(patch: Patch) -> None:
    patch.setattr(guards, "_systemic", lambda *_: Guard("systemic", ""))


def reads_no_switch(patch: Patch) -> None:
    patch.setattr(SharedPause, "read", lambda _: None)


def tells_nobody(patch: Patch) -> None:
    patch.setattr(journalling, "notice_of", lambda *_: None)


def minds_no_other_writer(patch: Patch) -> None:
    patch.setattr(proof, "foreign", lambda *_: None)


def repeats_a_rung(patch: Patch) -> None:
    """Held is not final: the ladder begins anew, and the claim lets it."""
    patch.setitem(step.TRANSITIONS, Phase.HELD, lambda slot, incident: ladder.next_rung(slot, replace(incident, rung=-1), "again", hands.Mode.AUTO))
    patch.setattr(transaction, "refusal", lambda *_: None)
    once = transaction.Transaction.insert_once
    patch.setattr(transaction.Transaction, "insert_once", lambda self, table, values: once(self, table, values) or table.name == "claims")
    key = transaction.key_of
    patch.setattr(transaction, "key_of", lambda kind, *event: None if kind == "rung.intended" else key(kind, *event))


def ends_what_others_have_claimed(patch: Patch) -> None:
    patch.setattr(outcome.Outcomes, "unbegun", lambda self, event, _: self.record(event))


def obeys_nobody(patch: Patch) -> None:
    """The machine goes on with what it would do by itself."""
    begin = step.TRANSITIONS[Phase.OPEN]
    patch.setitem(step.TRANSITIONS, Phase.OPEN, lambda slot, incident: begin(slot, replace(incident, order=None, is_ordered=False)))
    patch.setattr(Incident, "orders_else", lambda *_: False)


BAD = Event(30, "deploy-bad", 0, 0.6)
STORIES = {
    "I1": (BAD,),
    "I2": (BAD,),
    "I3": (Event(20.05, "deploy-good", 0), Event(25, "silent", 0, 35)),
    "I4": (BAD, Event(31, "write-frozen", 0, 20), Event(60, "deploy-good", 0)),
    "I5": (Event(15, "deploy-good", 0), replace(BAD, at=60)),
    "I6": (BAD, Event(30.5, "deploy-bad", 4, 0.6)),
    "I7": (Event(25, "storm", 5, 3), BAD),
    "I8": (Event(20, "pause", 0), BAD),
    "I9": (BAD,),
    "I10": (Event(30, "deploy-bad", 1, 0.6), Event(30.1, "flip", 1, 0.6), Event(56, "flip", 1, 0.6)),
    "I11": (BAD, Event(31, "write-denied", 0)),
    "ack": (Event(30, "deploy-bad", 1, 0.6), Event(30.1, "flip", 1, 0.6), Event(60, "ack", 1)),
    "outcome": (BAD,),
    "order": (Event(20, "pause", 0), BAD, Event(120, "resume", 0), Event(131, "order", 0)),
}
"""What has to happen so that the promise matters. Services 0 and 4 share a namespace; 1 has a flag."""
MUTANTS = {
    "I1": sends_twice,
    "I2": needs_no_intent,
    "I3": takes_unknown_for_a_breach,
    "I4": lambda _: None,  # it is the target that lacks its precondition
    "I5": goes_to_what_was_rolled_back,
    "I6": counts_nothing,
    "I7": sees_no_common_cause,
    "I8": reads_no_switch,
    "I9": tells_nobody,
    "I10": minds_no_other_writer,
    "I11": repeats_a_rung,
    "ack": minds_nobody_who_has_taken_it,
    "outcome": ends_what_others_have_claimed,
    "order": obeys_nobody,
}
AGAIN = Event(170, "deploy-bad", 0, 0.6)
COUNTED = {
    "in-flight-namespace": (replace(WIDE, in_flight_per_namespace=1), (BAD, Event(30.5, "deploy-bad", 4, 0.6))),
    "in-flight": (replace(WIDE, in_flight=1), (BAD, Event(30.5, "deploy-bad", 2, 0.6))),
    "per-hour": (replace(WIDE, per_hour=1), (BAD, Event(100, "deploy-bad", 2, 0.6))),
    "per-target-day": (replace(WIDE, per_target_per_day=1), (BAD, AGAIN)),
    "cool-down": (replace(WIDE, cooldown=timedelta(minutes=6), cooldown_floor=timedelta(minutes=6)), (BAD, AGAIN)),
}
"""Each guard that counts: limits that only it keeps, and what has to happen so that it matters."""


def tale(promise: str) -> Story:
    settings = Settings(limits=TIGHT if promise == "I6" else WIDE)
    # Two that plan at the same time, for a while: the slower one finds what the other has done.
    return Story(2, 2, settings, STORIES[promise], slow=1.0) if promise == "outcome" else Story(1, 1, settings, STORIES[promise])


@pytest.mark.parametrize("promise", STORIES)
def test_a_product_that_breaks_its_promise_is_found_out(monkeypatch: Patch, promise: str) -> None:
    with teller() as at:
        kept = at.tell(tale(promise))
    MUTANTS[promise](monkeypatch)
    with teller(has_preconditions=promise != "I4") as at:
        broken = at.tell(tale(promise))
    assert (kept.broken, broken.broken) == ("", promise), (kept.text, broken.text)


@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_what_is_approved_after_a_silent_slot_needs_proof_anew_however_long_a_plan_takes(monkeypatch: Patch, slow: float) -> None:
    approved = (Event(18.5, "deploy-bad", 11, 0.6), Event(58.4, "silent", 11, 14), Event(61.5, "approve", 0, 3))
    silent = Story(1, 1, Settings(limits=WIDE), approved, slow=slow)
    with teller() as at:
        kept = at.tell(silent)
    takes_unknown_for_a_breach(monkeypatch)
    with teller() as at:
        broken = at.tell(silent)
    assert (kept.broken, broken.broken) == ("", "I3"), (kept.text, broken.text)


@pytest.mark.parametrize("guard", COUNTED)
def test_a_guard_that_is_asked_nowhere_is_missed(monkeypatch: Patch, guard: str) -> None:
    limits, events = COUNTED[guard]
    tale = Story(1, 1, Settings(limits=limits), events)
    with teller() as at:
        kept = at.tell(tale)
    forgets(guard)(monkeypatch)
    with teller() as at:
        broken = at.tell(tale)
    assert (kept.broken, broken.broken) == ("", "I6"), (kept.text, broken.text)


def test_a_failing_story_is_told_without_what_it_does_not_need(monkeypatch: Patch) -> None:
    tells_nobody(monkeypatch)
    noise = (Event(40, "deploy-good", 7), Event(50, "stale", 0, 12), Event(60, "silent", 3, 12))
    long = Story(1, 1, Settings(limits=WIDE), (BAD, *noise))
    with teller() as at:
        assert at.shortest(long, "I9").events == (BAD,)
