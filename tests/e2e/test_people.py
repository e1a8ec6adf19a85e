"""People decide and a real daemon carries it out: approvals, orders and undo through the command line, and a kill -9 between word and deed."""

import re
from pathlib import Path

import pytest

from rollbackd.controller.demo.receiver import Receiver
from tests.e2e.conftest import SECRET
from tests.e2e.corner import TARGET, Corner, shop_policy
from tests.e2e.daemon import Daemon, running
from tests.exposition import Loopback
from tests.servers import poll


@pytest.fixture
def config(tmp_path: Path, corner: Corner, metrics: Loopback, receiver: Receiver) -> dict[str, object]:
    """The daemon's config: the shop, on-call, and two people with tokens of their own."""
    (tmp_path / "secret").write_text(SECRET)
    for name in ("ann", "bob"):
        (tmp_path / f"{name}.token").write_text(f"token-of-{name}\n")
    return {
        **corner.config(metrics),
        "contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(tmp_path / "secret")}}]},
    }


def released(daemon: Daemon, corner: Corner) -> str:
    """v2 is out after a good v1, and its incident waits for people; returns its id."""
    poll(lambda: daemon.history(TARGET))
    assert daemon.run("good", TARGET, "v1").returncode == 0
    corner.deploy("v2")
    return str(daemon.wait_for(TARGET, "rung.offered")["incident"])


def typed_from_the_page(receiver: Receiver, verb: str) -> list[str]:
    """The command that the page tells on-call to type."""
    found: list[str] = []

    def has_arrived() -> bool:
        lines = [line for message in receiver.messages for line in message.body["data"]["lines"]]
        found[:] = [match[1] for line in lines if (match := re.search(rf"rollbackd ({verb} .*)", line))]
        return bool(found)

    poll(has_arrived)
    return found[0].split()


def test_the_command_on_the_page_carries_the_plan_out(tmp_path: Path, corner: Corner, receiver: Receiver, config: dict[str, object]) -> None:
    with running(tmp_path, config, {"shop": shop_policy(mode="approve")}) as daemon:
        released(daemon, corner)
        assert corner.version == "v2"
        done = daemon.run(*typed_from_the_page(receiver, "approve"))
        assert done.returncode == 0, done.stderr
        assert daemon.wait_for(TARGET, "incident.closed")["body"]["how"] == "recovered"
        assert (corner.version, corner.deploys()) == ("v1", ["v1"])


def test_one_of_two_is_not_enough_and_the_shared_token_is_nobody(
    tmp_path: Path, corner: Corner, receiver: Receiver, config: dict[str, object]
) -> None:
    api = {"people": {name: {"token_file": str(tmp_path / f"{name}.token")} for name in ("ann", "bob")}}
    text = shop_policy(mode="approve", approvals={"count": 2, "within": "10m"})
    with running(tmp_path, {**config, "api": api}, {"shop": text}) as daemon:
        released(daemon, corner)
        words = typed_from_the_page(receiver, "approve")
        assert daemon.run(*words).returncode == 3
        assert daemon.run(*words, "--token-file", str(tmp_path / "ann.token")).returncode == 0
        again = daemon.run(*words, "--token-file", str(tmp_path / "ann.token"))
        assert "you had approved plan" in again.stdout
        assert corner.deploys() == []
        assert daemon.run(*words, "--token-file", str(tmp_path / "bob.token")).returncode == 0
        assert daemon.wait_for(TARGET, "rung.intended")["body"]["by"] == ["ann", "bob"]
        daemon.wait_for(TARGET, "incident.closed")
        assert corner.deploys() == ["v1"]


def test_an_approval_with_a_kill_right_behind_it_is_carried_out_once(tmp_path: Path, corner: Corner, config: dict[str, object]) -> None:
    with running(tmp_path, config, {"shop": shop_policy(mode="approve")}) as daemon:
        incident = released(daemon, corner)
        plan = daemon.policy("shop")["incident"]["offer"]["plan"]
        daemon.api.post("approve", incident=incident, plan=plan, who="ann")
        daemon.kill()
        daemon.start()
        assert daemon.wait_for(TARGET, "incident.closed", within=60)["body"]["how"] == "recovered"
        assert (corner.version, corner.deploys()) == ("v1", ["v1"])


def test_a_rollback_by_hand_and_its_undo(tmp_path: Path, corner: Corner, config: dict[str, object]) -> None:
    with running(tmp_path, config, {"shop": shop_policy(mode="observe")}) as daemon:
        poll(lambda: daemon.history(TARGET))
        assert daemon.run("good", TARGET, "v1").returncode == 0
        corner.deploy("v9")
        daemon.wait_for(TARGET, "change.seen", lambda row: row["body"]["revision"] == "v9")
        done = daemon.run("rollback", "shop", "--rung", "2", "--reason", "customers say so", "--yes")
        assert done.returncode == 0, done.stderr
        incident = str(daemon.wait_for(TARGET, "incident.closed")["incident"])
        assert corner.version == "v1"
        refused = daemon.run("undo", incident, "--reason", "it was innocent", "--yes")
        assert (refused.returncode, "--override quarantine" in refused.stderr) == (3, True), refused.stderr
        done = daemon.run("undo", incident, "--reason", "it was innocent", "--override", "quarantine", "--yes")
        assert done.returncode == 0, done.stderr
        daemon.wait_for(TARGET, "incident.closed", lambda row: row["incident"] != incident)
        assert (corner.version, corner.deploys()) == ("v9", ["v1", "v9"])
        assert daemon.run("wait", TARGET, "--revision", "v1").returncode == 0
        assert daemon.run("audit", "verify").returncode == 0
