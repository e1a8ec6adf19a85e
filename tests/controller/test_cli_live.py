"""The command against a live daemon: what is printed, where, and the exit code."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rollbackd.controller.cli.main import outcome
from rollbackd.policies.model.policy import Bound
from tests.controller.served import Served
from tests.controller.world import SHOP, SHOP_POLICY, World

ROLLBACKD = str(Path(sys.executable).with_name("rollbackd"))


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


@pytest.fixture
def served(world, tmp_path):
    served = Served(world, tmp_path)
    yield served
    served.close()


@pytest.fixture
def cli(served, capsys):
    """The command's exit code, stdout and stderr."""
    return served.commands(capsys)


def test_status_is_one_row_for_each_policy(cli):
    code, out, err = cli("status")
    assert (code, err) == (0, "")
    assert "shop    command:shop  auto  -      1 ok      -" in out.splitlines()


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_json_and_yaml_are_the_whole_document_and_nothing_else(cli, served, output, read):
    code, out, err = cli("status", "-o", output)
    assert (code, err) == (0, "")
    assert read(out) == served.get("/api/v1/status").json


def test_explain_shows_counts_guards_and_ladder(cli, world):
    world.deploy("v2")
    world.slot(0)
    code, out, _ = cli("explain", "command:shop")
    assert code == 0
    assert "error-rate unproven: no full block of evidence yet" in out
    assert "in-flight            0 of 3 incidents in flight" in out
    assert "a known-good revision: v1" in out


def test_explain_tells_no_way_back_from_none_but_what_runs(cli, world):
    world.deploy("v2")
    world.slot(0)
    world.deploy("v1")
    world.slot(60)
    assert "another known-good revision than v1: none" in cli("explain", "command:shop")[1]
    cli("bad", "command:shop", "v1")
    assert "a known-good revision: none (rollbackd good command:shop REVISION declares one)" in cli("explain", "command:shop")[1]


def test_explain_before_the_first_look_names_each_condition(tmp_path, capsys):
    world = World(tmp_path)
    served = Served(world, tmp_path)
    try:
        assert outcome(["explain", "shop", *served.options()]) == 0
    finally:
        served.close()
        world.close()
    assert f"{SHOP_POLICY.conditions[0].name} nothing read yet" in capsys.readouterr().out


def test_explain_says_what_a_breach_would_take(cli, world):
    (errors,) = SHOP_POLICY.conditions
    world.engine.adopt((replace(SHOP_POLICY, digest="bounded", conditions=(replace(errors, bound=Bound(0.01)),)),))
    world.slot(0)
    world.deploy("v2")
    for _ in range(3):
        world.slot(1, total=20)
    _, out, _ = cli("explain", "shop")
    shown = " ".join(out.split())
    assert "2/40 = 5 %: 40 events prove no health, 50 are needed; about 8 more bad events in the next block would prove a breach" in shown


def test_explain_names_the_guard_that_holds(cli, world):
    world.pause.pause("db move", "ann", world.at)
    assert "pause HOLDS          paused: db move" in cli("explain", "shop")[1]


def test_explain_of_a_held_incident_says_what_was_tried(cli, world):
    world.deploy("v2")
    for _ in range(3):
        world.slot(60)
    _, out, _ = cli("explain", "shop")
    assert "BREACH" in out
    assert "no rung is left" in out
    assert "no rung is repeated" in out
    assert "quarantine HOLDS" not in out


def test_plan_says_what_would_be_written_and_writes_nothing(cli, world):
    world.deploy("v2")
    world.slot(0)
    code, out, _ = cli("plan", "shop")
    assert code == 2
    assert "v2 -> v1" in out
    assert world.version.read_text() == "v2\n"
    assert not (world.version.parent / "applied").exists()


def test_plan_of_what_is_refused_is_3(cli):
    code, out, _ = cli("plan", "shop")
    assert code == 3
    assert "command:shop stands at v1 already, the only known-good revision" in " ".join(out.split())
    assert "instead declare another one good: rollbackd good command:shop REVISION" in " ".join(out.split())


def test_plan_of_a_target_that_cannot_be_read_says_so(cli, world):
    world.version.unlink()
    code, out, _ = cli("plan", "shop")
    assert code == 4
    assert "rung 2 revert command:shop: unreachable" in out


def test_pause_and_resume_move_the_same_switch_that_the_actor_reads(cli, world):
    code, out, _ = cli("pause", "--reason", "db move")
    assert (code, out.startswith("paused: db move (paused by ")) == (0, True)
    assert world.pause.read().startswith("db move")
    assert cli("resume")[:2] == (0, "resumed: it may act again\n")
    assert world.pause.read() is None
    assert cli("resume")[:2] == (0, "it was not paused\n")


