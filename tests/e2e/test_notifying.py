"""A real daemon rolls a release back; PagerDuty's double and a real mail server hear of it as the documentation says."""

from pathlib import Path

from tests.doubles.mailbox import mailbox
from tests.doubles.pagerduty import KEY, PagerDutyDouble
from tests.e2e.corner import TARGET, Corner, shop_policy
from tests.e2e.daemon import running
from tests.exposition import Loopback, Reply, serving
from tests.servers import poll


def test_a_rollback_is_a_change_event_a_hold_calls_somebody_and_the_end_is_the_end_of_the_call(
    tmp_path: Path, corner: Corner, metrics: Loopback
) -> None:
    service = PagerDutyDouble()
    service.faults += [Reply(429, headers={"Retry-After": "1"}), Reply(503)]
    (tmp_path / "key").write_text(KEY)
    with serving(service) as pagerduty, mailbox() as box:
        email = {"host": "127.0.0.1", "port": box.port, "tls": "none", "from": "rollbackd@shop.example", "to": ["ada@shop.example"]}
        channels = [{"pagerduty": {"key_file": str(tmp_path / "key"), "url": pagerduty.url}}, {"email": email}]
        config = {**corner.config(metrics), "contacts": {"oncall": channels}}
        with running(tmp_path, config, {"shop": shop_policy()}) as daemon:
            poll(lambda: daemon.history(TARGET))
            assert daemon.run("good", TARGET, "v1").returncode == 0
            corner.deploy("v2")
            assert daemon.wait_for(TARGET, "incident.closed")["body"]["how"] == "recovered"
            poll(lambda: len(service.events) == 2 and len(box.raw) == 2)
            assert [change["summary"].split()[0] for change in service.changes] == ["STARTED"]
            assert (service.called, service.alerts) == ([], {})
            started, closed = box.mails
            assert started["References"] == closed["References"]

            assert daemon.run("pause", "--reason", "game day").returncode == 0
            corner.deploy("v3")
            daemon.wait_for(TARGET, "incident.held")
            poll(lambda: service.called)
            assert service.called[0].startswith("NO ACTION TAKEN")
            assert list(service.alerts.values()) == ["triggered"]
            corner.deploy("v1")
            poll(lambda: list(service.alerts.values()) == ["resolved"])
