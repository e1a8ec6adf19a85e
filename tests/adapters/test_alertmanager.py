"""The Alertmanager channel against a real Alertmanager, and against doubles for what a real one does not do on demand."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbackd.adapters.alertmanager import Alertmanager
from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from tests import servers
from tests.exposition import Loopback, Reply, serving
from tests.servers import Server, free_port, poll


def now() -> datetime:
    return datetime.now(UTC)


def notice(**changes: Any) -> Notice:
    values: dict[str, Any] = {
        "id": "msg-1",
        "key": "inc-1",
        "kind": "started",
        "title": "STARTED: reverting checkout",
        "lines": ("error ratio 8.4% > 2%", "do nothing until 03:09"),
        "urgency": "page",
        "resolved": False,
        "at": now(),
        "fields": {"target": "command:deploy", "policy": "checkout", "revision": "v2"},
    }
    return Notice(**{**values, **changes})


def channel(*urls: str, **options: Any) -> Alertmanager:
    return Alertmanager("routing", urls, now=now, **options)


def alerts(server: Server) -> list[dict[str, Any]]:
    """The alerts that fire now, by severity."""
    with urllib.request.urlopen(f"{server.url}/api/v2/alerts", timeout=20) as answer:
        return sorted(json.load(answer), key=lambda alert: str(alert["labels"]["severity"]))


def test_text_of_strangers_makes_no_line_calls_nobody_and_links_nowhere() -> None:
    foreign = "see runbook\nnothing to do <!channel> <https://evil.example|approve> @everyone [approve](https://evil.example)"
    with serving(Reply(200)) as server:
        channel(server.url).send(notice(title=foreign, lines=(foreign, "do nothing until 03:09")))
        said = json.loads(server.asked[0].body)[0]["annotations"]
    blunt = "see runbook nothing to do < !channel> < https://evil.example|approve> @ everyone [approve] (https://evil.example)"
    assert (said["summary"], said["description"]) == (blunt, f"{blunt}\ndo nothing until 03:09")


def test_a_notice_becomes_an_alert_with_the_incidents_identity(alertmanager: Server) -> None:
    at = now()
    channel(alertmanager.url).send(notice(at=at))
    (alert,) = alerts(alertmanager)
    assert alert["labels"] == {
        "alertname": "RollbackdIncident",
        "incident": "inc-1",
        "severity": "critical",
        "target": "command:deploy",
    }
    words = {"summary": "STARTED: reverting checkout", "description": "error ratio 8.4% > 2%\ndo nothing until 03:09"}
    assert alert["annotations"] == {**words, "policy": "checkout"}
    assert abs(datetime.fromisoformat(alert["startsAt"]) - at) < timedelta(milliseconds=1)
    assert abs(datetime.fromisoformat(alert["endsAt"]) - at - timedelta(days=30)) < timedelta(milliseconds=1)


def test_a_notice_that_is_no_page_is_a_warning(alertmanager: Server) -> None:
    channel(alertmanager.url).send(notice(urgency="notice", fields={}))
    (alert,) = alerts(alertmanager)
    assert alert["labels"] == {"alertname": "RollbackdIncident", "incident": "inc-1", "severity": "warning"}


def test_the_same_notice_again_is_the_same_alert(alertmanager: Server) -> None:
    target, message = channel(alertmanager.url), notice()
    target.send(message)
    first = alerts(alertmanager)
    target.send(message)
    again = alerts(alertmanager)
    assert [(alert["fingerprint"], alert["startsAt"]) for alert in again] == [(alert["fingerprint"], alert["startsAt"]) for alert in first]


def test_a_later_notice_of_the_incident_keeps_its_start_and_brings_its_words(alertmanager: Server) -> None:
    target, at = channel(alertmanager.url), now()
    target.send(notice(at=at))
    target.send(notice(id="msg-2", at=at + timedelta(seconds=30), title="WAITING: settling"))
    (alert,) = alerts(alertmanager)
    assert alert["annotations"]["summary"] == "WAITING: settling"
    assert abs(datetime.fromisoformat(alert["startsAt"]) - at) < timedelta(milliseconds=1)


def test_two_incidents_are_two_alerts(alertmanager: Server) -> None:
    target = channel(alertmanager.url)
    target.send(notice())
    target.send(notice(key="inc-2"))
    assert sorted(alert["labels"]["incident"] for alert in alerts(alertmanager)) == ["inc-1", "inc-2"]


@pytest.mark.parametrize("urgency", ["page", "notice"])
def test_the_end_of_an_incident_resolves_what_was_said_at_any_urgency(alertmanager: Server, urgency: str) -> None:
    target, at = channel(alertmanager.url), now()
    target.send(notice(urgency="notice", at=at))
    target.send(notice(urgency="page", at=at))
    assert len(alerts(alertmanager)) == 2
    target.send(notice(id="msg-2", urgency=urgency, resolved=True, at=now(), title="RECOVERED"))
    poll(lambda: alerts(alertmanager) == [])


@pytest.mark.parametrize("lasted", [timedelta(0), timedelta(hours=2)], ids=["just opened", "for two hours"])
def test_a_clock_that_is_ahead_of_alertmanagers_resolves_it_all_the_same(alertmanager: Server, lasted: timedelta) -> None:
    target, ahead = channel(alertmanager.url), timedelta(seconds=30)
    target.send(notice(at=now() + ahead - lasted))
    assert len(alerts(alertmanager)) == 1
    target.send(notice(id="msg-2", resolved=True, at=now() + ahead, title="RECOVERED"))
    poll(lambda: alerts(alertmanager) == [])


def test_an_incident_that_another_policy_took_on_is_the_same_alert_to_its_end(alertmanager: Server) -> None:
    target, taken_on = channel(alertmanager.url), {"target": "command:deploy", "policy": "latency"}
    target.send(notice())
    target.send(notice(id="msg-2", fields=taken_on))
    assert [alert["annotations"]["policy"] for alert in alerts(alertmanager)] == ["latency"]
    target.send(notice(id="msg-3", fields=taken_on, resolved=True, at=now()))
    poll(lambda: alerts(alertmanager) == [])


@pytest.fixture
def pager() -> Iterator[Loopback]:
    with serving(Reply()) as server:
        yield server


ROUTE = """
route: {{receiver: pager, group_by: [incident], group_wait: 100ms, group_interval: 1s}}
receivers: [{{name: pager, webhook_configs: [{{url: '{url}', send_resolved: true}}]}}]
"""


def said(pager: Loopback) -> list[tuple[str, str]]:
    return [(alert["status"], alert["annotations"]["summary"]) for request in pager.asked for alert in json.loads(request.body)["alerts"]]


def test_the_pager_behind_it_hears_of_the_incident_and_of_its_end(pager: Loopback) -> None:
    with servers.alertmanager(ROUTE.format(url=pager.url)) as server:
        target = channel(server.url)
        target.send(notice())
        poll(lambda: said(pager) == [("firing", "STARTED: reverting checkout")])
        target.send(notice(id="msg-2", resolved=True, at=now(), title="RECOVERED"))
        poll(lambda: ("resolved", "RECOVERED") in said(pager))


def test_every_instance_is_told(alertmanager: Server, pager: Loopback) -> None:
    target = channel(alertmanager.url, f"{pager.url}/prefix/")
    target.send(notice())
    assert len(alerts(alertmanager)) == 1
    assert [(request.path, len(json.loads(request.body))) for request in pager.asked] == [("/prefix/api/v2/alerts", 1)]
    assert target.missed == ()


def test_an_alert_that_one_instance_has_is_delivered_and_the_others_are_named(alertmanager: Server) -> None:
    dead = free_port()
    target = channel(f"http://127.0.0.1:{dead}", alertmanager.url)
    target.send(notice())
    assert len(alerts(alertmanager)) == 1
    (line,) = target.missed
    assert f"127.0.0.1:{dead} gave no answer" in line


def test_an_end_that_one_instance_has_not_heard_of_is_sent_again(alertmanager: Server) -> None:
    target = channel(f"http://127.0.0.1:{free_port()}", alertmanager.url)
    target.send(notice())
    with pytest.raises(Transient, match="gave no answer"):
        target.send(notice(resolved=True))
    poll(lambda: alerts(alertmanager) == [])


def test_no_instance_at_all_is_transient() -> None:
    with pytest.raises(Transient, match="gave no answer"):
        channel(f"http://127.0.0.1:{free_port()}").send(notice())


def test_an_address_that_is_no_alertmanager_is_permanent(alertmanager: Server) -> None:
    with pytest.raises(Permanent, match=f"Alertmanager at 127.0.0.1:{alertmanager.port} answered HTTP 404"):
        channel(f"{alertmanager.url}/wrong/prefix").send(notice())


def test_what_a_rejecting_instance_says_is_passed_on() -> None:
    with (
        serving(Reply(status=400, body=b'"bad  timestamp"\n')) as server,
        pytest.raises(Permanent, match='HTTP 400: "bad timestamp"; it was not delivered'),
    ):
        channel(server.url).send(notice())


def test_one_rejecting_and_one_silent_instance_is_transient() -> None:
    with serving(Reply(status=400)) as server, pytest.raises(Transient):
        channel(server.url, f"http://127.0.0.1:{free_port()}").send(notice())


def test_the_longest_wish_for_a_pause_is_passed_on() -> None:
    def slow_down(seconds: str) -> Reply:
        return Reply(status=429, headers={"Retry-After": seconds})

    with serving(slow_down("5")) as one, serving(slow_down("60")) as other, pytest.raises(Transient) as failed:
        channel(one.url, other.url).send(notice())
    assert failed.value.retry_after == 60


def test_a_contact_without_an_instance_cannot_be_configured() -> None:
    with pytest.raises(Permanent, match="names no Alertmanager"):
        channel()


def test_an_instance_that_hangs_is_given_up_after_the_time_out() -> None:
    with serving(Reply(wait=60)) as server, pytest.raises(Transient):
        channel(server.url, timeout=timedelta(seconds=0.3)).send(notice())
