"""A freeze that is on is the first thing that `status` says: nobody should have to ask why nothing happens."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.answers.status import FreezeLine
from rollbackd.controller.answers.wire import document
from rollbackd.controller.cli import tables
from rollbackd.controller.cli.show import console
from rollbackd.controller.engine.fleet import Settings
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.freeze import Freeze, Once
from tests.controller.served import Said, desk_of
from tests.controller.world import World
from tests.policies.literals import HOUR, T0

SALE = Freeze("winter sale", Once(T0 - HOUR, T0 + HOUR))
MOVE = Freeze("data centre move", Once(T0 - HOUR, T0 + 30 * timedelta(minutes=1)), frozenset({"prod/shop", "prod/pay"}))
OVER = Freeze("autumn sale", Once(T0 - 2 * HOUR, T0 - HOUR))
TO_COME = Freeze("spring sale", Once(T0 + HOUR, T0 + 2 * HOUR))


@pytest.fixture
def status(tmp_path):
    made = []

    def ask(*freezes):
        made.append(World(tmp_path, settings=Settings(limits=replace(Limits(), freezes=freezes))))
        return desk_of(made[0], Said()).status()

    yield ask
    made[0].close()


def shown(answer):
    out = io.StringIO()
    tables.status(answer, console(out, 200))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_freeze_that_is_on_is_shown_until_when_where_and_why(status):
    answer = status(SALE, MOVE, OVER, TO_COME)
    assert shown(answer)[1:3] == [
        "FROZEN in prod/pay, prod/shop until 14:30:00: nothing is begun by itself: data centre move",
        "FROZEN until 15:00:00: nothing is begun by itself: winter sale",
    ]
    assert answer.freezes == (FreezeLine("data centre move", T0 + HOUR / 2, ("prod/pay", "prod/shop")), FreezeLine("winter sale", T0 + HOUR, ()))
    assert [each["reason"] for each in document(answer)["freezes"]] == ["data centre move", "winter sale"]


def test_without_one_nothing_is_said_of_freezes(status):
    assert not [line for line in shown(status(OVER, TO_COME)) if "FROZEN" in line]
