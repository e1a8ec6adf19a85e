"""PagerDuty against a double of its documented API: when somebody is called, and what an incident looks like there."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.pagerduty import PagerDuty
from tests.adapters.notices import ACKED, APPROVAL, BLIND, HELD, HOSTILE, NOW, OUTSIDE, OVERSIZE, RECOVERED, SIGHTED, STARTED, SUGGESTED
from tests.doubles.pagerduty import KEY, LIMIT, PagerDutyDouble
from tests.exposition import Loopback, Reply, serving


@pytest.fixture
def service() -> PagerDutyDouble:
    return PagerDutyDouble()


@pytest.fixture
def server(service: PagerDutyDouble) -> Iterator[Loopback]:
    with serving(service) as server:
        yield server


@pytest.fixture
def pager(server: Loopback, tmp_path: Path) -> PagerDuty:
    (tmp_path / "key").write_text(f"{KEY}\n")
    return PagerDuty("oncall", tmp_path / "key", now=lambda: NOW, url=server.url)


def test_a_rollback_that_goes_well_is_a_change_event_and_calls_nobody(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(STARTED)
    pager.send(RECOVERED)
    assert [change["summary"] for change in service.changes] == [STARTED.title]
    assert (service.called, service.alerts) == ([], {})


def test_a_rollback_that_needs_a_human_calls_one_and_is_resolved_when_verified(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(STARTED)
    pager.send(HELD)
    assert service.called == [HELD.title]
    assert service.alerts == {"inc-1": "triggered"}
    pager.send(RECOVERED)
    assert service.alerts == {"inc-1": "resolved"}
    assert len(service.changes) == 1


def test_an_approval_is_asked_for_by_an_alert_and_an_acknowledgement_stops_the_calls(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(APPROVAL)
    pager.send(ACKED)
    assert service.alerts == {"inc-1": "acknowledged"}
    pager.send(HELD)
    assert service.called == [APPROVAL.title]


@pytest.mark.parametrize("notice", [ACKED, RECOVERED, SIGHTED], ids=["acknowledge", "resolve", "resolve-a-source"])
def test_an_answer_to_an_alert_that_was_never_triggered_does_nothing(pager: PagerDuty, service: PagerDutyDouble, notice: object) -> None:
    pager.send(notice)  # type: ignore[arg-type]
    assert (service.alerts, service.called, service.changes) == ({}, [], [])


def test_a_blind_source_is_an_alert_of_its_own_until_it_answers(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(BLIND)
    pager.send(SUGGESTED)
    pager.send(SIGHTED)
    assert service.alerts == {"source:prometheus": "resolved", "inc-1": "triggered"}


def test_what_is_only_worth_knowing_calls_nobody(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(OUTSIDE)
    assert (service.called, [change["summary"] for change in service.changes]) == ([], [OUTSIDE.title])


def test_the_same_page_twice_is_one_alert(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(HELD)
    pager.send(HELD)
    assert service.alerts == {"inc-1": "triggered"}


def test_an_oversize_page_is_accepted_and_its_long_key_stays_one_alert(pager: PagerDuty, service: PagerDutyDouble, server: Loopback) -> None:
    pager.send(OVERSIZE)
    pager.send(replace(OVERSIZE, key=OVERSIZE.key + "!"))
    pager.send(replace(OVERSIZE, resolved=True))
    assert sorted(service.alerts.values()) == ["resolved", "triggered"]
    assert max(len(request.body) for request in server.asked) < LIMIT / 4


def test_hostile_text_is_accepted_as_text(pager: PagerDuty, service: PagerDutyDouble) -> None:
    pager.send(HOSTILE)
    (event,) = service.events
    assert all(text.isprintable() for text in (event["payload"]["summary"], event["payload"]["source"], *event["payload"]["custom_details"]["lines"]))


def test_a_wrong_key_is_permanent_with_pagerdutys_own_words(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("wrong")
    with pytest.raises(Permanent, match=r"HTTP 400: .*Invalid routing key.*; correct the address or its secret") as failed:
        PagerDuty("oncall", tmp_path / "key", now=lambda: NOW, url=server.url).send(HELD)
    assert "wrong" not in str(failed.value)


def test_a_throttled_channel_is_quiet_for_a_while_even_where_no_wish_was_named(pager: PagerDuty, service: PagerDutyDouble) -> None:
    service.faults += [Reply(429), Reply(429, headers={"Retry-After": "5"}), Reply(500)]
    waits = []
    for _ in range(3):
        with pytest.raises(Transient) as failed:
            pager.send(HELD)
        waits.append(failed.value.retry_after)
    assert waits == [30, 5, None]
    pager.send(HELD)
    assert service.alerts == {"inc-1": "triggered"}


def test_a_key_that_the_other_side_repeats_is_hidden_even_where_the_text_is_cut(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    with serving(Reply(400, ("x" * 190 + KEY).encode())) as server, pytest.raises(Permanent) as failed:
        PagerDuty("oncall", tmp_path / "key", now=lambda: NOW, url=server.url).send(HELD)
    assert KEY[:8] not in str(failed.value)


def test_the_key_is_in_the_body_and_nowhere_else(pager: PagerDuty, server: Loopback) -> None:
    pager.send(HELD)
    (request,) = server.asked
    assert json.loads(request.body)["routing_key"] == KEY
    assert KEY not in request.path + str(request.headers)
