"""Commands that need no daemon, and the command as a whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rollbackd.controller.cli.main import SECTIONS, cli, outcome
from rollbackd.controller.starting import hold

ROLLBACKD = str(Path(sys.executable).with_name("rollbackd"))
SOUND = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  rollback_when: [{use: error-rate}]
"""
CONFIG = """\
apiVersion: rollbackd/v1
kind: Config
sources: {prometheus: {url: "http://127.0.0.1:9090"}}
policies: [policies.d]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies.d").mkdir()
    (tmp_path / "policies.d" / "checkout.yaml").write_text(SOUND)
    (tmp_path / "rollbackd.yaml").write_text(CONFIG)
    return tmp_path


def run(capsys, *words):
    code = outcome([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_sound_policies_are_0_and_the_summary_is_talk(folder, capsys):
    assert run(capsys, "check", folder / "policies.d") == (0, "", "1 file: 1 policy sound\n")


def test_a_config_without_end_is_not_read_to_its_end(folder, capsys):
    (folder / "rollbackd.yaml").write_bytes(b"#" * 10_000_001)
    code, _, err = run(capsys, "check", "--config", folder / "rollbackd.yaml")
    assert code == 1
    assert "more than 10 MB" in err


def test_a_fleet_policy_is_a_policy_that_is_checked_without_a_cluster(folder, capsys):
    select = 'select: {kubernetes: {labels: {rollback: "on"}}, expect: {min: 50, max: 400}}'
    target = "target: {kubernetes: {namespace: shop, deployment: checkout}}"
    file = folder / "policies.d" / "web.yaml"
    file.write_text(SOUND.replace("name: checkout", "name: web").replace(target, select))
    assert run(capsys, "check", folder / "policies.d") == (0, "", "2 files: 2 policies sound\n")
    file.write_text(file.read_text().replace("min: 50", "min: 500"))
    code, out, _ = run(capsys, "check", "--config", folder / "rollbackd.yaml")
    assert code == 2
    assert "expected 'min' no larger than 'max', found 500 and 400" in out


def test_conditions_that_no_bound_holds_for_are_named(folder, capsys):
    (folder / "policies.d" / "checkout.yaml").write_text(SOUND.replace("error-rate", "standard"))
    said = "1 file: 1 policy sound\nno bound on false rollbacks holds for memory, database-failures, restarts, oom-kills: compared as it is\n"
    assert run(capsys, "check", folder / "policies.d") == (0, "", said)
    (folder / "policies.d" / "checkout.yaml").write_text(SOUND + "  max_false_rollback: none\n")
    assert json.loads(run(capsys, "check", folder / "policies.d", "--format", "json")[1])["boundless"] == ["error-rate"]


def test_a_fault_is_2_with_its_place_the_line_a_caret_and_a_hint(folder, capsys):
    file = folder / "policies.d" / "checkout.yaml"
    file.write_text(SOUND + "  remedi: []\n")
    code, out, err = run(capsys, "check", file)
    assert code == 2
    place, line, caret, hint = out.rstrip().splitlines()
    assert place == f"{file}:7:3: policy 'checkout': expected a known key, found 'remedi'"
    assert (line, caret) == ("    7 |   remedi: []", "      |   ^")
    assert hint.startswith("      = did you mean 'remedy'?")
    assert err == "1 file: 1 fault, 0 policies sound\n"


def test_every_fault_of_every_file_is_shown(folder, capsys):
    (folder / "policies.d" / "checkout.yaml").write_text(SOUND + "  remedi: []\n  mode2: x\n")
    (folder / "policies.d" / "other.yml").write_text("- no policy\n")
    code, out, _ = run(capsys, "check", folder / "policies.d", "--format", "json")
    assert code == 2
    faults = json.loads(out)["faults"]
    assert [(Path(fault["file"]).name, fault["line"]) for fault in faults] == [("checkout.yaml", 7), ("checkout.yaml", 8), ("other.yml", 1)]


def test_json_is_a_versioned_document(folder, capsys):
    document = json.loads(run(capsys, "check", folder / "policies.d", "-o", "json")[1])
    counts = {"files": 1, "policies": 1, "faults": [], "warnings": [], "boundless": []}
    assert document == {"apiVersion": "rollbackd/v1", "kind": "CheckResult", **counts}


def test_github_gets_one_command_for_each_fault_on_one_line(folder, capsys):
    file = folder / "policies.d" / "checkout.yaml"
    file.write_text(SOUND + '  "a,b\\nc": []\n')
    (line,) = run(capsys, "check", file, "--format", "github")[1].splitlines()
    assert line.startswith(f"::error file={file},line=7,col=3,title=policy 'checkout'::expected a known key")


def test_what_would_speak_to_the_terminal_in_a_files_name_is_spelt_out_for_github_too(folder, capsys):
    file = folder / "policies.d" / "a\x1b]0;forged\x07.yaml"
    file.write_text(SOUND + "  remedi: []\n")
    (line,) = run(capsys, "check", file, "-o", "github")[1].splitlines()
    assert line.startswith(f"::error file={folder}/policies.d/a\\x1b]0;forged\\x07.yaml,line=7,")


def test_a_line_break_in_a_files_name_is_spelt_out_and_gives_github_no_command(folder, capsys):
    (folder / "policies.d" / "checkout.yaml").unlink()
    (folder / "policies.d" / "a\n::notice title=forged::x\r.yaml").write_text(SOUND + "  remedi: []\n")
    (folder / "policies.d" / "b.yaml").write_text(SOUND)
    code, out, _ = run(capsys, "check", folder / "policies.d")
    assert code == 2
    place, *_, again, _, _, first = out.rstrip().splitlines()
    assert place.startswith(f"{folder}/policies.d/a\\n::notice title=forged::x\\r.yaml:7:3: policy 'checkout': expected a known key")
    assert again.startswith(f"{folder}/policies.d/b.yaml:3:")
    assert first.startswith(f"      = first at {folder}/policies.d/a\\n::notice")


def test_without_files_the_configs_own_policies_are_checked(folder, capsys):
    assert run(capsys, "check", "--config", folder / "rollbackd.yaml") == (0, "", "2 files: 1 policy sound\n")


def test_a_name_that_the_config_does_not_have_is_a_fault(folder, capsys):
    (folder / "policies.d" / "checkout.yaml").write_text(SOUND + "  source: graphite\n")
    assert run(capsys, "check", folder / "policies.d")[0] == 0
    code, out, _ = run(capsys, "check", folder / "policies.d", "--config", folder / "rollbackd.yaml")
    assert code == 2
    assert "graphite" in out


def test_faults_of_the_config_are_shown_too(folder, capsys):
    (folder / "rollbackd.yaml").write_text(CONFIG + "polices: []\n")
    code, out, err = run(capsys, "check", folder / "policies.d", "--config", folder / "rollbackd.yaml")
    assert code == 2
    assert "rollbackd.yaml:5:1" in out
    assert err.endswith("2 files: 1 fault, 1 policy sound\n")


def test_the_policies_of_a_faulty_config_are_checked_too(folder, capsys):
    (folder / "rollbackd.yaml").write_text(CONFIG + "polices: []\n")
    (folder / "policies.d" / "checkout.yaml").write_text(SOUND + "  hurry: 15s\n")
    code, out, err = run(capsys, "check", "--config", folder / "rollbackd.yaml")
    assert code == 2
    assert "rollbackd.yaml:5:1" in out
    assert "checkout.yaml:7:3" in out
    assert err.endswith("2 files: 2 faults, 0 policies sound\n")
    assert "whether it has the sources, contacts and commands that policies name was not checked" in err


def test_where_a_place_of_policies_is_at_fault_none_of_them_is_called_sound(folder, capsys):
    (folder / "rollbackd.yaml").write_text(CONFIG.replace("policies.d", "policies.d, {x: 1}"))
    code, _, err = run(capsys, "check", "--config", folder / "rollbackd.yaml")
    assert code == 2
    assert "its policies were not checked" in err


def test_where_a_faulty_config_does_not_say_which_policies_are_its_own_none_was_checked(folder, capsys):
    config = folder / "rollbackd.yaml"
    config.write_text(CONFIG.replace("policies:", "polices:"))
    code, _, err = run(capsys, "check", "--config", config)
    assert code == 2
    assert f"{config}: its policies were not checked: mend it first, or name their files" in err


def test_a_file_that_is_no_text_is_a_fault_of_that_file(folder, capsys):
    (folder / "policies.d" / "zip.yaml").write_bytes(b"\xff\xfe\x00")
    code, out, err = run(capsys, "check", folder / "policies.d")
    assert code == 2
    assert "zip.yaml:1:1" in out
    assert "1 policy sound" in err


def test_a_configmaps_own_entries_are_no_policies(folder, capsys):
    (folder / "policies.d" / "..data").mkdir()
    (folder / "policies.d" / ".checkout.yaml").write_text("broken: [")
    assert run(capsys, "check", folder / "policies.d")[2] == "1 file: 1 policy sound\n"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["check"], id="nothing-to-check"),
        pytest.param(["check", "/nonexistent"], id="no-such-file"),
        pytest.param(["check", "--format", "xml", "."], id="unknown-format"),
        pytest.param(["schema", "journal"], id="unknown-schema"),
        pytest.param(["frobnicate"], id="unknown-command"),
        pytest.param(["status", "--frobnicate"], id="unknown-option"),
        pytest.param(["run", "--config", "/nonexistent"], id="no-such-config"),
        pytest.param(["pause", "--server", "http://127.0.0.1:9"], id="pause-without-reason"),
    ],
)
def test_what_was_typed_wrong_is_64(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, out) == (64, "")
    assert "Usage:" in err


EXPRESSIONS = """\
  match: {app: checkout}
  reversible: {unless: [{container: migrate}, {metric: 'schema{app=checkout}'}]}
  rollback_when:
    - {use: error-rate}
    - {name: age, promql: "max by (app (age)", above: 5}
    - all_of: [{name: other, promql: rate(x), above: 5}, {name: sound, promql: max by (app) (x), above: 5}]
