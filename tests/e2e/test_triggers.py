"""The four triggers that the library ships, each on a real Prometheus: it puts a bad release back once, and proves that it helped.

One daemon, one Prometheus and one Alertmanager watch four shops at a time, each in a namespace of its own; each release has another symptom.
What is measured follows from the image that runs, so that a shop gets well because it was put back and for no other reason.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rollbackd.controller.demo.receiver import Receiver
from tests import servers
from tests.doubles.kube import KubeDouble
from tests.e2e.daemon import Daemon, policy, running
from tests.e2e.fleet import Fleet, Shop, double_in, exposed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# The library's own conditions: limits, metrics and profile as shipped. Only the waiting is shorter.
TRIGGERS: Mapping[str, tuple[str, dict[str, str]]] = {
    "error-rate": ("shop:errors", {"for": "0s"}),
    "p95-latency": ("shop:slow", {"for": "0s"}),
    "memory": ("shop:leak", {"for": "5s"}),  # the pods of before had no sample at their birth
    "database-failures": ("shop:no-database", {"for": "0s", "over": "5s"}),
}


@dataclass
class Story:
    """What became of the four releases."""

    shops: dict[str, Shop] = field(default_factory=dict)
    closed: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    alerts_during: set[str] = field(default_factory=set)
    alerts_after: set[str] = field(default_factory=set)
    outcome: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Told once; every test looks at one of its ends."""
    folder = tmp_path_factory.mktemp("triggers")
    with (
        double_in(folder) as double,
        exposed(Fleet(double)) as page,
        servers.prometheus(page.address) as prometheus,
        servers.alertmanager() as alertmanager,
        Receiver(SECRET) as receiver,
        running(folder, _config(folder, double, receiver, prometheus.url, alertmanager.url), {name: _policy(name) for name in TRIGGERS}) as daemon,
    ):
        yield _told(double, daemon, receiver, alertmanager.url)


def _config(folder: Path, double: KubeDouble, receiver: Receiver, prometheus: str, alertmanager: str) -> dict[str, Any]:
    (folder / "secret").write_text(SECRET)
    webhook = {"webhook": {"url": receiver.url, "secret_file": str(folder / "secret")}}
    return {
        "sources": {"prometheus": {"url": prometheus, "scrape_interval": "1s", "delay": "0s"}},
        "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
        "contacts": {"oncall": [webhook, {"alertmanager": {"urls": [alertmanager]}}]},
        "guards": {"in_flight": 4},
    }


def _policy(name: str) -> str:
    return policy(name, {"kubernetes": {"namespace": name, "deployment": "checkout"}}, {"use": name, "with": TRIGGERS[name][1]})


def _told(double: KubeDouble, daemon: Daemon, receiver: Receiver, alertmanager: str) -> Story:
    story = Story({name: Shop(daemon, double, name) for name in TRIGGERS})
    for shop in story.shops.values():
        shop.deploy()
    servers.poll(lambda: all(shop.revision for shop in story.shops.values()))
    for shop in story.shops.values():
        assert daemon.run("good", shop.target, str(shop.revision)).returncode == 0
    servers.poll(lambda: all(_states(daemon, name) == ["ok"] for name in TRIGGERS), within=40)
    # Memory is compared at equal age: what runs now has to be older than the release will be when its breach is confirmed.
    looked = _slots(daemon)
    servers.poll(lambda: _slots(daemon) >= looked + 8)
    for name, shop in story.shops.items():
        shop.stage.release(TRIGGERS[name][0], settled=False)

    def all_are_closed() -> bool:
        """Every incident is closed"""
        story.alerts_during |= _alerts(alertmanager)
        return all(daemon.rows(shop.target, "incident.closed") for shop in story.shops.values())

    try:
        servers.poll(all_are_closed, within=60, every=0.2)
    except AssertionError as fault:
        story.outcome = [str(fault), daemon.log[-3000:]]
    servers.poll(lambda: daemon.api.get("status")["daemon"]["outbox_pending"] == 0)
    story.alerts_after = _alerts(alertmanager)
    for name, shop in story.shops.items():
        story.messages[name] = [m.body["data"] for m in receiver.messages if m.body["data"]["fields"].get("target") == shop.target]
    return story


def _slots(daemon: Daemon) -> int:
    return int(daemon.api.get("status")["daemon"]["slots"])


def _states(daemon: Daemon, name: str) -> list[str]:
    return [condition["state"] for condition in daemon.policy(name).get("conditions", [])]


def _alerts(url: str) -> set[str]:
    """The targets of the alerts that Alertmanager holds as firing."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=5) as answer:
        return {alert["labels"].get("target", "") for alert in json.load(answer)}


each_trigger = pytest.mark.parametrize("trigger", TRIGGERS)


@each_trigger
def test_the_trigger_puts_the_release_back_by_exactly_one_write(story: Story, trigger: str) -> None:
    shop = story.shops[trigger]
    assert (shop.image, shop.writes()) == ("shop:1", [200]), story.outcome


@each_trigger
def test_the_incident_of_the_trigger_is_closed_as_recovered_after_one_rung(story: Story, trigger: str) -> None:
    shop = story.shops[trigger]
    assert shop.kinds() == ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"], story.outcome
    assert shop.closed()["how"] == "recovered"


@each_trigger
def test_the_incident_was_opened_by_the_trigger_and_for_no_other_reason(story: Story, trigger: str) -> None:
    (opened,) = story.shops[trigger].daemon.rows(story.shops[trigger].target, "incident.opened")
    assert (opened["body"]["condition"], opened["body"]["reason"].partition(" ")[0]) == (trigger, trigger)


@each_trigger
def test_on_call_is_told_that_it_started_and_that_it_was_rolled_back(story: Story, trigger: str) -> None:
    titles = [message["title"].partition(f"{trigger}/")[0] for message in story.messages[trigger]]
    assert titles == ["STARTED Put ", "ROLLED BACK kubernetes:test/"], story.messages[trigger]


def test_alertmanager_holds_an_alert_while_an_incident_is_open_and_none_afterwards(story: Story) -> None:
    assert story.alerts_during == {shop.target for shop in story.shops.values()}
    assert story.alerts_after == set()
