"""The commands by which people decide, against a live daemon; and whose word the API takes."""

import io
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackd.controller.api.token import TokenBook
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.journal.backup import backup
from rollbackd.controller.journal.database import database
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Approvals, Mode, RevertRung
from tests.controller.served import Served
from tests.controller.world import SHOP, SHOP_POLICY, World

APPROVING = replace(SHOP_POLICY, digest="approve", mode=Mode.APPROVE, ladder=(RevertRung(SHOP),), approvals=Approvals(count=2))
PEOPLE = {"ann": "token-of-ann", "bob": "token-of-bob"}


@pytest.fixture
def world(tmp_path):
    """v2 is bad, and the plan to put v1 back waits for two people."""
    world = World(tmp_path, APPROVING)
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    for _ in range(3):
        world.slot(60)
    yield world
    world.close()


@pytest.fixture
def served(world, tmp_path):
    served = Served(world, tmp_path, PEOPLE)
    yield served
    served.close()


@pytest.fixture
def cli(served, capsys, tmp_path):
    """The command's exit code, stdout and stderr, said by ``who``."""
    for name, token in PEOPLE.items():
        (tmp_path / f"{name}.token").write_text(token)

    def run(*words, who="ann"):
        capsys.readouterr()
        token = tmp_path / f"{who}.token" if who else served.token_file
        code = outcome([*words, "--server", served.url, "--token-file", str(token)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def incident(world):
    (found,) = world.incidents()
    return found


def plan(world):
    return incident(world).offer.plan_digest[:12]


def settle(world):
    world.engine.decide_again(SHOP)
    world.rest()


def typed(monkeypatch, answer):
    """What the person answers at the prompt."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answer + "\n"))


# --- approve and reject ------------------------------------------------------------------------------------------------------------------


def test_status_and_explain_show_the_plan_that_waits(cli, world):
    for command in (("status",), ("explain", SHOP)):
        _, out, _ = cli(*command)
        assert "waits for  0 of 2 approvals until" in out
        assert f"{plan(world)}: put command:shop back to v1" in out
    assert "AWAITING" in cli("status")[1]


def test_two_people_approve_the_plan_and_it_is_carried_out(cli, world):
    first = cli("approve", incident(world).id, "--plan", plan(world))
    assert first[:2] == (0, f"{incident(world).id} on command:shop: plan {plan(world)} has 1 of 2 approvals\n")
    settle(world)
    assert "1 of 2 approvals (ann)" in cli("status")[1]
    assert cli("approve", incident(world).id, "--plan", plan(world), who="bob")[0] == 0
    settle(world)
    assert world.version.read_text() == "v1\n"


def test_without_a_plan_it_is_shown_and_asked_for(cli, world, monkeypatch):
    typed(monkeypatch, "y")
    code, out, err = cli("approve", incident(world).id)
    assert (code, "1 of 2 approvals" in out) == (0, True)
    assert f"plan {plan(world)}: put command:shop back to v1" in err
    assert "Approve this plan?" in err


@pytest.mark.parametrize("command", [("approve",), ("reject", "--reason", "no")], ids=["approve", "reject"])
def test_an_incident_that_is_misspelt_is_not_said_to_have_no_plan(cli, world, command):
    misspelt = incident(world).id[:-1]
    code, _, err = cli(*command, misspelt)
    assert code == 1
    assert f"there is no incident '{misspelt}'" in err
    assert f"open incidents: {incident(world).id}" in err
    assert cli(*command, SHOP)[0] == 1


def test_an_incident_that_is_over_has_no_plan(cli, world):
    over = incident(world).id
    cli("ack", over, "--close")
    settle(world)
    code, _, err = cli("approve", over)
    assert (code, f"no plan of {over} waits for people" in err) == (3, True)


def test_who_says_no_has_decided_nothing(cli, world, monkeypatch):
    typed(monkeypatch, "n")
    code, _, err = cli("approve", incident(world).id)
    assert (code, err.endswith("[y/N]: nothing was decided\n"), incident(world).approvals) == (130, True, ())


def test_where_nobody_can_answer_it_is_64_and_says_how_to_name_the_plan(cli, world, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, out, err = cli("approve", incident(world).id)
    assert (code, out, incident(world).approvals) == (64, "", ())
    assert f"nobody can answer here, so nothing was done: name the plan with --plan {plan(world)}" in err


def test_an_approval_for_another_plan_is_3_and_says_which_one_waits(cli, world):
    code, out, err = cli("approve", incident(world).id, "--plan", "0123456789ab")
    assert (code, out) == (3, "")
    assert f"'0123456789ab' is not the plan that {incident(world).id} waits with: that is {plan(world)}" in err
    assert "by ann" not in err


def test_a_guard_in_the_way_is_3_and_named(cli, world):
    world.pause.pause("db move", "eve", world.at)
    code, _, err = cli("approve", incident(world).id, "--plan", plan(world))
    assert (code, err) == (3, "rollbackd: held by pause: paused: db move (paused by eve at 2026-11-22 14:00:40 UTC)\n")


def test_a_rejected_plan_is_held(cli, world):
    assert cli("reject", incident(world).id, "--plan", plan(world), "--reason", "the database")[0] == 0
    assert (incident(world).phase, incident(world).held.reason.split(" (")[0]) == (Phase.HELD, f"ann rejected plan {incident_plan(world)}")


def incident_plan(world):
    rows = [row for row in world.store.history(100) if row.kind == "rung.offered"]
    return rows[0].body["plan_digest"][:12]


def test_ack_and_label_are_in_the_history(cli, world):
    found = incident(world).id
    assert cli("ack", found, "--note", "on it")[0] == 0
    settle(world)
    assert "by ann: nothing more is begun by itself" in cli("status")[1]
    assert cli("ack", found, "--close")[0] == 0
    assert cli("label", found, "wrong", "--note", "load test")[0] == 0
    out = cli("history", found)[1]
    assert "by ann: on it" in out
    assert "wrong, by ann: load test" in out


# --- rollback, undo ----------------------------------------------------------------------------------------------------------------------


def test_a_rollback_shows_its_plan_and_asks(cli, world, monkeypatch):
    typed(monkeypatch, "n")
    code, out, err = cli("rollback", "shop", "--reason", "customers say so")
    assert (code, out, world.version.read_text()) == (130, "", "v2\n")
    assert "rung 1" in err
    assert "would write" in err
    assert err.endswith("[y/N]: nothing was ordered\n")


def test_a_rollback_where_nobody_can_answer_is_64_and_says_how_to_go_on(cli, world, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, out, err = cli("rollback", "shop", "--reason", "customers say so")
    assert (code, out, world.version.read_text()) == (64, "", "v2\n")
    assert "nobody can answer here, so nothing was done: say --yes to have it carried out unasked" in err


def test_a_rollback_takes_the_open_incident_on(cli, world):
    found = incident(world).id
    code, out, _ = cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    assert (code, out) == (0, f"{found} on command:shop: ordered; follow it: rollbackd explain command:shop\n")
    settle(world)
    assert world.version.read_text() == "v1\n"


def test_a_rollback_with_nothing_to_do_is_3_and_says_why(cli, world):
    world.deploy("v1")
    code, out, err = cli("rollback", SHOP, "--reason", "x", "--yes")
    assert (code, out) == (3, "")
    assert "no rung of shop can be carried out: rung 1" in err


def test_a_rollback_without_a_way_back_says_how_to_declare_one(cli):
    cli("bad", SHOP, "v1")
    code, out, err = cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    assert (code, out) == (3, "")
    assert err.splitlines()[1:] == [f"  rollbackd good {SHOP} REVISION"]


def test_an_undo_asks_for_the_quarantine_to_be_named(cli, world):
    cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    settle(world)
    found = incident(world).id
    code, _, err = cli("undo", found, "--reason", "it was the database", "--yes")
    assert (code, "--override quarantine" in err) == (3, True)
    assert cli("undo", found, "--reason", "it was the database", "--override", "quarantine", "--yes")[0] == 0
    settle(world)
    assert world.version.read_text() == "v2\n"


def test_the_same_rollback_again_is_3_and_says_who_ordered_it(cli, world):
    at = f"{world.at:%H:%M:%S}"
    cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    settle(world)
    for rung in ((), ("--rung", "1")):
        code, out, err = cli("rollback", SHOP, "--reason", "customers say so", "--yes", *rung, who="bob")
        assert (code, out) == (3, "")
        assert f"already ordered by ann at {at} UTC in {incident(world).id}" in err
        assert "follow it: rollbackd status" in err


def test_what_is_about_to_be_written_is_not_headed_as_if_nothing_were(cli, world):
    _, _, err = cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    assert err.splitlines()[0] == "shop on command:shop: the plan:"
    settle(world)
    _, _, err = cli("undo", incident(world).id, "--reason", "it was the database", "--override", "quarantine", "--yes")
    assert err.splitlines()[0] == "shop on command:shop: the plan:"


def test_a_plan_that_goes_into_a_log_has_each_command_on_one_line(cli, world, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, _, err = cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    (by_hand,) = (line for line in err.splitlines() if line.startswith("  by hand"))
    assert by_hand.endswith(" v1")
    assert [line for line in err.splitlines() if line != line.rstrip()] == []


def test_guards_may_be_named_between_commas(cli, world):
    cli("rollback", SHOP, "--reason", "customers say so", "--yes")
    settle(world)
    found = incident(world).id
    assert cli("undo", found, "--reason", "it was the database", "--override", "cool-down,quarantine", "--yes")[0] == 0


# --- whose word it is ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("approve", "INC", "--plan", "PLAN"), ("reject", "INC", "--plan", "PLAN", "--reason", "x")])
def test_where_people_have_tokens_the_shared_one_decides_nothing(cli, world, words):
    words = [word.replace("INC", incident(world).id).replace("PLAN", plan(world)) for word in words]
    code, _, err = cli(*words, who="")
    assert (code, "the shared token does not say who decides" in err) == (3, True)
    assert incident(world).phase is Phase.AWAITING


def test_the_name_is_the_tokens_whatever_is_typed(served, world):
    body = {"incident": incident(world).id, "plan": plan(world), "who": "eve"}
    headers = {"authorization": "Bearer token-of-ann", "content_type": "application/json"}
    assert served.ask("POST", "/api/v1/approve", json.dumps(body).encode(), **headers).status == 200
    assert [approval.who for approval in incident(world).approvals] == ["ann"]


def test_two_people_with_one_token_are_refused_at_the_start(tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / name).write_text("same\n")
    with pytest.raises(ValueError, match="the token of bob is also the token of ann"):
        TokenBook(tmp_path / "api.token", {name: tmp_path / name for name in ("ann", "bob")})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"of": "shop", "plan": "p", "reason": "x", "rung": "1"}, id="rung-as-text"),
        pytest.param({"of": "shop", "plan": "p", "reason": "x", "rung": True}, id="rung-as-bool"),
        pytest.param({"of": "shop", "plan": "p", "reason": "x", "rung": 10**9}, id="rung-too-high"),
        pytest.param({"of": "shop", "plan": "p", "rung": 1}, id="no-reason"),
        pytest.param({"of": "shop", "plan": "p", "reason": "x", "rung": 1, "overrides": "pause"}, id="overrides-no-list"),
        pytest.param({"of": "shop", "plan": "p", "reason": "x", "rung": 1, "overrides": [1]}, id="override-no-word"),
        pytest.param({"of": "shop", "plan": "p", "reason": "x", "rung": 1, "overrides": ["x"] * 21}, id="too-many"),
    ],
)
def test_a_wish_that_is_no_wish_is_refused(served, body):
    headers = {"authorization": "Bearer token-of-ann", "content_type": "application/json"}
    assert served.ask("POST", "/api/v1/rollback", json.dumps(body).encode(), **headers).status == 400


# --- wait, audit -----------------------------------------------------------------------------------------------------------------------------


def test_a_pipeline_waits_for_good_and_bad(cli, world):
    assert cli("wait", SHOP, "--revision", "v1")[:2] == (0, "command:shop v1 is good: good, declared\n")
    code, out, _ = cli("wait", SHOP, "--revision", "v2")
    assert (code, f"is bad: {incident(world).id} is awaiting" in out) == (2, True)


def test_a_revision_that_never_came_is_waited_for_until_the_time_is_up(cli):
    code, out, err = cli("wait", SHOP, "--revision", "v9", "--timeout", "0")
    assert (code, out) == (1, "command:shop v9 is awaited: not seen yet; command:shop is at v2\n")
    assert err == "the time is up, after 0s: it is neither known good nor bad\n"


def test_a_revision_that_another_replaced_is_1(cli, world):
    world.deploy("v3")
    world.slot(0)
    world.deploy("v4")
    world.slot(0)
    assert cli("wait", SHOP, "--revision", "v3") == (1, "command:shop v3 is superseded: command:shop is at v4 by now\n", "")


def test_the_journal_holds_and_its_heads_can_be_kept(cli, world, tmp_path):
    code, out, _ = cli("audit", "verify", "-o", "json")
    assert code == 0
    kept = tmp_path / "heads.json"
    kept.write_text(out)
    world.slot(60)
    assert cli("audit", "verify", "--kept", str(kept))[0] == 0
    (head,) = json.loads(out)["heads"].values()
    assert f"head of test-0: {head}" in cli("audit", "verify")[1]


def forge(world, statement):
    """Somebody with the file at hand takes the triggers away and changes a row."""
    tampered_file(world.store.database.file, statement)


def tampered_file(file, statement):
    with sqlite3.connect(file) as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        other.execute(statement)


def test_an_edited_row_is_2_and_named(cli, world):
    forge(world, "UPDATE journal SET body = body || ' ' WHERE seq = 2")
    code, out, _ = cli("audit", "verify")
    assert (code, out.splitlines()[0]) == (2, "BROKEN at row 2 of test-0: its content was changed after it was written")


def test_a_journal_that_was_cut_short_shows_by_its_kept_head(cli, world, tmp_path):
    kept = tmp_path / "heads.json"
    kept.write_text(cli("audit", "verify", "-o", "json")[1])
    forge(world, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
    code, out, _ = cli("audit", "verify", "--kept", str(kept))
    assert (code, out.splitlines()[0].split()[0]) == (2, "MISSING")


def copied(world, tmp_path):
    """A backup of the journal."""
    backup(database(f"sqlite:///{world.store.database.file}"), tmp_path / "copy.db")
    return str(tmp_path / "copy.db")


def test_a_backup_is_verified_like_the_journal_and_needs_no_daemon(cli, world, tmp_path, capsys):
    _, out, _ = cli("audit", "verify", "-o", "json")
    (tmp_path / "heads.json").write_text(out)
    copy = copied(world, tmp_path)
    assert outcome(["audit", "verify", copy, "--kept", str(tmp_path / "heads.json")]) == 0
    assert capsys.readouterr().out.startswith(f"the chain holds over {json.loads(out)['rows']} rows in {copy}\nhead of test-0: ")
    assert [file.name for file in tmp_path.glob("copy*")] == ["copy.db"]
    assert outcome(["audit", "verify", copy, "--head", "0" * 16]) == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: tampered_file(file, "UPDATE journal SET body = '{}' WHERE seq = 2"), "BROKEN at row 2 of test-0: its content was changed"),
        (lambda file: file.write_bytes(file.read_bytes()[:8192] + b"\xff" * 40_000), "BROKEN at store "),
    ],
    ids=["edited", "damaged"],
)
def test_a_backup_that_was_changed_is_2(cli, world, tmp_path, capsys, spoil, said):
    copy = copied(world, tmp_path)
    spoil(Path(copy))
    assert outcome(["audit", "verify", copy]) == 2
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize("held", ["no export\n", "", '{"apiVersion": "rollbackd/v1"}\n', "\x1f\x8b"], ids=["text", "nothing", "json", "gzip"])
def test_a_file_that_is_neither_an_export_nor_a_backup_is_64_with_what_is(cli, tmp_path, held):
    (tmp_path / "x").write_text(held)
    code, _, err = cli("audit", "verify", str(tmp_path / "x"))
    assert code == 64
    assert "is no export of the journal" in err
    assert "FILES are those of `rollbackd compact`, and one of `rollbackd backup`" in err


def test_the_database_of_something_else_is_64(cli, tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE shop (id)")
    code, _, err = cli("audit", "verify", str(tmp_path / "other.db"))
    assert (code, "the database holds other tables (shop)" in err) == (64, True)


def test_a_kept_file_that_is_none_is_said(cli, tmp_path):
    (tmp_path / "x.json").write_text("[]")
    code, _, err = cli("audit", "verify", "--kept", str(tmp_path / "x.json"))
    assert (code, "is no output of `rollbackd audit verify -o json`" in err) == (1, True)


def test_a_config_among_the_files_of_an_audit_is_said_to_be_one(tmp_path, capsys, monkeypatch):
    (tmp_path / "x").mkdir()
    config, policy = tmp_path / "rollbackd.yaml", tmp_path / "shop.yaml"
    config.write_text("# of prod\napiVersion: rollbackd/v1\nkind: Config\n")
    policy.write_text("apiVersion: rollbackd/v1\nkind: RollbackPolicy\n")
    assert outcome(["audit", "verify", str(config)]) == 64
    said = f"{config} is a daemon's config, and FILES hold rows of a journal: rollbackd audit verify --config {config} asks its daemon"
    assert said in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "x")
    assert outcome(["audit", "verify", str(policy)]) == 64
    assert "is a daemon's config" not in capsys.readouterr().err
