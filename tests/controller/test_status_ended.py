"""Who wakes after it is over finds in `status` what happened: the words of the last page, and why it was opened."""

import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from rollbackd.controller.answers.status import Status
from rollbackd.controller.answers.wire import document, read
from rollbackd.controller.cli import tables
from rollbackd.controller.cli.show import console
from rollbackd.controller.explain.ended import LOOKED_BACK, MOST
from rollbackd.policies.model.policy import Mode, RevertRung
from tests.controller.journal_samples import CLOSED, opened
from tests.controller.test_hands import People
from tests.controller.world import SHOP, SHOP_POLICY
from tests.policies.literals import MINUTE

AUTO = replace(SHOP_POLICY, digest="auto", mode=Mode.AUTO, ladder=(RevertRung(SHOP),))
SUGGEST = replace(SHOP_POLICY, digest="suggest", mode=Mode.SUGGEST, ladder=(RevertRung(SHOP),))


@pytest.fixture
def people(tmp_path):
    made = []

    def begin(policy):
        made.append(People(tmp_path, policy))
        return made[0]

    yield begin
    made[0].world.close()


def recovered(here):
    """The incident of v2, which was rolled back and is over."""
    here.world.deploy("v2")
    for _ in range(2):
        here.world.slot(60)
    incident = here.incident()
    while here.world.incidents():
        here.world.slot(0)
    return incident


def shown(answer):
    out = io.StringIO()
    tables.status(answer, console(out, 200))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_rollback_that_is_over_is_told_in_the_words_of_its_page(people):
    here = people(AUTO)
    incident = recovered(here)
    answer = here.desk.status()
    (line,) = answer.ended
    title = here.world.notices()[-1].title
    assert title.startswith("ROLLED BACK command:shop v2 -> v1: verified")
    assert (line.id, line.target, line.policy, line.how, line.said) == (incident.id, SHOP, "shop", "recovered", title)
    assert (line.at, line.reason) == (here.world.at, incident.reason)
    assert shown(answer)[-3:] == [
        "ended in the last 12 hours, the newest first",
        f"{here.world.at:%H:%M:%S} {title}",
        f"{incident.id} command:shop, policy shop: {incident.reason}",
    ]


def test_what_ended_longer_ago_is_left_to_history(people):
    here = people(AUTO)
    recovered(here)
    here.world.at += LOOKED_BACK
    answer = here.desk.status()
    assert (answer.ended, answer.ended_more) == ((), 0)
    assert document(answer)["ended"] == []
    assert not [line for line in shown(answer) if line.startswith("ended")]


def test_the_newest_are_shown_and_how_many_more_there_are(people):
    here = people(AUTO)
    ids = [f"inc-{number:02}" for number in range(MOST + 2)]
    for number, name in enumerate(ids):
        with here.world.store.transaction() as tx:
            tx.open(opened(name, f"command:{name}"), "shop")
            tx.record(replace(CLOSED, incident=name, at=here.world.at - (len(ids) - number) * MINUTE))
    answer = here.desk.status()
    assert [line.id for line in answer.ended] == ids[:1:-1]
    assert answer.ended[0].said.startswith("CLOSED command:inc-11: recovered after")
    assert shown(answer)[-1] == "and 2 more: rollbackd history"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET body = '{}' WHERE kind = 'incident.closed'",
        "UPDATE journal SET kind = 'incident.begun' WHERE kind = 'incident.opened'",
        "DELETE FROM journal WHERE kind = 'incident.opened'",
        "DELETE FROM journal WHERE kind = 'incident.closed'",
    ],
)
def test_one_that_this_version_cannot_read_keeps_nobody_from_the_rest(people, tmp_path, statement):
    here = people(AUTO)
    recovered(here)
    with closing(sqlite3.connect(tmp_path / "rollbackd.db")) as file:
        for trigger in ("journal_refuses_update", "journal_refuses_delete"):
            file.execute(f"DROP TRIGGER {trigger}")
        assert file.execute(statement).rowcount == 1
        file.commit()
    answer = here.desk.status()
    assert (answer.ended, [line.name for line in answer.policies]) == ((), ["shop"])


def test_an_answer_of_an_older_daemon_has_none(people):
    here = people(AUTO)
    body = json.loads(json.dumps(document(here.desk.status())))
    older = {name: value for name, value in body.items() if name not in ("ended", "ended_more")}
    assert read(Status, older).ended == ()
