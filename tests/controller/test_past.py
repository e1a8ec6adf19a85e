"""The past of new policies: what goes in comes out once, each policy's own."""

from datetime import UTC, datetime, timedelta

from rollbackd.controller.observe.past import Past
from rollbackd.policies.model.readings import Level

AT = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
LATER = AT + timedelta(seconds=15)


def level(value: float) -> Level:
    return Level(AT, value, AT)


def test_each_policy_gets_its_own_readings_oldest_slot_first_and_once() -> None:
    past = Past({"one": 1, "two": 2})
    past.add(AT, [level(1), level(2), level(3)])
    past.add(LATER, [level(4), level(5), level(6)])
    assert list(past.take_out("two")) == [(AT, (level(2), level(3))), (LATER, (level(5), level(6)))]
    assert list(past.take_out("one")) == [(AT, (level(1),)), (LATER, (level(4),))]
    assert list(past.take_out("two")) == []


def test_a_policy_without_a_past_gets_none() -> None:
    assert list(Past().take_out("one")) == []
