"""What a level was at equal age before the change: asked of the source only where it matters, and never made up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer, Levels, Query, Row
from rollbackd.controller.observe.aging import aged
from rollbackd.controller.observe.asking import answered
from rollbackd.policies.known.changes import Change
from rollbackd.policies.model.policy import Leaf, Policy
from rollbackd.policies.model.readings import Lack, Level, Reading, Unknown
from rollbackd.policies.model.signals import Gauge, Identity, Selector
from tests.policies.literals import HOUR, MEMORY, MINUTE, POLICY, RELEASE, SECOND, T0

AT = T0 + 12 * MINUTE
THEN = T0 - HOUR + 12 * MINUTE - 5 * SECOND
ROW = ("checkout",)
CONDITION = replace(MEMORY, signal=Gauge(Selector("memory"), Selector("limit"), "second", "pod"), identity=Identity(("app",), ROW), compares=True)
COMPARING = replace(POLICY, conditions=(CONDITION,), trigger=Leaf(0))
BEFORE = replace(RELEASE, id="uid:6", predecessor=None, started_early=T0 - HOUR, started_late=T0 - HOUR, ready=T0 - HOUR)
CHANGES = (BEFORE, replace(RELEASE, predecessor="uid:6"))
FULL = Level(AT, 0.97, AT, 3)


class Past:
    """Answers one moment of the past, and keeps what it was asked."""

    name, delay, freshness = "prometheus", 5 * SECOND, 40 * SECOND

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer
        self.asked: list[tuple[Query, datetime]] = []

    def block(self, every: timedelta) -> timedelta:
        return MINUTE

    def read(self, query: Query, at: datetime) -> Answer:
        self.asked.append((query, at))
        if self._answer is None:
            raise Transient("no answer")
        return self._answer

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        return {}


def asked_alone(policy: Policy, readings: tuple[Reading, ...], changes: Sequence[Change], source: Past) -> tuple[Reading, ...]:
    return answered(aged(policy, readings, changes, source, AT), source)


KNOWN = Answer({ROW: Row({"value": 0.61, "units": 3.0}, THEN)})


def test_a_full_level_is_put_beside_what_it_was_when_the_pods_before_were_as_old() -> None:
    source = Past(KNOWN)
    assert asked_alone(COMPARING, (FULL,), CHANGES, source) == (replace(FULL, before=0.61, age=12 * MINUTE),)
    ((query, at),) = source.asked
    assert isinstance(query, Levels)
    assert (query.only, query.per, at) == (frozenset({ROW}), "pod", THEN)


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(Level(AT, 0.6, AT, 3), id="within-its-limit"),
        pytest.param(Unknown(AT, Lack.NODATA, "no series"), id="no-data"),
    ],
)
def test_what_is_not_out_of_its_limit_costs_no_question(reading: Reading) -> None:
    source = Past(KNOWN)
    assert asked_alone(COMPARING, (reading,), CHANGES, source) == (reading,)
    assert source.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="no-answer"),
        pytest.param(Answer({}), id="no-series-then"),
        pytest.param(Answer({ROW: Row({"value": 0.61}, THEN - MINUTE)}), id="stale-then"),
        pytest.param(Answer({ROW: Row({"value": 0.61}, THEN)}, faults={ROW: "two series"}), id="not-to-be-trusted"),
    ],
)
def test_where_the_source_cannot_tell_nothing_stands_beside_it(answer: Answer | None) -> None:
    (level,) = asked_alone(COMPARING, (FULL,), CHANGES, Past(answer))
    assert isinstance(level, Level)
    assert level.before is None


def test_where_nobody_saw_what_was_before_the_source_is_not_asked() -> None:
    source = Past(KNOWN)
    assert asked_alone(COMPARING, (FULL,), CHANGES[1:], source) == (FULL,)
    assert source.asked == []