def kinds(table):
    """The column of kinds, whether or not the times before it carry a date."""
    return [next(word for word in line.split() if word[0].isalpha()) for line in table.splitlines()[1:]]


def test_pause_and_resume_are_in_the_history(cli):
    cli("pause", "--reason", "db move")
    cli("resume")
    assert [kind for kind in kinds(cli("history")[1]) if kind.startswith("pause.")] == ["pause.set", "pause.lifted"]


def test_a_switch_that_cannot_be_undone_is_refused(cli, world):
    world.pause.file.mkdir()
    code, _, err = cli("resume")
    assert code == 1
    assert "still paused" in err


def test_a_declared_revision_is_a_destination(cli, world):
    assert cli("good", SHOP, "v0", "--unseen", "--note", "last week's")[:2] == (0, "command:shop: v0 is good\n")
    assert "v0" in [known.revision for known in world.store.good(SHOP, world.at)]
    assert cli("bad", SHOP, "v0")[0] == 0
    assert "v0" not in [known.revision for known in world.store.good(SHOP, world.at)]


def test_a_misspelt_revision_is_not_good_unless_it_is_meant(cli, world):
    code, _, err = cli("good", SHOP, "v11")
    assert (code, "v11 was never seen on command:shop (seen: v1)" in err, "--unseen" in err) == (1, True, True)
    assert "v11" not in [known.revision for known in world.store.good(SHOP, world.at)]
    code, out, err = cli("good", SHOP, "v11", "--unseen")
    assert (code, out) == (0, "command:shop: v11 is good\n")
    assert "warning: v11 was never seen" in err


def test_a_misspelt_revision_is_bad_with_a_warning_and_no_sight_of_it(cli):
    code, out, err = cli("bad", SHOP, "v11")
    assert (code, out) == (0, "command:shop: v11 is bad\n")
    assert err == "warning: v11 was never seen on command:shop (seen: v1)\n"
    assert cli("good", SHOP, "v11")[0] == 1


def test_what_runs_or_is_told_of_by_a_pipeline_was_seen(cli, world):
    world.deploy("v2")  # no slot has shown it yet
    assert cli("good", SHOP, "v2")[0::2] == (0, "")
    cli("change", SHOP, "--revision", "v3")
    assert cli("bad", SHOP, "v3")[0::2] == (0, "")


def test_whoever_declares_the_only_known_good_bad_hears_that_nothing_is_left_to_go_back_to(cli, world):
    world.good("v2")
    assert cli("bad", SHOP, "v2")[2] == "warning: v2 was never seen on command:shop (seen: v1)\n"
    left = "no revision of command:shop is known good: nothing is left to go back to; to declare one: rollbackd good command:shop REVISION"
    assert cli("bad", SHOP, "v1") == (0, "command:shop: v1 is bad\n", f"warning: {left}\n")


def test_nothing_is_said_of_a_target_that_no_policy_reverts(cli, world):
    world.engine.adopt((replace(SHOP_POLICY, digest="flags", ladder=SHOP_POLICY.ladder[:1]),))
    assert cli("bad", SHOP, "v1") == (0, "command:shop: v1 is bad\n", "")


def test_a_quarantined_revision_is_good_only_after_rearm(cli, world):
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    code, _, err = cli("good", SHOP, "v2")
    assert (code, "rollbackd rearm command:shop v2" in err) == (3, True)
    assert cli("rearm", SHOP, "v2")[:2] == (0, "command:shop: v2 is out of quarantine\n")
    assert cli("good", SHOP, "v2")[0] == 0


def test_a_posted_change_stands_among_the_changes(cli):
    assert cli("change", SHOP, "--revision", "schema-17", "--irreversible", "drops a column", "--note", "T-1")[0] == 0
    (row,) = [line for line in cli("changes")[1].splitlines() if "schema-17" in line]
    assert row.endswith("by posted; T-1; IRREVERSIBLE: drops a column")


def test_a_doubtful_post_is_done_and_warned_about(cli):
    code, _, err = cli("change", "command:database", "--revision", "14")
    assert (code, err.startswith("warning: no policy names command:database")) == (0, True)


def test_markup_in_what_people_wrote_is_shown_as_it_is(cli):
    cli("change", SHOP, "--revision", "[bold]x[/]", "--note", "[red]n[/red]")
    assert "[bold]x[/]" in cli("changes")[1]
    assert "[red]n[/red]" in cli("history")[1]


@pytest.mark.parametrize("words", [("changes",), ("history",), ("changes", "-o", "json"), ("history", "-o", "yaml")], ids=" ".join)
def test_what_people_wrote_does_not_speak_to_the_terminal(cli, words):
    cli("change", SHOP, "--revision", "v9", "--note", "a\x1b]0;title\x07\x9b31m\u202eb")
    out = cli(*words)[1]
    assert "title" in out
    assert not set("\x1b\x07\x9b\u202e") & set(out)


