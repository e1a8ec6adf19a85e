"""Whose fault it is, by a real daemon: an upgrade that a pipeline tells of stands beside a release."""

from pathlib import Path

from tests.e2e.corner import TARGET, Corner, shop_policy
from tests.e2e.daemon import running
from tests.exposition import Loopback
from tests.servers import poll

DATABASE = "shared:orders-db"


def test_a_release_beside_an_upgrade_of_its_database_is_held_and_reverted_by_hand(tmp_path: Path, corner: Corner, metrics: Loopback) -> None:
    config = {**corner.config(metrics), "contacts": {"oncall": [{"webhook": {"url": f"{metrics.url}/oncall"}}]}}
    with running(tmp_path, config, {"shop": shop_policy(depends_on=["orders-db"])}) as daemon:
        poll(lambda: daemon.history(TARGET))
        assert daemon.run("good", TARGET, "v1").returncode == 0
        posted = daemon.run("change", "orders-db", "--revision", "15.4")
        assert (posted.returncode, "no policy names" in posted.stdout + posted.stderr) == (0, False)
        corner.deploy("v2")
        held = daemon.wait_for(TARGET, "incident.held")["body"]
        assert (held["guard"], corner.version) == ("suspects", "v2")
        assert f"{DATABASE} revision 15.4" in held["reason"]
        assert any(guard["name"] == "suspects" and "likeliest first" in guard["value"] for guard in daemon.explained("shop")["guards"])
        ordered = daemon.run("rollback", "shop", "--rung", "2", "--reason", "the upgrade is harmless", "--yes")
        assert ordered.returncode == 0, ordered.stderr
        assert daemon.wait_for(TARGET, "incident.closed")["body"]["how"] == "recovered"
        assert (corner.version, corner.deploys()) == ("v1", ["v1"])
