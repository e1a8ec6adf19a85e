"""The daemon's own bad weather: people who intervene, messages that hang, files that break, stops, starts and second daemons."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollbackd.controller.demo.receiver import Receiver
from tests.e2e.conftest import SECRET
from tests.e2e.corner import TARGET, Corner, shop_policy
from tests.e2e.daemon import Daemon, policy, running
from tests.e2e.fleet import Fleet, Shop, double_in, ended, exposed
from tests.exposition import Loopback, Reply, serving
from tests.servers import poll


@pytest.fixture
def contacts(tmp_path: Path, receiver: Receiver) -> dict[str, object]:
    """``oncall`` reaches ``receiver``."""
    (tmp_path / "secret").write_text(SECRET)
    return {"contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(tmp_path / "secret")}}]}}


def has_looked(daemon: Daemon) -> None:
    """Returns once the daemon has seen v1, which is declared good."""
    poll(lambda: daemon.history(TARGET))
    assert daemon.run("good", TARGET, "v1").returncode == 0


def looked_again(daemon: Daemon, slots: int = 2) -> None:
    """Returns after so many more slots."""
    done = daemon.api.get("status")["daemon"]["slots"]
    poll(lambda: daemon.api.get("status")["daemon"]["slots"] >= done + slots)


def page_about(receiver: Receiver, word: str) -> str:
    """The message with this word in its title, once it has arrived: title and lines."""
    found: list[str] = []

    def has_arrived() -> bool:
        bodies = [message.body["data"] for message in receiver.messages]
        found[:] = ["\n".join([body["title"], *body["lines"]]) for body in bodies if word in body["title"]]
        return bool(found)

    poll(has_arrived)
    return found[0]


# --- messages -----------------------------------------------------------------------------------------------------------------------------------


def test_a_notifier_that_hangs_for_a_minute_does_not_delay_the_rollback(tmp_path: Path, corner: Corner, metrics: Loopback) -> None:
    with serving(Reply(status=204, wait=60)) as pager:
        config = {**corner.config(metrics), "contacts": {"oncall": [{"webhook": {"url": f"{pager.url}/oncall"}}]}}
        with running(tmp_path, config, {"shop": shop_policy()}) as daemon:
            has_looked(daemon)
            corner.deploy("v2")
            assert daemon.wait_for(TARGET, "incident.closed")["body"]["how"] == "recovered"
            # STARTED was sent first and is still without an answer; what came after it waits behind it.
            assert len(pager.asked) == 1
            assert daemon.api.get("status")["daemon"]["outbox_pending"] == 2
            assert corner.deploys() == ["v1"]


# --- people who intervene -----------------------------------------------------------------------------------------------------------------------


def by_command(daemon: Daemon) -> None:
    assert daemon.run("pause", "--reason", "game day").returncode == 0


def by_file(daemon: Daemon) -> None:
    (daemon.data / "pause").write_text("game day\n")


@pytest.mark.parametrize("pause", [by_command, by_file])
def test_a_pause_during_an_incident_stops_it_before_its_next_rung_and_resuming_does_not_restart_it(
    tmp_path: Path, corner: Corner, metrics: Loopback, receiver: Receiver, contacts: dict[str, object], pause: Callable[[Daemon], None]
) -> None:
    with running(tmp_path, {**corner.config(metrics, flags_settle="2s"), **contacts}, {"shop": shop_policy()}) as daemon:
        has_looked(daemon)
        corner.flip("on")
        corner.deploy("v2")
        daemon.wait_for(TARGET, "rung.settled")
        pause(daemon)
        held = daemon.wait_for(TARGET, "incident.held")["body"]
        assert daemon.run("resume").returncode == 0
        looked_again(daemon)
        assert (held["guard"], corner.flag, corner.version, corner.deploys()) == ("pause", "off", "v2", [])
        assert "paused: game day" in page_about(receiver, "ROLLBACK NEEDS YOU")


def test_a_flag_that_a_human_flips_meanwhile_stays_as_the_human_wants_it_and_is_paged(
    tmp_path: Path, corner: Corner, metrics: Loopback, receiver: Receiver, contacts: dict[str, object]
) -> None:
    with running(tmp_path, {**corner.config(metrics, flags_settle="3s"), **contacts}, {"shop": shop_policy()}) as daemon:
        has_looked(daemon)
        corner.flip("on")
        daemon.wait_for(TARGET, "rung.applied")
        corner.flip("on")
        held = daemon.wait_for(TARGET, "incident.held", within=60)["body"]
        looked_again(daemon)
        assert (held["guard"], corner.flag, corner.deploys()) == ("other-writer", "on", [])
        assert "new-checkout" in page_about(receiver, "ROLLBACK NEEDS YOU")


# --- policies that change under it --------------------------------------------------------------------------------------------------------------


def test_a_broken_policy_on_reload_keeps_the_last_good_one_which_still_acts(
    tmp_path: Path, corner: Corner, metrics: Loopback, contacts: dict[str, object]
) -> None:
    with running(tmp_path, {**corner.config(metrics), **contacts}, {"shop": shop_policy()}) as daemon:
        has_looked(daemon)
        daemon.write_policy("shop", shop_policy().replace("mode: auto", "mode: atuo"))
        daemon.reload()
        poll(lambda: not daemon.api.get("status")["daemon"]["reload"]["is_ok"])
        fault = daemon.ask("status")["daemon"]["reload"]["fault"]
        assert "shop.yaml:6:9: policy 'shop' › mode: expected one of observe, suggest, approve, auto, found 'atuo'" in fault
        assert "rollbackd_config_last_reload_successful 0.0" in daemon.get("/metrics")[1]
        corner.deploy("v2")
        assert daemon.wait_for(TARGET, "incident.closed")["body"]["how"] == "recovered"


def test_a_set_of_policies_that_shrinks_by_more_than_half_is_held_back_until_a_second_sighup(
    tmp_path: Path, corner: Corner, metrics: Loopback, contacts: dict[str, object]
) -> None:
    four = {name: shop_policy(name) for name in ("a", "b", "c", "d")}
    with running(tmp_path, {**corner.config(metrics), **contacts}, four) as daemon:
        for name in ("a", "b", "c"):
            (daemon.policies / f"{name}.yaml").unlink()
        daemon.reload()
        poll(lambda: not daemon.api.get("status")["daemon"]["reload"]["is_ok"])
        status = daemon.ask("status")
        assert "the set shrank from 4 to 1 policies; the old set stays until a second SIGHUP confirms" in status["daemon"]["reload"]["fault"]
        assert [line["name"] for line in status["policies"]] == ["a", "b", "c", "d"]
        daemon.reload()
        poll(lambda: [line["name"] for line in daemon.api.get("status")["policies"]] == ["d"])


# --- stops, starts and second daemons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rung.intended", "rung.settled"])
def test_sigterm_in_the_middle_of_an_incident_exits_0_and_the_next_start_carries_it_on(
    tmp_path: Path, corner: Corner, metrics: Loopback, receiver: Receiver, contacts: dict[str, object], kind: str
) -> None:
    # Long enough to be stopped while the deployment runs, and while it settles.
    config = {**corner.config(metrics, takes=1.5 if kind == "rung.intended" else 0, settle="2s"), **contacts}
    with running(tmp_path, config, {"shop": shop_policy()}) as daemon:
        has_looked(daemon)
        corner.deploy("v2")
        opened = daemon.wait_for(TARGET, kind)
        daemon.stop()
        daemon.start()
        closed = daemon.wait_for(TARGET, "incident.closed", within=60)
        assert (closed["incident"], closed["body"]["how"]) == (opened["incident"], "recovered")
        assert (corner.version, corner.deploys()) == ("v1", ["v1"])
        poll(lambda: len(receiver.messages) == 2)
        assert [message.body["data"]["title"].split()[0] for message in receiver.messages] == ["STARTED", "ROLLED"]


def test_a_second_daemon_on_the_same_data_dir_is_refused_with_a_sentence(
    tmp_path: Path, corner: Corner, metrics: Loopback, contacts: dict[str, object]
) -> None:
    with running(tmp_path, {**corner.config(metrics), **contacts}, {"shop": shop_policy()}) as daemon:
        second = daemon.run("run")
        assert second.returncode == 1
        assert f"another rollbackd works in {daemon.data}; nothing was started" in second.stderr + second.stdout
        assert "Traceback" not in second.stderr + second.stdout


def test_two_daemons_with_stores_of_their_own_write_once_to_one_deployment(tmp_path: Path, contacts: dict[str, object]) -> None:
    with ExitStack() as stack:
        double = stack.enter_context(double_in(tmp_path))
        page = stack.enter_context(exposed(Fleet(double)))
        config = {
            **contacts,
            "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
            "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
        }
        target = {"kubernetes": {"namespace": "twice", "deployment": "checkout"}}
        text = policy("twice", target, {"use": "error-rate", "with": {"for": "0s"}})
        daemons = [stack.enter_context(running(tmp_path / name, config, {"twice": text})) for name in ("one", "two")]
        one, two = (Shop(daemon, double, "twice") for daemon in daemons)
        one.open()
        poll(lambda: two.revision)
        two.declare_good()
        one.stage.release("shop:errors")
        ends = ended(one, two)
        assert one.image == "shop:1"
        assert one.writes().count(200) == 1, ends
        assert [len([row for row in ends_of if row["kind"] == "rung.intended"]) <= 1 for ends_of in ends] == [True, True]
