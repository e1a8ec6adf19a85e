"""The command target with real programs: what it may see, plans, runs and finds in a check. What it says: test_command_describe.py."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Standing
from rollbackd.adapters.command import Command, CommandSpec
from tests.adapters.commands import DEPLOY, deploy, eventually, is_alive


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """The file that holds the revision which runs."""
    path = tmp_path / "running"
    path.write_text("v2\n")
    return path


def planned(target: Command, *candidates: str, judged: str = "v2") -> Plan:
    plan = target.plan(PlanRequest(DEPLOY, "inc-1", judged, candidates))
    assert isinstance(plan, Plan)
    return plan


@pytest.mark.parametrize(
    ("describe", "apply"),
    [
        pytest.param(("cat",), ("deploy", "--to={revision}"), id="inside-an-argument"),
        pytest.param(("cat",), ("deploy",), id="nowhere"),
        pytest.param(("cat",), ("{revision}",), id="as-the-program"),
        pytest.param((), ("deploy", "{revision}"), id="no-describe"),
    ],
)
def test_a_command_that_would_not_name_the_revision_cannot_be_configured(describe: tuple[str, ...], apply: tuple[str, ...]) -> None:
    with pytest.raises(Permanent, match="argument of its own"):
        CommandSpec(describe, apply)


# What it may see


def test_a_program_gets_no_input_and_a_minimal_environment(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    deploy(running, describe=f"cat; env | cut -d= -f1 | sort > '{running}'; echo v2").survey([DEPLOY])
    assert set(running.read_text().split()) <= {"HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}


def test_apply_learns_the_incident(running: Path) -> None:
    target = deploy(running, apply=f"echo \"$1-$ROLLBACKD_INCIDENT\" > '{running}'")
    target.apply(planned(target, "v1"))
    assert running.read_text() == "v1-inc-1\n"


# What is planned


def test_the_plan_takes_the_first_candidate_that_is_not_the_judged_revision(running: Path) -> None:
    plan = planned(deploy(running, complete_within=timedelta(minutes=5), settle=timedelta(seconds=3)), "v2", "v1", "v0")
    assert plan.intent == Intent(DEPLOY, "inc-1", "v2", "v1")
    assert (plan.apply_within, plan.deadline, plan.settle) == (timedelta(seconds=50), timedelta(minutes=5), timedelta(seconds=3))
    assert plan.command.endswith(" sh v1")


def test_what_was_applied_has_ten_minutes_to_be_ready_however_short_a_run_may_be(running: Path) -> None:
    assert planned(deploy(running, timeout=timedelta(seconds=1)), "v1").deadline == timedelta(minutes=10)


@pytest.mark.parametrize("candidates", [pytest.param((), id="none"), pytest.param(("v2",), id="only-the-judged-one")])
def test_without_a_known_good_revision_the_plan_is_refused_with_advice(running: Path, candidates: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="no known good") as refused:
        planned(deploy(running), *candidates)
    assert refused.value.advice == "rollbackd good command:deploy REVISION"


@pytest.mark.parametrize("revision", ["--force", "-", "v1\nv2", "v1\x00", "v" * 257, "", " v1", "v1\ud800", "v1\x9b", "v1\u202e"])
def test_a_revision_that_could_be_read_as_something_else_is_refused(running: Path, revision: str) -> None:
    target = deploy(running)
    with pytest.raises(Refused, match="could be read as an option"):
        planned(target, revision)
    with pytest.raises(Refused, match="could be read as an option"):
        target.apply(Plan(Intent(DEPLOY, "inc-1", "v2", revision), "by hand"))
    assert running.read_text() == "v2\n"


def test_a_revision_with_characters_of_the_shell_arrives_as_one_argument(running: Path) -> None:
    target = deploy(running)
    target.apply(planned(target, "v1 $(id); 'x' {revision}"))
    assert running.read_text() == "v1 $(id); 'x' {revision}"


# What is run


def test_apply_runs_once_and_looks_there(running: Path, tmp_path: Path) -> None:
    target = deploy(running, apply=f"echo ran >> '{tmp_path}/log'; echo \"$1\" > '{running}'")
    plan = planned(target, "v1")
    assert target.look(plan.intent).standing is Standing.BEFORE
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE
    assert (tmp_path / "log").read_text() == "ran\n"


def test_a_revision_that_says_it_is_not_ready_is_underway(running: Path) -> None:
    running.write_text('{"revision": "v1", "ready": null}')
    assert deploy(running).look(Intent(DEPLOY, "inc-1", "v2", "v1")).standing is Standing.UNDERWAY


def test_a_failing_apply_is_an_unknown_outcome_with_its_words(running: Path) -> None:
    target = deploy(running, apply=f"echo v1 > '{running}'; echo broken pipe >&2; exit 7")
    plan = planned(target, "v1")
    with pytest.raises(Transient, match=r"exit code 7 \(broken pipe\); it is unknown"):
        target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE


def test_an_apply_beyond_its_time_out_is_killed_with_everything_it_started(running: Path, tmp_path: Path) -> None:
    target = deploy(running, apply=f"sleep 60 & echo $! > '{tmp_path}/pid'; wait", timeout=timedelta(seconds=1))
    with pytest.raises(Transient, match="did not end within 1s and was killed"):
        target.apply(planned(target, "v1"))
    assert eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_a_slow_look_before_it_takes_nothing_of_the_time_of_an_apply(running: Path) -> None:
    target = deploy(running, describe=f"sleep 1.5; cat '{running}'", apply=f"sleep 1; echo \"$1\" > '{running}'", timeout=timedelta(seconds=2))
    target.apply(planned(target, "v1"))
    assert running.read_text() == "v1\n"


def test_what_apply_leaves_in_the_background_lives_on_and_is_not_waited_for(running: Path, tmp_path: Path) -> None:
    target = deploy(running, apply=f"sleep 60 & echo $! > '{tmp_path}/pid'; echo \"$1\" > '{running}'")
    target.apply(planned(target, "v1"))
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    os.kill(pid, 9)


def test_a_revision_that_landed_between_plan_and_apply_stops_the_apply(running: Path) -> None:
    target = deploy(running)
    plan = planned(target, "v1")
    running.write_text("v3\n")
    with pytest.raises(Refused, match="runs v3, not v2"):
        target.apply(plan)
    assert running.read_text() == "v3\n"


# What check finds


def test_check_is_silent_where_nothing_would_stop_us(running: Path) -> None:
    assert deploy(running).check([DEPLOY]) == ()


@pytest.mark.parametrize(
    ("describe", "apply", "says"),
    [
        pytest.param(("/no/such",), ("/bin/true", "{revision}"), "no program /no/such", id="describe-missing"),
        pytest.param(("/bin/echo", "v1"), ("/no/such", "{revision}"), "no program /no/such", id="apply-missing"),
        pytest.param(("/bin/false",), ("/bin/true", "{revision}"), "exit code 1", id="describe-fails"),
    ],
)
def test_check_names_what_would_stop_us(describe: tuple[str, ...], apply: tuple[str, ...], says: str) -> None:
    (found,) = Command({"deploy": CommandSpec(describe, apply)}).check([DEPLOY])
    assert found.startswith("command:deploy: ")
    assert says in found