"""


def test_an_expression_that_no_daemon_could_read_is_a_fault_where_it_stands_and_needs_no_server(folder, capsys):
    file = folder / "policies.d" / "checkout.yaml"
    file.write_text(SOUND.replace("  rollback_when: [{use: error-rate}]\n", EXPRESSIONS))
    code, out, err = run(capsys, "check", "--format", "json", file)
    found = [(fault["line"], fault["column"], fault["trail"].partition(" › ")[2], fault["found"]) for fault in json.loads(out)["faults"]]
    assert found == [
        (7, 56, "reversible › unless[1] › metric", "'schema{app=checkout}'"),
        (10, 27, "rollback_when[1] › promql", "'max by (app (age)'"),
        (11, 38, "rollback_when[2] › all_of[0] › promql", "'rate(x)'"),
    ]
    assert (code, "0 policies sound" in err) == (2, True)


REGEXES = r"""
  match: {app: checkout}
  rollback_when:
    - {name: quoted, gauge: 'queue{x=~"\\Qa.b\\E"}', above: 5}
    - {name: often, promql: 'max by (app) (queue{x=~"a{1001}"})', above: 5}
    - {name: blanks, promql: 'label_replace(queue, "app", "$1", "pod", "(?x)(.*) - .*")', above: 5}
    - {name: closed, ratio: {bad: 'a_total{x=~"(?i)(a"}', total: 'a_total{x=~"(?i)(a)"}'}, above: 5%}
