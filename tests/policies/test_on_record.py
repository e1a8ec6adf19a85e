"""What an incident's rows tell whoever asks later: what it was about, how its steps ended, and since when evidence is of what it did."""

from dataclasses import replace

import pytest

from rollbackd.policies.known.events import Intended, RungEnd, Stopped
from rollbackd.policies.known.fold import opened
from rollbackd.policies.known.incident import Incident, Mended
from tests.policies.literals import FLAGS, MINUTE, OPENED, T0, TARGET, intended

OPEN = opened(OPENED)
AT = T0 + 6 * MINUTE


def stopped(rung: int, target: str) -> Stopped:
    return Stopped("inc-1", AT, rung, target, RungEnd.FAILED, "because")


def wrote(minutes: int) -> Intended:
    return intended(at=T0 + minutes * MINUTE)


def test_it_is_about_its_suspects_and_without_one_about_what_stands_for_it() -> None:
    assert replace(OPEN, suspects=("uid:7", "f2@x")).about == ("uid:7", "f2@x")
    assert replace(OPEN, suspects=(), change_id="always").about == ("always",)


@pytest.mark.parametrize(
    ("rung", "target", "is_on_record"),
    [(2, TARGET, True), (1, FLAGS, True), (1, TARGET, False), (2, FLAGS, False), (3, TARGET, False)],
)
def test_a_step_was_stopped_where_an_end_is_of_its_rung_and_target(rung: int, target: str, is_on_record: bool) -> None:
    ended = replace(OPEN, stopped=(stopped(2, TARGET), stopped(1, FLAGS)))
    assert (ended.was_stopped(rung, target), ended.has_stopped(rung, target)) == (is_on_record, is_on_record)


def test_a_step_whose_write_was_found_since_it_was_stopped_is_waited_for_again() -> None:
    found = replace(OPEN, stopped=(stopped(1, TARGET),), unsettled=(1,))
    assert (found.was_stopped(1, TARGET), found.has_stopped(1, TARGET)) == (True, False)
    assert not OPEN.has_stopped(1, TARGET)


@pytest.mark.parametrize(
    ("incident", "mended"),
    [
        pytest.param(OPEN, None, id="wrote-nothing"),
        pytest.param(replace(OPEN, closed_at=AT), None, id="closed-without-a-write"),
        pytest.param(replace(OPEN, accepted=(wrote(5),)), None, id="not-settled-yet"),
        pytest.param(replace(OPEN, accepted=(wrote(5),), evidence_from=AT), Mended(AT, T0 + 5 * MINUTE), id="settled"),
        pytest.param(replace(OPEN, accepted=(wrote(2), wrote(5)), evidence_from=AT), Mended(AT, T0 + 5 * MINUTE), id="the-last-write-counts"),
        pytest.param(replace(OPEN, accepted=(wrote(9),), evidence_from=AT), Mended(AT, AT), id="a-write-since"),
        pytest.param(replace(OPEN, accepted=(wrote(5),), closed_at=AT), Mended(AT, T0 + 5 * MINUTE), id="closed-before-it-settled"),
    ],
)
def test_evidence_begins_anew_by_what_it_did_last(incident: Incident, mended: Mended | None) -> None:
    assert incident.mended == mended
