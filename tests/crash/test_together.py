"""kill -9 between two rungs that begin at once: each is written once, whichever daemon does it, and both are brought to their end."""

import signal
from collections import Counter

import pytest

from tests.crash.matrix import PAIRS, Pair
from tests.crash.stories import Ending


def everywhere(*points: str) -> pytest.MarkDecorator:
    """The test looks at all pairs, killed at these points [all]."""
    chosen = [pair for pair in PAIRS.values() if not points or pair.point in points]
    return pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.story, marks=pytest.mark.story(pair.story)) for pair in chosen])


def steps(ending: Ending) -> Counter[tuple[str, int]]:
    """How often each row of each rung is there."""
    rungs = (entry for entry in ending.last.entries if entry.kind.startswith("rung."))
    return Counter((entry.kind, int(entry.body["rung"])) for entry in rungs)


@everywhere()
def test_the_daemon_dies_by_the_signal_after_the_first_write(pair: Pair, ending: Ending) -> None:
    assert ending.codes == (-signal.SIGKILL, 0)
    assert ending.dead.rows[:3] == ["incident.opened", "rung.intended", "rung.applied"]
    assert (ending.dead.writes, ending.dead.is_broken) == ((2, False) if pair.point.startswith("before") else (1, True))


@everywhere()
def test_each_of_the_two_is_intended_written_and_settled_once(pair: Pair, ending: Ending) -> None:
    assert ending.seen["each"] == (1, 1)
    assert steps(ending) == Counter((kind, rung) for kind in ("rung.intended", "rung.applied", "rung.settled") for rung in (0, 1))
    assert not ending.last.is_broken


@everywhere("after:rung.applied")
def test_what_was_not_begun_follows_once_the_first_is_complete_and_the_breach_is_proven_still(pair: Pair, ending: Ending) -> None:
    first, second = (["rung.intended", "rung.applied", "rung.settled"] for _ in range(2))
    assert ending.last.rows == ["incident.opened", *first, *second, "incident.closed"]


@everywhere("after:rung.intended#2", "before:rung.applied#2")
def test_what_was_begun_is_taken_over(pair: Pair, ending: Ending) -> None:
    assert ending.last.rows[:6] == ["incident.opened", "rung.intended", "rung.applied", "rung.intended", "claim.taken_over", "rung.applied"]
    assert ending.last.of("claim.taken_over").body["rung"] == 1


@everywhere()
def test_everybody_is_told_of_both_and_the_chain_holds(pair: Pair, ending: Ending) -> None:
    (incident,) = ending.last.incidents
    assert {told.id for told in ending.told} == {f"{incident}:started:0", f"{incident}:started:1", f"{incident}:recovered"}
    assert (ending.last.unsent, ending.dead.chain, ending.last.chain) == (0, None, None)
    assert ending.last.of("incident.closed").body["how"] == "recovered"
