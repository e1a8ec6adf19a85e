"""A claim outlives its replica: until its end nothing goes on, and whoever looks or orders is told until when."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.cli import tables
from rollbackd.controller.cli.explanation import explanation
from rollbackd.controller.cli.show import console
from rollbackd.controller.journal.values import Claim
from rollbackd.policies.known.events import Applied, Held
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.incident import Phase
from tests.controller.served import Served
from tests.controller.test_hands import ASKED_TWICE, People
from tests.controller.world import FLAGS, SHOP
from tests.policies.literals import SECOND, intended

TAKES_OVER = "if that replica has died, the next one takes over then"


@pytest.fixture
def here(tmp_path):
    """v2 is bad, and another replica was killed after it had claimed the first rung."""
    made = People(tmp_path, ASKED_TWICE)
    made.world.flip("on")
    incident = made.release()
    made.until = made.world.at + 30 * SECOND
    begun = replace(intended(0, made.world.at, FLAGS), incident=incident.id, deadline=made.until)
    with made.world.store.transaction() as tx:
        assert isinstance(tx.claim(begun, "host-a", Limits()), Claim)
    made.settle()
    yield made
    made.world.close()


def claimed(here):
    return f"rung 1 on {FLAGS} is claimed by host-a until {here.until:%H:%M:%S} UTC; {TAKES_OVER}"


def shown(draw, answer, *more):
    out = io.StringIO()
    draw(answer, *more, console(out, 300))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def seen(here):
    """What status and explain show, together."""
    return shown(tables.status, here.desk.status()), shown(explanation, here.desk.explain("shop"))


def record(here, event):
    with here.world.store.transaction() as tx:
        assert tx.record(replace(event, incident=here.incident().id, at=here.world.at))
    here.settle()


def test_status_and_explain_say_until_when_it_stands_still(here):
    assert here.incident().phase is Phase.ACTING
    for lines in seen(here):
        assert f"waits {claimed(here)}" in lines


def test_the_answer_has_the_claim_for_programs(here, tmp_path):
    served = Served(here.world, tmp_path)
    try:
        (policy,) = json.loads(served.get("/api/v1/status").text)["policies"]
    finally:
        served.close()
    claim = policy["incident"]["claim"]
    assert (claim["rung"], claim["target"], claim["claimant"], claim["said"]) == (1, FLAGS, "host-a", claimed(here))
    assert claim["until"].startswith(f"{here.until:%Y-%m-%dT%H:%M:%S}")


def test_once_it_has_run_out_whoever_sees_the_target_takes_it_over(here):
    here.world.at = here.until
    was = f"rung 1 on {FLAGS} was claimed by host-a until {here.until:%H:%M:%S} UTC, and what came of it is not known"
    for lines in seen(here):
        assert f"waits {was}; whoever sees the target takes it over" in lines


def test_what_was_answered_waits_for_nobody(here):
    record(here, Applied("", here.world.at, 0, FLAGS, "accepted"))
    assert not any(line.startswith("waits ") for lines in seen(here) for line in lines)


@pytest.mark.parametrize("held", [False, True], ids=["acting", "held-meanwhile"])
def test_a_claim_that_ran_out_is_taken_over_only_where_the_incident_goes_on(here, held):
    if held:
        record(here, Held("", here.world.at, "bug", "rollbackd failed in itself"))
        assert f"waits {claimed(here)}" in seen(here)[0]
    here.world.at = here.until
    assert any(line.startswith("waits ") for line in seen(here)[0]) is not held


def test_an_order_that_is_refused_for_it_says_until_when(here):
    with pytest.raises(Denied) as denied:
        here.rollback(rung=2)
    assert str(denied.value) == f"{here.incident().id} is acting: its rung 1 is not finished; {claimed(here)}"


def test_an_undo_and_an_end_that_are_refused_for_it_say_until_when(here):
    with pytest.raises(Denied, match=f"its write is still under way.*; {claimed(here)}"):
        here.by_hand.undo_plan(here.incident().id)
    with pytest.raises(Denied, match=f"what is under way has to end first; {claimed(here)}"):
        here.hands.ack(here.incident().id, "ann", "", close=True)


def test_an_order_that_has_to_wait_for_it_says_until_when_and_is_carried_out_after_it(here):
    record(here, Held("", here.world.at, "bug", "rollbackd failed in itself"))
    answer = here.rollback(rung=2)
    assert answer.said == f"ordered, and waits: {claimed(here)}; follow it: rollbackd explain {SHOP}"
    assert here.version() == "v2"
    here.world.at = here.until + timedelta(seconds=1)
    here.settle()
    assert here.version() == "v1"
