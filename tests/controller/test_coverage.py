"""What people see of fleets: who is watched, who is not and why, and what is doubtful about it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.roster import Listed
from rollbackd.controller.explain.coverage import Fleets
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.model.policy import RevertRung
from tests.controller.fleets import FLEET, TEMPLATE, FleetWorld
from tests.controller.served import Served
from tests.controller.world import SHOP_POLICY
from tests.policies.literals import T0

KEY = "kubernetes:eu/$namespace/deployment/$name"
ROUTED: FleetPolicy = replace(
    FLEET,
    template=replace(TEMPLATE, target=KEY, ladder=(RevertRung(KEY),), notify=("platform",)),
    owner="team",
    select=replace(FLEET.select, cluster="eu"),
)
OWN = replace(SHOP_POLICY, name="mine", target="kubernetes:eu/shop/deployment/own", ladder=())
MEMBERS = (
    Listed("shop", "cart", {"team": "payments"}),
    Listed("shop", "checkout", {"team": "sales"}, {"mode": "suggest", "error-rate.above": "8%"}),
    Listed("shop", "odd", {"team": "payments"}, {"error-rate.above": "lots"}),
    Listed("shop", "out", {"team": "payments"}, {"opt-out": "true"}),
    Listed("shop", "own", {"team": "payments"}),
)
OTHERS = (Listed("kube-system", "dns"),)

Cli = Callable[..., tuple[int, str, str]]


class Everything(FleetWorld):
    """A world in which more runs than any selector finds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, fleets=(ROUTED,))
        self.listing.listed = MEMBERS
        self.listing.others = OTHERS
        self.membership.take((OWN,), (ROUTED,))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetWorld]:
    fleet = Everything(tmp_path)
    yield fleet
    fleet.close()


@pytest.fixture
def served(fleet: FleetWorld, tmp_path: Path) -> Iterator[Served]:
    served = Served(fleet.world, tmp_path, fleets=Fleets(fleet.membership, fleet.listing, {"eu": False}))
    yield served
    served.close()