def test_a_refusal_does_not_speak_to_the_terminal(cli):
    code, _, err = cli("explain", "a\x9b31m\u202e")
    assert code != 0
    assert not set("\x9b\u202e") & set(err)


def test_history_is_told_oldest_first_and_of_one_incident(cli, world):
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    (incident,) = world.incidents()
    told = kinds(cli("history", incident.id)[1])
    assert told[0] == "incident.opened"
    assert "change.seen" not in told


def test_a_wrong_word_is_1_with_the_nearest_one(cli):
    assert cli("explain", "shopp")[0::2] == (1, "rollbackd: 'shopp' is neither a policy nor a target\n  did you mean shop?\n")


FAULTY = (
    "rollbackd: policy 'checkout' is not loaded: its file has faults\n"
    "  rollbackd status names the first of them, rollbackd check all; the daemon reads the file again once it is mended\n"
)


@pytest.mark.parametrize("command", ["explain", "plan"])
@pytest.mark.parametrize("asked", ["checkout", "shop/checkout"])
def test_a_policy_whose_file_has_faults_is_said_to_be_there(cli, served, command, asked):
    said = served.said
    said.unread, said.claimed = frozenset({"checkout"}), {"kubernetes:default/shop/deployment/checkout": "checkout"}
    assert cli(command, asked)[0::2] == (1, FAULTY)


@pytest.mark.parametrize("command", ["explain", "plan"])
@pytest.mark.parametrize("asked", ["shop", "command:shop"])
def test_a_policy_that_holds_as_it_was_before_its_file_got_faults_is_told_of_as_before(cli, served, command, asked):
    said = served.said
    before = cli(command, asked)
    said.unread, said.claimed = frozenset({"shop"}), {SHOP: "shop"}
    assert cli(command, asked) == before


def test_nonsense_is_a_usage_error(cli):
    assert cli("changes", "a b")[0] == 64
    assert cli("changes", "--limit", "0")[0] == 64


def test_a_wrong_token_is_said(served, tmp_path, capsys):
    (tmp_path / "other").write_text("nonsense\n")
    assert outcome(["status", "--server", served.url, "--token-file", str(tmp_path / "other")]) == 1
    err = capsys.readouterr().err
    assert "does not take this token" in err
    assert served.token not in err


@pytest.fixture
def config(served, tmp_path):
    """The config of the daemon."""
    config = tmp_path / "rollbackd.yaml"
    config.write_text(f"""\
apiVersion: rollbackd/v1
kind: Config
data_dir: {tmp_path}
api: {{listen: "127.0.0.1:{served.port}"}}
sources: {{prometheus: {{url: "http://127.0.0.1:9090"}}}}
policies: [policies.d/]
""")
    return config


def test_the_daemon_is_found_by_its_config(config, capsys):
    assert outcome(["status", "--config", str(config)]) == 0
    assert "command:shop" in capsys.readouterr().out


def test_a_fault_elsewhere_in_the_config_keeps_nobody_from_the_daemon(config, capsys):
    config.write_text(config.read_text() + "commands: {deploy: {describe: [/bin/true], apply: [/bin/true]}}\n")
    assert outcome(["pause", "--reason", "game day", "--config", str(config)]) == 0
    err = capsys.readouterr().err
    assert f"{config} is not sound, and only where its daemon is was read" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("sound", "faulty"),
    [
        pytest.param("data_dir:", "data_dirr:", id="folder-misspelt"),
        pytest.param("api: {listen:", "api: {listn:", id="address-misspelt"),
        pytest.param("api: {", "api: {token: x, ", id="perhaps-a-token-file"),
        pytest.param('listen: "127.0.0.1:', 'listen: "127.0.0.1;', id="address-malformed"),
        pytest.param("kind: Config", "kind: Config\napi: {}", id="twice"),
        pytest.param("api: {listen:", "api: {people: {}}\nlisten: {listen:", id="address-beside-its-place"),
        pytest.param("api: {", "api: {people: {", id="address-below-its-place"),
        pytest.param("api: {", "api: {kubernetes: {", id="address-of-something-else"),
        pytest.param("api: {", "commands: {api: {", id="all-of-it-elsewhere"),
    ],
)
def test_a_fault_that_leaves_the_daemon_uncertain_stops_a_command(config, sound, faulty, capsys):
    text = config.read_text().replace(sound, faulty)
    config.write_text(text.replace('"}\n', '"}}\n') if text.count("{") > text.count("}") else text)
    assert outcome(["status", "--config", str(config)]) == 1
    err = capsys.readouterr().err
    assert f"{config}:" in err
    assert "so no daemon was asked: mend it, or name the daemon with --server URL and --token-file FILE" in err


