"""`rollbackd test`: what it prints, writes and exits with."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import yaml

from rollbackd.controller.cli.main import outcome
from tests.controller.policytest_samples import POLICY, write, written

RIGHT = written({"at": "8m", "decision": "rollback", "remedy": "revert"}, name="a bad release is put back")
WRONG = written({"at": "7m30s", "verdicts": {"error-rate": "ok"}}, name="a wrong expectation <&>")
FAULTY = written({"at": "8m", "verdicts": {"p95": "ok"}}, name="a faulty test")


def run(capsys, *words):
    code = outcome(["test", *(str(word) for word in words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_passes_is_0_and_the_summary_is_talk(tmp_path, capsys):
    file = write(tmp_path, RIGHT)
    assert run(capsys, file) == (0, f"{file}\n  ok    a bad release is put back\n", "1 test in 1 file: 1 passed\n")


def test_what_fails_is_2_and_shows_expected_found_the_arithmetic_and_the_looks_around_it(tmp_path, capsys):
    file = write(tmp_path, RIGHT, WRONG)
    code, out, err = run(capsys, file)
    assert (code, err) == (2, "2 tests in 1 file: 1 passed, 1 failed\n")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[1] == "ok    a bad release is put back"
    assert lines[2].startswith("FAIL  a wrong expectation")
    assert lines[3].startswith("at 7m30s: error-rate: expected ok, found breach: ")
    assert lines[4].startswith(f"expected at {file}:")
    assert [line.split()[0] for line in lines[5:]] == ["6m45s", "7m", "7m15s", ">", "opened:", "act:"]
    assert "error-rate 140/840 = 16.7 % > 5 %" in lines[7]


def test_the_line_that_is_named_is_that_of_the_expectation(tmp_path, capsys):
    file = write(tmp_path, RIGHT, WRONG)
    failure = json.loads(run(capsys, file, "-o", "json")[1])["tests"][1]["failures"][0]
    assert '"at": "7m30s"' in "".join(file.read_text().splitlines()[failure["line"] - 1 : failure["line"] + 1])


def test_a_fault_is_2_and_the_other_tests_run_all_the_same(tmp_path, capsys):
    code, out, err = run(capsys, write(tmp_path, RIGHT, FAULTY))
    assert (code, err) == (2, "1 test in 1 file: 1 passed, 1 fault\n")
    assert "expected a condition of policy 'checkout', found 'p95'" in out
    assert "ok    a bad release is put back" in out


def test_a_line_break_in_a_files_name_is_spelt_out(tmp_path, capsys):
    file = write(tmp_path, FAULTY, WRONG)
    file = file.rename(file.with_name("a\n::notice title=forged::x.yaml"))
    _, out, _ = run(capsys, file)
    named = [line for line in out.splitlines() if "forged" in line]
    assert len(named) == 3  # the fault, the tests' file, and the expectation that was not met
    assert all(f"{tmp_path}/a\\n::notice title=forged::x.yaml" in line for line in named)


def test_a_warning_fails_nothing(tmp_path, capsys):
    test = written({"at": "4m", "decision": "nothing"}, series=[{"series": "unread_total", "values": "0x60"}], changes=[])
    code, out, err = run(capsys, write(tmp_path, test))
    assert (code, err) == (0, "1 test in 1 file: 1 passed, 1 warning\n")
    assert "warning: policy test" in out


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_json_and_yaml_are_one_versioned_document(tmp_path, capsys, output, read):
    document = read(run(capsys, write(tmp_path, RIGHT, FAULTY), "-o", output)[1])
    assert (document["apiVersion"], document["kind"], document["passed"]) == ("rollbackd/v1", "PolicyTestResult", False)
    (test,) = document["tests"]
    assert {key: test[key] for key in ("name", "policy", "passed", "failures")} == {
        "name": "a bad release is put back",
        "policy": "checkout",
        "passed": True,
        "failures": [],
    }
    assert [fault["found"] for fault in document["faults"]] == ["'p95'"]


def test_the_timeline_is_every_look(tmp_path, capsys):
    file = write(tmp_path, RIGHT)
    (test,) = json.loads(run(capsys, file, "--timeline", "-o", "json")[1])["tests"]
    looks = {look["at"]: look for look in test["timeline"]}
    assert len(looks) == test["looks"]
    assert (looks["7m30s"]["decision"], looks["7m30s"]["to"], looks["7m30s"]["verdicts"]["error-rate"]["verdict"]) == ("rollback", "v1", "breach")
    assert "7m30s  rollback    breach" in run(capsys, file, "--timeline")[1]


def test_k_picks_by_name(tmp_path, capsys):
    code, out, err = run(capsys, write(tmp_path, RIGHT, WRONG), "-k", "BAD release")
    assert (code, err) == (0, "1 test in 1 file: 1 passed\n")
    assert "wrong" not in out


def test_junit_is_xml_with_the_failure_and_the_fault_in_it(tmp_path, capsys):
    file, report = write(tmp_path, RIGHT, WRONG, FAULTY), tmp_path / "report.xml"
    assert run(capsys, file, "--junit", report)[0] == 2
    root = ElementTree.parse(report).getroot()
    counts = {"tests": "3", "failures": "1", "errors": "1"}
    assert {key: root.get(key) for key in counts} == counts
    (suite,) = root
    assert {key: suite.get(key) for key in ("name", *counts)} == {"name": str(file), **counts}
    right, wrong, faulty = suite
    assert (right.tag, right.get("name"), right.get("classname"), list(right)) == ("testcase", "a bad release is put back", str(file), [])
    (failure,) = wrong
    assert wrong.get("name", "").startswith("a wrong expectation <&>")
    assert failure.get("message", "").startswith("at 7m30s: error-rate: expected ok, found breach: ")
    assert "7m30s  rollback" in (failure.text or "")
    (error,) = faulty
    assert error.get("message", "").startswith("expected a condition of policy 'checkout', found 'p95'")
    assert all(float(element.get("time", "")) >= 0 for element in (suite, *suite))


def test_junit_names_a_faulty_policy_file_as_a_suite_of_its_own(tmp_path, capsys):
    file, report = write(tmp_path, RIGHT, policy="kind: RollbackPolicy\n"), tmp_path / "report.xml"
    assert run(capsys, file, "--junit", report)[0] == 2
    suites = {suite.get("name"): suite.get("errors") for suite in ElementTree.parse(report).getroot()}
    assert suites[str(file)] == "0"
    assert int(suites[str(tmp_path / "checkout.yaml")] or 0) > 0


def test_where_no_test_has_the_name_the_first_are_named_once_and_the_others_counted(tmp_path, capsys):
    tests = [written({"at": "8m", "decision": "rollback", "remedy": "revert"}, name=name) for name in "abcdef"]
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, *tests)
    code, _, err = run(capsys, tmp_path / "one", tmp_path / "two", "-k", "nobody")
    assert code == 64
    assert "there are: 'a', 'b', 'c', 'd', 'e' and 1 more" in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "Missing argument", id="no-file"),
        pytest.param(["/nonexistent"], "does not exist", id="no-such-file"),
        pytest.param(["{folder}", "-k", "nobody"], "no test has 'nobody' in its name; there are: 'a bad release is put back'", id="no-such-test"),
        pytest.param(["{folder}/empty"], "no file with policy tests", id="an-empty-folder"),
        pytest.param(["{folder}", "-o", "xml"], "'xml' is not one of", id="an-unknown-output"),
    ],
)
def test_what_was_typed_wrong_is_64(tmp_path, capsys, words, said):
    write(tmp_path, RIGHT)
    (tmp_path / "empty").mkdir()
    code, out, err = run(capsys, *(word.format(folder=tmp_path) for word in words))
    assert (code, out) == (64, "")
    assert said in " ".join(err.split())


def test_a_report_that_cannot_be_written_is_64_and_nothing_is_run(tmp_path, capsys):
    file = write(tmp_path, RIGHT)
    code, out, err = run(capsys, file, "--junit", file / "report.xml")
    assert (code, out) == (64, "")
    assert f"report.xml cannot be written: {file} is no folder" in " ".join(err.split())


def test_the_folders_of_a_report_are_made(tmp_path, capsys):
    report = tmp_path / "reports" / "policies" / "junit.xml"
    assert run(capsys, write(tmp_path, RIGHT), "--junit", report)[0] == 0
    assert ElementTree.parse(report).getroot().tag == "testsuites"


def test_an_expression_that_no_daemon_could_read_is_a_fault_of_its_policy(tmp_path, capsys):
    policy = POLICY.partition("    - name: error-rate")[0] + (
        "    - {name: depth, promql: 'sum(queue_depth', above: 5, unbounded: accepted}\n  remedy: [{revert: {to: known-good}}]\n  notify: [oncall]\n"
    )
    code, out, err = run(capsys, write(tmp_path, written({"at": "8m", "verdicts": {"depth": "ok"}}), policy=policy))
    assert (code, err) == (2, "0 tests in 1 file: 0 passed, 1 fault\n")
    assert "checkout.yaml:10:29: " in out
    assert "expected a PromQL expression, found 'sum(queue_depth'" in out


def test_nothing_of_the_daemon_is_imported(tmp_path):
    write(tmp_path, RIGHT)
    asked = "import sys; from rollbackd.controller.cli.main import outcome; outcome(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", asked, "test", str(tmp_path)], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "starlette", "kubernetes", "apscheduler", "requests", "promql_parser"}.intersection(done.stderr.split())
