"""What the command target makes of what ``describe`` prints, with real programs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.target import Interval, TargetState
from rollbackd.adapters.command import Command, CommandSpec
from tests.adapters.commands import DEPLOY, deploy, error, eventually, is_alive, seen


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """The file that holds the revision which runs."""
    path = tmp_path / "running"
    path.write_text("v2\n")
    return path


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
        pytest.param("printf '[%.0s' $(seq 30000) | sed 's/^/{\"revision\": /'", Permanent, "no JSON that can be read", id="json-too-deep"),
        pytest.param(r"""printf %s '{"revision": "v1\ud800"}'""", Permanent, "no revision", id="half-a-character"),
        pytest.param(r"""printf %s '{"revision": "v1\u0085"}'""", Permanent, "no revision", id="c1-control"),
        pytest.param(r"""printf %s '{"revision": "v1\u202e2v"}'""", Permanent, "no revision", id="turned-round"),
        pytest.param(r"""printf %s '{"revision": "v1\u2066"}'""", Permanent, "no revision", id="isolated"),
        pytest.param(r"""printf %s '{"revision": "v1\u200f"}'""", Permanent, "no revision", id="right-to-left-mark"),
        pytest.param(r"printf 'v1\342\200\256'", Permanent, "no revision", id="turned-round-without-json"),
        pytest.param(r"""printf %s '{"revision": "v1", "change": "b\ud800"}'""", Permanent, "says change", id="half-a-character-in-the-change"),
        pytest.param('echo \'{"revision": "v1", "change": ""}\'', Permanent, "says change", id="change-without-a-name"),
        pytest.param(
            'echo \'{"revision": "v1", "started": "0001-01-01T00:00:00+14:00"}\'', Permanent, "leave out what is not known", id="before-the-calendar"
        ),
        pytest.param(
            'echo \'{"revision": "v1", "ready": "9999-12-31T23:59:59-14:00"}\'', Permanent, "leave out what is not known", id="beyond-the-calendar"
        ),
        pytest.param('echo \'{"revision": "v1", "ready": "0001-01-01T00:00:00Z"}\'', Permanent, "leave out what is not known", id="no-time-of-go"),
    ],
)
def test_a_describe_that_says_no_revision_is_an_error(running: Path, script: str, kind: type[AdapterError], says: str) -> None:
    found = error(deploy(running, describe=script))
    assert type(found) is kind
    assert says in str(found)


def test_what_describe_said_wrongly_is_shown_as_plain_text(running: Path) -> None:
    running.write_text("v1\u202e2v\x9b31m")
    text = str(error(deploy(running)))
    assert r"v1\u202e2v\x9b31m" in text
    assert text.isprintable()


def test_a_question_about_one_target_is_answered_as_a_survey_is(running: Path) -> None:
    assert deploy(running).ask(DEPLOY) == TargetState(DEPLOY, "v2")
    assert isinstance(deploy(running).ask("command:other"), Permanent)


def test_moments_are_told_in_utc(running: Path) -> None:
    running.write_text('{"revision": "v2", "ready": "2026-01-02T04:05:00+01:00"}')
    assert str(seen(deploy(running)).ready) == "2026-01-02 03:05:00+00:00"


def test_a_describe_that_nobody_waits_for_any_more_is_killed_with_everything_it_started(running: Path, tmp_path: Path) -> None:
    target = deploy(running, describe=f"sleep 60 & echo $! > '{tmp_path}/new'; mv '{tmp_path}/new' '{tmp_path}/pid'; wait")
    found = target.ask(DEPLOY, (tmp_path / "pid").exists)
    assert str(found).startswith("'describe' of command:deploy was ended, as nobody waits for it any more")
    assert eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


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