"""


def test_a_regular_expression_that_the_daemon_or_its_source_would_refuse_is_a_fault_where_it_stands(folder, capsys):
    file = folder / "policies.d" / "checkout.yaml"
    file.write_text(SOUND.replace("\n  rollback_when: [{use: error-rate}]\n", REGEXES))
    code, out, _ = run(capsys, "check", "--format", "json", file)
    found = {fault["trail"].partition(" › ")[2]: fault["hint"] for fault in json.loads(out)["faults"]}
    assert found == {
        "rollback_when[0] › gauge": r"illegal regex for \Qa.b\E",
        "rollback_when[1] › promql": "found more than 1000 repeats, which RE2 does not have, in 'a{1001}'",
        "rollback_when[2] › promql": "found '(?x', which RE2 does not have, in '(?x)(.*) - .*'",
        "rollback_when[3] › ratio › bad": "illegal regex for (?i)(a",
    }
    assert code == 2


def test_an_expression_is_read_beside_the_other_faults_of_its_file(folder, capsys):
    file = folder / "policies.d" / "checkout.yaml"
    file.write_text(SOUND.replace("[{use: error-rate}]", "[{use: eror-rate}, {name: age, promql: rate(x, above: 5}]\n  rollback_wen: []"))
    code, out, err = run(capsys, "check", "--format", "json", file)
    assert [fault["found"] for fault in json.loads(out)["faults"]] == ["'eror-rate'", "'rate(x'", "'rollback_wen'"]
    assert (code, "3 faults, 0 policies sound" in err) == (2, True)


def test_an_expression_of_a_fleet_is_read_with_its_blanks_filled(folder, capsys):
    file = folder / "policies.d" / "checkout.yaml"
    select = 'select: {kubernetes: {labels: {rollback: "on"}}, expect: {min: 1, max: 400}}'
    target = "target: {kubernetes: {namespace: shop, deployment: checkout}}"
    text = SOUND.replace(target, select).replace("  rollback_when", "  reversible: {unless: [{metric: $name}]}\n  rollback_when")
    file.write_text(text)
    assert run(capsys, "check", file)[0] == 0
    file.write_text(text.replace("$name", "'$name {'"))
    code, out, _ = run(capsys, "check", file)
    assert (code, "expected a PromQL expression, found '$name {'" in out) == (2, True)


@pytest.mark.parametrize("expression", ["up[5m]", "1", "time()", "'text'", "flyway_$name"])
def test_an_expression_that_has_no_value_per_workload_or_is_meant_for_a_fleet_is_a_fault_too(folder, capsys, expression):
    file = folder / "policies.d" / "checkout.yaml"
    file.write_text(SOUND.replace("  rollback_when", f'  reversible: {{unless: [{{metric: "{expression}"}}]}}\n  rollback_when'))
    code, out, _ = run(capsys, "check", file)
    assert (code, "6:34: policy 'checkout' › reversible › unless[0] › metric: expected a PromQL expression, found" in out) == (2, True)


def test_a_policy_test_among_the_policies_is_one_fault_that_says_where_it_belongs(folder, capsys):
    (folder / "policies.d" / "test.yaml").write_text("apiVersion: rollbackd/v1\nkind: PolicyTest\npolicies: [checkout.yaml]\ntests: []\n")
    code, out, err = run(capsys, "check", folder / "policies.d")
    assert (code, err) == (2, "2 files: 1 fault, 1 policy sound\n")
    assert "tests belong in a folder of their own: `rollbackd test` reads them" in out


def test_a_config_in_a_policys_place_is_one_fault_and_so_is_a_policy_in_a_configs(folder, capsys):
    code, out, err = run(capsys, "check", folder / "rollbackd.yaml")
    assert (code, err) == (2, "1 file: 1 fault, 0 policies sound\n")
    assert "this is a daemon's config: `rollbackd check --config FILE` reads it" in out
    code, out, err = run(capsys, "check", "--config", folder / "policies.d" / "checkout.yaml")
    assert (code, err.splitlines()[-1]) == (2, "1 file: 1 fault, 0 policies sound")
    assert "this is a policy: name the daemon's config, whose `policies` lead to it" in out


def test_a_config_that_has_no_policy_is_warned_of(folder, capsys):
    (folder / "policies.d" / "checkout.yaml").unlink()
    code, out, err = run(capsys, "check", "--config", folder / "rollbackd.yaml")
    said = f"warning: config › policies: no policy file (.yaml, .yml) in {folder}/policies.d: nothing is watched"
    assert (code, out.splitlines()[0], err) == (0, f"{folder}/rollbackd.yaml:4:11: {said}", "1 file: 0 policies sound, 1 warning\n")
    assert run(capsys, "check", "--config", folder / "rollbackd.yaml", "--strict")[0] == 2


def test_an_empty_folder_is_a_usage_error_and_not_sound(tmp_path, capsys):
    assert run(capsys, "check", tmp_path)[0] == 64


def test_a_command_that_finds_no_daemon_says_how_to_name_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "status")
    assert code == 64
    assert "--config" in err
    assert "ROLLBACKD_SERVER" in err


def test_a_token_that_is_not_there_yet_is_explained(folder, capsys):
    code, _, err = run(capsys, "status", "--server", "http://127.0.0.1:9", "--config", folder / "rollbackd.yaml")
    assert code == 1
    assert "the daemon makes it at its first start" in err


def test_a_broken_config_stops_a_command_with_its_faults(folder, capsys):
    (folder / "rollbackd.yaml").write_text(CONFIG + "polices: []\n")
    code, _, err = run(capsys, "status", "--config", folder / "rollbackd.yaml")
    assert code == 1
    assert "rollbackd.yaml:5:1" in err


@pytest.mark.parametrize("command", ["check", "backtest", "parity"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("127.0.0.1:9090", "expected an address such as http://127.0.0.1:9090", id="no-scheme"),
        pytest.param("ftp://x", "expected an address such as http://127.0.0.1:9090", id="ftp"),
        pytest.param("http://x:99999", "expected an address such as http://127.0.0.1:9090", id="no-port"),
        pytest.param("http://u:p@127.0.0.1:9090", "name it with --token-file", id="password"),
    ],
)
def test_a_prometheus_whose_address_is_none_is_a_usage_error(folder, capsys, command, url, said):
    policy = folder / "policies.d" / "checkout.yaml"
    words = {"check": [policy], "backtest": [policy, "--changes", policy], "parity": [policy, policy]}[command]
    code, out, err = run(capsys, command, *words, "--prometheus", url)
    assert (code, out) == (64, "")
    assert said in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize("what", ["policy", "test", "config"])
def test_the_schema_is_json_schema_2020_12(capsys, what):
    code, out, err = run(capsys, "schema", what)
    assert (code, err) == (0, "")
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("command", [command for commands in SECTIONS.values() for command in commands], ids=lambda command: command.name)
def test_every_help_has_an_example_and_a_line_in_the_list(command):
    shown = CliRunner().invoke(cli, [command.name, "--help"]).output
    assert f"rollbackd {command.name}" in shown.partition("Examples:")[2]
    (line,) = [line for line in CliRunner().invoke(cli, ["--help"]).output.splitlines() if line.split()[:1] == [command.name]]
    assert not line.endswith("...")


def test_help_documents_exit_codes_and_completion():
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert "refused by a guard" in shown
    assert "_ROLLBACKD_COMPLETE=bash_source" in shown


def test_completion_is_printed_for_bash():
    environment = {**os.environ, "_ROLLBACKD_COMPLETE": "bash_source"}
    done = subprocess.run([ROLLBACKD], env=environment, capture_output=True, text=True, check=True)
    assert "complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        pytest.param(
            ["--help"],
            {"pydantic", "yaml", "rich", "sqlalchemy", "starlette", "kubernetes", "structlog", "asyncio", "rollbackd.policies.known"},
            id="help",
        ),
        pytest.param(["check", "."], {"sqlalchemy", "starlette", "kubernetes", "structlog", "apscheduler", "rich", "promql_parser"}, id="check"),
    ],
)
def test_nothing_is_imported_that_the_command_does_not_need(folder, words, unwanted):
    asked = "import sys; from rollbackd.controller.cli.main import outcome; outcome(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", asked, *words], capture_output=True, text=True, check=True, cwd=folder / "policies.d")
    assert not unwanted.intersection(done.stderr.split())


def test_a_second_daemon_in_a_folder_says_what_to_do_and_not_that_it_is_a_bug(folder, tmp_path):
    (folder / "rollbackd.yaml").write_text(CONFIG + f"data_dir: {tmp_path}\n")
    with hold(tmp_path, None):
        done = subprocess.run([ROLLBACKD, "run", "--config", str(folder / "rollbackd.yaml")], capture_output=True, text=True, check=False, timeout=60)
    said = f"rollbackd: another rollbackd works in {tmp_path}; nothing was started; stop it, or give this one a data_dir of its own\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_ctrl_c_is_130():
    asked = (
        "import os, signal, sys, threading\n"
        "import click\n"
        "from rollbackd.controller.cli.main import cli, outcome\n"
        # A process that was started in the background ignores the key: here it is a terminal's.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "cli.add_command(click.Command('wait', callback=lambda: (os.kill(os.getpid(), signal.SIGINT), threading.Event().wait(20))))\n"
        "sys.exit(outcome(['wait']))\n"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (130, "")
