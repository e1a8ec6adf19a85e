"""A fleet under a whole daemon: one policy file, a Kubernetes double whose Deployments carry a label or not, and what happens to each of them.

``kept`` carries the label and is put back; ``lowered`` has an annotation by which it is only observed; ``out`` has opted out; ``own`` has a policy of
its own, which may only suggest; ``bystander`` carries no label. The same bad release reaches all of them.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from rollbackd.adapters.kubernetes import Kubernetes
from rollbackd.controller.demo.receiver import Receiver
from tests.doubles.kube import KubeDouble
from tests.doubles.kube.stage import Stage
from tests.e2e.daemon import SECONDS, Daemon, policy, running
from tests.e2e.fleet import Fleet, double_in, exposed
from tests.servers import poll

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHOPS = ("kept", "lowered", "out", "own", "bystander")
LABELS = {"rollback": "on", "team": "payments"}
NOTES: dict[str, dict[str, str]] = {"lowered": {"rollbackd.io/mode": "observe"}, "out": {"rollbackd.io/opt-out": "true"}}
ERRORS = {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}


def fleet_policy(most: int = 10) -> str:
    spec = {
        "mode": "auto",
        "select": {"kubernetes": {"labels": {"rollback": "on"}}, "expect": {"min": 1, "max": most}},
        "every": "1s",
        "timing": dict(SECONDS),
        "rollback_when": [ERRORS],
        "remedy": [{"revert": {"to": "known-good"}}],
        "notify": {"owner": {"label": "team"}, "fallback": "platform"},
    }
    return yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": "web"}, "spec": spec}, sort_keys=False)


class Town:
    """Every shop in a namespace of its own name, under one daemon."""

    def __init__(self, double: KubeDouble, daemon: Daemon, owners: Receiver, platform: Receiver) -> None:
        self.double, self.daemon, self.owners, self.platform = double, daemon, owners, platform

    def stage(self, name: str) -> Stage:
        return Stage(self.double, Kubernetes({}), name)

    def image(self, name: str) -> str:
        return str(self.stage(name).deployment()["spec"]["template"]["spec"]["containers"][0]["image"])

    def target(self, name: str) -> str:
        return f"kubernetes:test/{name}/deployment/checkout"

    def names(self) -> list[str]:
        """The policies that hold."""
        return [line["name"] for line in self.daemon.api.get("status")["policies"]]

    def line(self) -> dict[str, Any]:
        """The fleet's line in status."""
        (line,) = self.daemon.api.get("status")["fleets"]
        return dict(line)


def titles(receiver: Receiver) -> list[str]:
    """The messages that have arrived there."""
    return [message.body["data"]["title"] for message in receiver.messages]


def open_shop(double: KubeDouble, name: str) -> None:
    double.api("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    labels = {} if name == "bystander" else LABELS
    Stage(double, Kubernetes({}), name).deploy("shop:1", metadata={"labels": labels, "annotations": NOTES.get(name, {})}, settled=False)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The bad release has reached every shop, and one was put back."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "secret").write_text(SECRET)
    with double_in(folder) as double, Receiver(SECRET) as owners, Receiver(SECRET) as platform, exposed(Fleet(double)) as page:
        for name in SHOPS:
            open_shop(double, name)
        contacts = {"oncall": platform, "platform": platform, "payments": owners}
        config = {
            "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
            "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
            "contacts": {name: [{"webhook": {"url": receiver.url, "secret_file": str(folder / "secret")}}] for name, receiver in contacts.items()},
        }
        own = policy("own", {"kubernetes": {"namespace": "own", "deployment": "checkout"}}, ERRORS, mode="suggest")
        with running(folder, config, {"web": fleet_policy(), "own": own}) as daemon:
            town = Town(double, daemon, owners, platform)
            poll(lambda: "web/kept/checkout" in town.names(), within=30)
            for name in ("kept", "own"):
                poll(lambda name=name: declare_good(town, name), within=30)
            for name in SHOPS:
                town.stage(name).release("shop:errors", settled=False)
            daemon.wait_for(town.target("kept"), "incident.closed", within=60)
            yield town


def declare_good(town: Town, name: str) -> bool:
    policy_name = "own" if name == "own" else f"web/{name}/checkout"
    revision = town.daemon.policy(policy_name).get("revision")
    if revision:
        town.daemon.api.post("good", target=town.target(name), revision=revision, who="a test")
    return bool(revision)


def test_the_member_is_put_back_and_its_owner_is_told(town: Town) -> None:
    assert town.image("kept") == "shop:1"
    opened = town.daemon.rows(town.target("kept"), "incident.opened")
    assert [row["body"]["policy"] for row in opened] == ["web/kept/checkout"]
    poll(lambda: any(title.startswith("ROLLED BACK") and "kept" in title for title in titles(town.owners)))
    assert not any("kept" in title for title in titles(town.platform))


def test_those_that_are_lowered_out_or_not_chosen_are_left_as_they_are(town: Town) -> None:
    assert [town.image(name) for name in ("lowered", "out", "own", "bystander")] == ["shop:errors"] * 4


def test_the_member_with_a_lowered_mode_is_journalled_as_what_would_have_been_done(town: Town) -> None:
    row = town.daemon.wait_for(town.target("lowered"), "observed", within=30)
    assert row["body"]["policy"] == "web/lowered/checkout"


def test_its_own_policy_has_the_incident_and_the_fleet_has_none(town: Town) -> None:
    row = town.daemon.wait_for(town.target("own"), "incident.opened", within=30)
    assert (row["body"]["policy"], row["body"]["mode"]) == ("own", "suggest")


def test_coverage_names_who_is_not_watched_and_why(town: Town) -> None:
    found = town.daemon.api.get("coverage")
    assert (found["faults"], {item["target"]: item["standing"] for item in found["items"]}) == (
        [],
        {
            town.target("kept"): "watched",
            town.target("lowered"): "watched",
            town.target("out"): "opted-out",
            town.target("own"): "own-policy",
            town.target("bystander"): "unwatched",
        },
    )


def test_a_workload_that_gets_the_label_is_watched_after_a_sighup_and_a_roster_beyond_expect_watches_nobody_new(town: Town) -> None:
    town.stage("bystander").merge({"metadata": {"labels": LABELS}})
    town.daemon.reload()
    poll(lambda: "web/bystander/checkout" in town.names(), within=30)
    for number in range(11):
        town.stage("bystander").deploy("shop:1", name=f"extra-{number}", metadata={"labels": LABELS}, replicas=0, settled=False)
    town.daemon.reload()
    poll(lambda: town.line()["doubt"] is not None, within=30)
    assert town.line()["doubt"] == "its selector matches 16, expected at most 10"
    assert [name for name in town.names() if "extra" in name] == []
    poll(lambda: any("matches 16, expected at most 10" in title for title in titles(town.platform)))


def test_while_the_api_server_refuses_the_members_stay_and_status_says_why(town: Town) -> None:
    before = town.names()
    town.double.deny("list", "deployments")
    town.daemon.reload()
    poll(lambda: town.line()["fault"] is not None, within=30)
    assert "Add to a ClusterRole" in town.line()["fault"]
    assert town.names() == before
    town.double.control("POST", "allow")
