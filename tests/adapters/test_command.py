"""The command target with real programs: small shell scripts over a file that holds the revision."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, Interval, Plan, PlanRequest, Standing, TargetState
from rollbackd.adapters.command import Command, CommandSpec

DEPLOY = "command:deploy"


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """The file that holds the revision which runs."""
    path = tmp_path / "running"
    path.write_text("v2\n")
    return path


def sh(script: str, *arguments: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script, "sh", *arguments)


def deploy(running: Path, describe: str = "", apply: str = "", **options: Any) -> Command:
    """A target whose ``describe`` prints the file and whose ``apply`` writes it, unless told otherwise."""
    return Command(
        {
            "deploy": CommandSpec(
                describe=sh(describe) if describe else ("/bin/cat", str(running)),
                apply=sh(apply or f"printf %s \"$1\" > '{running}'", "{revision}"),
                **{"timeout": timedelta(seconds=20), **options},
            )
        }
    )


def seen(target: Command) -> TargetState:
    state = target.survey([DEPLOY])[DEPLOY]
    assert isinstance(state, TargetState)
    return state


def error(target: Command, key: str = DEPLOY) -> AdapterError:
    state = target.survey([key])[key]
    assert isinstance(state, AdapterError)
    return state


def planned(target: Command, *candidates: str, judged: str = "v2") -> Plan:
    plan = target.plan(PlanRequest(DEPLOY, "inc-1", judged, candidates))
    assert isinstance(plan, Plan)
    return plan


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


# What describe says


def test_describe_prints_the_revision(running: Path) -> None:
    assert seen(deploy(running)) == TargetState(DEPLOY, "v2")


def test_describe_may_print_json_with_the_moments_of_the_change(running: Path) -> None:
    running.write_text('{"revision": "v2", "change": "build-7",\n "started": "2026-01-02T03:04:05Z", "ready": "2026-01-02T04:05:00+01:00"}')
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ready = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
    assert seen(deploy(running)) == TargetState(
        DEPLOY, "v2", change_id="build-7", started=Interval(started, started), ready=ready, has_readiness=True
    )


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        pytest.param("exit 0", Transient, "printed nothing", id="empty"),
        pytest.param("echo v1; exit 3", Transient, "exit code 3", id="failed-after-printing"),
        pytest.param("echo no such host >&2; exit 1", Transient, "exit code 1 (no such host)", id="its-words"),
        pytest.param("printf 'a\\033[31m\\nb' >&2; exit 1", Transient, "(a [31m b)", id="its-words-on-one-line"),
        pytest.param("kill -9 $$", Transient, "exit code -9", id="killed"),
        pytest.param("echo v1; echo v2", Permanent, "no revision", id="two-lines"),
        pytest.param("echo --force", Permanent, "no revision", id="an-option"),
        pytest.param("printf 'v1\\000'", Permanent, "no revision", id="nul"),
        pytest.param("printf 'v%0300d' 1", Permanent, "no revision", id="too-long"),
        pytest.param("echo '{\"revision\": null}'", Permanent, "no revision", id="json-without-a-revision"),
        pytest.param('printf %s \'{"revision": "v1\\nv2"}\'', Permanent, "no revision", id="json-with-two-lines"),
        pytest.param('echo \'{"rev": "v1"}\'', Permanent, "'revision' (required)", id="json-with-another-key"),
        pytest.param('echo \'{"revision": "v1", "redy": null}\'', Permanent, "'revision' (required)", id="json-with-a-misspelt-key"),
        pytest.param("echo '{\"revision\": 7}'", Permanent, "no string", id="json-number"),
        pytest.param("echo '{\"revision\": '", Permanent, "no JSON", id="json-cut"),
        pytest.param('echo \'{"revision": "v1", "ready": "today"}\'', Permanent, "no RFC 3339 time", id="json-word-for-a-time"),
        pytest.param('echo \'{"revision": "v1", "ready": "2026-01-02T03:04:05"}\'', Permanent, "time zone", id="json-local-time"),
    ],
)
def test_a_describe_that_says_no_revision_is_an_error(running: Path, script: str, kind: type[AdapterError], says: str) -> None:
    found = error(deploy(running, describe=script))
    assert type(found) is kind
    assert says in str(found)


def test_the_words_of_a_failing_command_are_cut_to_200_characters(running: Path) -> None:
    text = str(error(deploy(running, describe="printf 'x%.0s' $(seq 1000) >&2; exit 1")))
    assert text.count("x") < 220


def test_a_describe_that_prints_without_end_is_killed_and_its_output_capped(running: Path) -> None:
    assert "did not end within 0.5s" in str(error(deploy(running, describe="yes", timeout=timedelta(seconds=0.5))))


def test_a_program_that_does_not_exist_is_permanent() -> None:
    target = Command({"deploy": CommandSpec(describe=("/no/such/program",), apply=("/bin/true", "{revision}"))})
    assert type(error(target)) is Permanent


def test_an_unknown_name_is_permanent_and_does_not_hide_the_others(running: Path) -> None:
    states = deploy(running).survey([DEPLOY, "command:other"])
    assert isinstance(states[DEPLOY], TargetState)
    assert isinstance(states["command:other"], Permanent)


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
    assert (plan.apply_within, plan.deadline, plan.settle) == (timedelta(seconds=30), timedelta(minutes=5), timedelta(seconds=3))
    assert plan.command.endswith(" sh v1")


def test_what_was_applied_has_ten_minutes_to_be_ready_however_short_a_run_may_be(running: Path) -> None:
    assert planned(deploy(running, timeout=timedelta(seconds=1)), "v1").deadline == timedelta(minutes=10)


@pytest.mark.parametrize("candidates", [pytest.param((), id="none"), pytest.param(("v2",), id="only-the-judged-one")])
def test_without_a_known_good_revision_the_plan_is_refused_with_advice(running: Path, candidates: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="no known good") as refused:
        planned(deploy(running), *candidates)
    assert refused.value.advice == "rollbackd good command:deploy REVISION"


@pytest.mark.parametrize("revision", ["--force", "-", "v1\nv2", "v1\x00", "v" * 257, "", " v1"])
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
