"""What `status` and `explain` say came of each write: only what a target took is called done."""

import io
from dataclasses import replace

import pytest

from rollbackd.controller.answers.status import WriteLine
from rollbackd.controller.cli.show import console
from rollbackd.controller.cli.tables import incident_block
from rollbackd.controller.explain.incident import incident_line
from rollbackd.policies.known.events import Applied, Held, Offered, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import fold
from tests.policies.literals import FLAGS, MINUTE, OPENED, T0, TARGET, intended

AT = T0 + 6 * MINUTE
BEGUN = replace(intended(), summary="put checkout back to good6")
FLAG = replace(intended(0, T0 + 2 * MINUTE, FLAGS), summary="switch new-checkout off")
APPLIED = Applied("inc-1", AT, 1, TARGET, "accepted")
SETTLED = Settled("inc-1", AT, 1, TARGET, AT, "complete")
REFUSED = Stopped("inc-1", AT, 1, TARGET, RungEnd.REFUSED, "not allowed to patch")
HELD = Held("inc-1", AT, "ladder", "no rung is left")
FLAG_IS_OFF = (FLAG, Applied("inc-1", AT, 0, FLAGS, "accepted"), Settled("inc-1", AT, 0, FLAGS, AT, "complete"))
NOTHING = Stopped("inc-1", AT, 1, TARGET, RungEnd.NOTHING, "it stands at good6 already")


def shown(*events):
    out = io.StringIO()
    incident_block(incident_line(fold((OPENED, *events))), AT, console(out, 200))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("events", "line"),
    [
        pytest.param((BEGUN,), "doing rung 2: put checkout back to good6", id="acting"),
        pytest.param((BEGUN, APPLIED), "doing rung 2: put checkout back to good6", id="settling"),
        pytest.param((BEGUN, APPLIED, SETTLED), "done rung 2: put checkout back to good6", id="verifying"),
        pytest.param((BEGUN, APPLIED, SETTLED, HELD), "done rung 2: put checkout back to good6", id="held-after-it-was-done"),
        pytest.param((BEGUN, REFUSED), "tried rung 2: put checkout back to good6", id="refused"),
        pytest.param((BEGUN, REFUSED, HELD), "tried rung 2: put checkout back to good6", id="held-after-it-was-refused"),
        pytest.param((BEGUN, HELD), "begun rung 2: put checkout back to good6 (whether it was written is not known)", id="held-while-it-wrote"),
        pytest.param((*FLAG_IS_OFF, NOTHING), "done rung 1: switch new-checkout off", id="the-rung-that-wrote-and-not-the-newest"),
        pytest.param((*FLAG_IS_OFF, BEGUN, REFUSED), "done rung 1: switch new-checkout off", id="an-earlier-rung"),
    ],
)
def test_a_write_is_called_what_came_of_it(events, line):
    assert line in shown(*events)
    assert len([each for each in shown(*events) if each.startswith(("doing ", "done ", "begun "))]) == (not line.startswith("tried"))


def test_the_answer_has_each_write_with_what_came_of_it():
    line = incident_line(fold((OPENED, *FLAG_IS_OFF, BEGUN, REFUSED)))
    done = WriteLine(1, FLAGS, "done", "switch new-checkout off")
    assert line.writes == (done, WriteLine(2, TARGET, "tried", "put checkout back to good6"))
    assert line.doing is None
    assert incident_line(fold((OPENED, BEGUN))).doing == "put checkout back to good6"


def test_while_a_plan_waits_the_rung_is_the_one_that_is_put_to_people():
    offer = Offered("inc-1", AT, 1, TARGET, "bad7", "good6", "p" * 64, "e", 1, AT + MINUTE, "put checkout back to good6", "why")
    assert incident_line(fold((OPENED, *FLAG_IS_OFF, offer))).rung == 2
    assert incident_line(fold((OPENED, *FLAG_IS_OFF))).rung == 1