@pytest.fixture
def cli(served: Served, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command's exit code, stdout and stderr."""
    return served.commands(capsys)


def lines(out: str) -> list[str]:
    """The lines, each blank of any length as one."""
    return [" ".join(line.split()) for line in out.splitlines()]


def asked(cli: Cli, *words: str) -> dict[str, Any]:
    code, out, _ = cli(*words, "-o", "json")
    assert code == 0
    read: dict[str, Any] = json.loads(out)
    return read


def test_coverage_says_of_every_target_whether_it_is_watched_and_why_not(fleet, cli):
    fleet.membership.refresh()
    items = {item["target"]: (item["standing"], item["fleet"], item["policy"]) for item in asked(cli, "status", "--coverage")["items"]}
    assert items == {
        "kubernetes:eu/shop/deployment/cart": ("watched", "web", "web/shop/cart"),
        "kubernetes:eu/shop/deployment/checkout": ("watched", "web", "web/shop/checkout"),
        "kubernetes:eu/shop/deployment/odd": ("watched", "web", "web/shop/odd"),
        "kubernetes:eu/shop/deployment/out": ("opted-out", "web", None),
        "kubernetes:eu/shop/deployment/own": ("own-policy", "web", "mine"),
        "kubernetes:eu/kube-system/deployment/dns": ("unwatched", None, None),
    }


def test_coverage_for_people_shows_what_is_not_simply_watched(fleet, cli):
    fleet.membership.refresh()
    code, out, err = cli("status", "--coverage")
    assert (code, err) == (0, "")
    said = lines(out)
    assert said[0] == "3 watched, 1 not watched, 1 opted out, 1 found by a fleet beside a policy of their own"
    assert said[1] == ("fleet web: 3 watched, 5 found (expected 1 to 400), 1 opted out, 1 with a policy of their own, 2 findings, read 0s ago")
    assert "shop/own own policy wins web mine" in said
    assert "shop/out opted out web -" in said
    assert "kube-system/dns NOT WATCHED - -" in said
    assert not any(line.startswith("shop/cart ") for line in said)


def test_coverage_shows_what_is_wrong_with_annotations_and_labels(fleet, cli):
    fleet.membership.refresh()
    notes = {item["policy"]: item["notes"] for item in asked(cli, "status", "--coverage")["items"]}
    assert notes["web/shop/checkout"] == [
        "error-rate above 8%, by its annotation rollbackd.io/error-rate.above",
        "mode suggest, by its annotation rollbackd.io/mode",
        "label team: 'sales' is no contact of the daemon's config, so platform is told",
    ]
    assert notes["web/shop/odd"] == [
        "annotation rollbackd.io/error-rate.above: 'lots' is not understood, so it is only observed; expected a percentage such as 5%"
    ]


def test_explain_shows_what_the_annotations_of_a_member_changed(fleet, cli):
    fleet.membership.refresh()
    _, out, _ = cli("explain", "web/shop/checkout")
    assert "note error-rate above 8%, by its annotation rollbackd.io/error-rate.above" in lines(out)
    assert "note one of the fleet web" in lines(out)


def test_status_counts_the_members_and_says_why_a_roster_is_held_back(fleet, cli):
    fleet.membership.refresh()
    fleet.listing.shows(*(f"w{number}" for number in range(2000)))
    fleet.membership.refresh()
    said = lines(cli("status")[1])
    assert "fleet web: 3 watched, 2,000 found (expected 1 to 400), 1 opted out, 1 with a policy of their own, 2 findings, read 0s ago" in said
    assert "HELD BACK: its selector matches 2,000, expected at most 400: nothing new is watched, and nobody is dropped" in said


def test_status_says_why_a_roster_cannot_be_read(fleet, cli):
    fleet.membership.refresh()
    fleet.listing.fault = Transient("no answer to list deployments in all namespaces of cluster eu (ConnectTimeoutError).")
    fleet.membership.refresh()
    said = lines(cli("status")[1])
    assert any(line.startswith("cannot be read, the last members stay: no answer to list deployments") for line in said)
    assert "what else runs there is unknown: cluster eu: no answer" in cli("status", "--coverage")[1]


@pytest.mark.parametrize(("policies", "asks"), [((SHOP_POLICY,), False), ((SHOP_POLICY, OWN), True)], ids=["commands-only", "named"])
def test_a_cluster_that_the_config_only_implies_is_asked_if_a_policy_names_it(tmp_path, policies, asks):
    fleet = FleetWorld(tmp_path, fleets=())
    fleet.listing.fault = Transient("Invalid kube-config file. No configuration found.")
    found = Fleets(fleet.membership, fleet.listing, {"eu": True}).coverage({policy.name: policy for policy in policies}, T0)
    fleet.close()
    assert bool(found.faults) is asks


def test_status_counts_the_members_in_which_nothing_happens(fleet, cli):
    fleet.membership.refresh()
    said = lines(cli("status")[1])
    assert "3 members of fleets in which nothing happens; -o json has them all" in said
    assert any(line.startswith("mine ") for line in said)


@pytest.mark.parametrize("command", ["plan", "explain"])
def test_a_command_for_one_policy_says_how_many_a_fleet_has_and_how_to_name_one(fleet, cli, command):
    fleet.membership.refresh()
    code, _, err = cli(command, "web")
    assert code == 64
    assert "web is a fleet of 3" in err
    assert "web/NAMESPACE/NAME" in err


def test_a_daemon_with_nothing_but_a_fleet_is_ready_once_its_roster_was_read(tmp_path):
    fleet = FleetWorld(tmp_path, fleets=(ROUTED,))
    served = Served(fleet.world, tmp_path, fleets=Fleets(fleet.membership, fleet.listing, {"eu": False}))
    before = served.get("/readyz")
    fleet.membership.refresh()
    after = served.get("/readyz")
    served.close()
    fleet.close()
    assert (before.status, before.text) == (503, "the roster of fleet web is not read yet: it is being asked for\n")
    assert after.status == 200
