"""What a comparison with the journal came to, as a document and as lines for people. Pure."""

from collections.abc import Iterator
from typing import Any

from rollbackd.controller.backtest.journalled import Transition
from rollbackd.controller.backtest.parity import NATURE, Compared, Parity
from rollbackd.controller.backtest.report import told
from rollbackd.controller.numbers import counted


def document(found: Parity) -> dict[str, Any]:
    """The comparison for programs; the keys are a contract."""
    return {
        "apiVersion": "rollbackd/v1",
        "kind": "Parity",
        "from": told(found.since),
        "to": told(found.until),
        "transitions": [_compared(one) for one in found.compared],
        "slots": found.slots,
        "blind_slots": found.blind,
        "unread_slots": found.unread,
        "queries": found.queries,
        "by_nature": list(NATURE),
    }


def _compared(one: Compared) -> dict[str, Any]:
    return {
        "target": one.either.target,
        "policy": one.either.policy,
        "condition": one.either.condition,
        "verdict": one.word,
        "why": one.why,
        "same_numbers": one.has_same_numbers,
        "journal": _side(one.journal),
        "replay": _side(one.replay),
        "replay_at_that_slot": one.thought or None,
    }


def _side(one: Transition | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"kind": one.kind, "incident": one.incident, "at": told(one.at), "onset": told(one.onset), "reason": one.reason}


def lines(found: Parity) -> Iterator[str]:
    """Each transition with both arithmetics; what may differ by nature where something does."""
    if not found.compared:
        yield "neither the journal nor the replay has a transition in this span"
    for one in found.compared:
        yield from _lines(one)
    if found.differs:
        yield "what may differ by nature:"
        yield from (f"  - {reason}" for reason in NATURE)


def _lines(one: Compared) -> Iterator[str]:
    either = one.either
    yield f"{told(either.at)}  {one.word:<8} {either.target}  {either.policy}/{either.condition}{f': {one.why}' if one.why else ''}"
    if one.journal is not None:
        yield f"    journal: {one.journal.reason}"
    if one.replay is not None:
        yield f"    replay:  {'the same numbers' if one.has_same_numbers else one.replay.reason}"
    elif one.thought:
        yield f"    replay, at that slot:  {one.thought}"


def summary(found: Parity) -> str:
    """One line: ``3 transitions: 3 equal; 40,320 slots, 0 at which a source was silent, 0 that cannot be read now; 12 queries``."""
    words = [one.word for one in found.compared]
    said = ", ".join(f"{words.count(word)} {text}" for word, text in _WORDS.items() if word in words)
    what = f"{counted(len(words), 'transition')}{': ' if said else ''}{said}"
    apart = f"{found.blind:,} at which the journal has a source as silent, {found.unread:,} that cannot be read now"
    return f"{what}; {found.slots:,} slots, {apart}; {found.queries:,} queries"


_WORDS = {"equal": "equal", "differs": "different", "apart": "not to be compared"}