@pytest.mark.parametrize("is_whole", [True, False], ids=["server-and-token", "server-alone"])
def test_a_config_that_is_named_is_stronger_than_the_environment(config, tmp_path, monkeypatch, capsys, is_whole):
    (tmp_path / "other.token").write_text("other\n")
    monkeypatch.setenv("ROLLBACKD_SERVER", "http://127.0.0.1:9")
    if is_whole:
        monkeypatch.setenv("ROLLBACKD_TOKEN_FILE", str(tmp_path / "other.token"))
    assert outcome(["status", "--config", str(config)]) == 0
    assert "command:shop" in capsys.readouterr().out


def test_a_server_alone_is_not_sent_the_token_of_the_config_that_lies_here(config, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBACKD_SERVER", served.url)
    assert outcome(["status"]) == 64
    assert f"which token is for {served.url}?" in capsys.readouterr().err


def test_where_nobody_listens_no_token_is_asked_for(capsys):
    assert outcome(["status", "--server", "http://127.0.0.1:1"]) == 4
    err = capsys.readouterr().err
    assert "rollbackd at http://127.0.0.1:1 could not be reached" in err
    assert "token" not in err


def test_nobody_there_is_4_with_what_to_do(tmp_path, capsys):
    (tmp_path / "token").write_text("x\n")
    assert outcome(["status", "--server", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token")]) == 4
    assert "is it running there" in capsys.readouterr().err


def test_where_nobody_listens_pause_says_what_pauses_all_the_same(tmp_path, capsys):
    (tmp_path / "token").write_text("x\n")
    (tmp_path / "rollbackd.yaml").write_text(
        "apiVersion: rollbackd/v1\nkind: Config\nsources: {p: {kind: prometheus, url: 'http://127.0.0.1:9'}}\npolicies: [policies.d]\n"
        "api: {listen: '127.0.0.1:9', token_file: token}\ndata_dir: my data\n"
    )
    assert outcome(["pause", "--reason", "game day", "--config", str(tmp_path / "rollbackd.yaml")]) == 4
    assert f"or, on its machine: touch '{tmp_path}/my data/pause'" in capsys.readouterr().err
    assert outcome(["pause", "--reason", "game day", "--server", "http://127.0.0.1:9"]) == 4
    assert "or, on its machine: touch DATA_DIR/pause" in capsys.readouterr().err
    assert outcome(["resume", "--config", str(tmp_path / "rollbackd.yaml")]) == 4
    said = capsys.readouterr().err
    assert f"or, on its machine: rm '{tmp_path}/my data/pause'; what a pause has held stays held" in said


def test_a_file_that_holds_no_token_is_not_advised_to_be_removed(served, tmp_path, capsys):
    (tmp_path / "notes").write_text("not a token: “quoted”\n")
    assert outcome(["status", "--server", served.url, "--token-file", str(tmp_path / "notes")]) == 1
    err = capsys.readouterr().err
    assert "holds no token: expected one line of plain text; name the file that the daemon keeps its token in" in err
    assert "remove" not in err


def test_a_change_of_what_no_policy_depends_on_says_when_a_name_alone_is_taken(cli):
    code, _, err = cli("change", "orders-db", "--revision", "14")
    assert code == 64
    assert "a name alone is taken once a policy has it in depends_on" in err


@pytest.mark.parametrize("server", ["ftp://x", "http://", "http://127.0.0.1:99999", "http://u:p@127.0.0.1:1"])
def test_what_is_no_address_is_a_usage_error(tmp_path, server):
    (tmp_path / "token").write_text("x\n")
    assert outcome(["status", "--server", server, "--token-file", str(tmp_path / "token")]) == 64


def test_a_pipe_gets_whole_rows_without_colour(served, world):
    world.deploy("v2")
    for _ in range(3):
        world.slot(60)
    done = subprocess.run([ROLLBACKD, "history", *served.options()], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "40"})
    assert "\x1b" not in done.stdout
    (opened,) = [line for line in done.stdout.splitlines() if "incident.opened" in line]
    assert opened.endswith(" command:shop]")


def test_a_reader_that_has_left_is_no_traceback(served):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([ROLLBACKD, "history", *served.options()], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("command", ["changes", "history"])
def test_that_nothing_is_known_of_a_misspelt_target_does_not_pass_for_calm(cli, command):
    code, out, err = cli(command, "command:shpo")
    assert (code, out) == (1, "")
    assert err == "rollbackd: nothing is known of command:shpo, and no policy of this daemon names it\n  did you mean command:shop?\n"


@pytest.mark.parametrize("words", ["changes shop", "history shop", "bad shop v2", "change shop --revision v2"])
def test_whoever_writes_a_policy_for_a_target_hears_its_target(cli, words):
    code, _, err = cli(*words.split())
    assert code == 64
    assert err.splitlines()[1:] == ["  shop is a policy; its target is command:shop"]
