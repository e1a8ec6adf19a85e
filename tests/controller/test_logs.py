import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from rollbackd.controller.logs import HIDDEN, Secrets, configure
from rollbackd.policies.model.policy import Mode

TOKEN = "s3cr3t-t0ken"


@pytest.fixture
def secrets() -> Secrets:
    secrets = Secrets()
    secrets.add(f"{TOKEN}\n")  # as read from a file
    return secrets


@pytest.fixture
def stream(secrets: Secrets) -> Iterator[io.StringIO]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    configure(secrets, stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_event_level_and_utc_time(stream: io.StringIO) -> None:
    structlog.get_logger().info("evaluation.finished", policy="checkout")
    (line,) = lines(stream)
    at = datetime.fromisoformat(line.pop("time"))
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)
    assert line == {"event": "evaluation.finished", "level": "info", "policy": "checkout"}


def test_values_are_written_in_their_own_words(stream: io.StringIO) -> None:
    at = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)
    structlog.get_logger().info("x", at=at, mode=Mode.AUTO, took=timedelta(seconds=2), many=("a", 1), nan=float("nan"), file=Path("/x"), none=None)
    (line,) = lines(stream)
    assert {name: line[name] for name in ("at", "mode", "took", "many", "nan", "file", "none")} == {
        "at": "2025-03-01T03:00:00+00:00",
        "mode": "auto",
        "took": 2.0,
        "many": ["a", 1],
        "nan": "nan",
        "file": "/x",
        "none": None,
    }


def test_debug_is_not_written(stream: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert stream.getvalue() == ""


# --- secrets ---------------------------------------------------------------------------------------------------------------------------


class _Careless:
    def __repr__(self) -> str:
        return f"<client {TOKEN}>"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"Bearer {TOKEN}", id="text"),
        pytest.param({"deep": [{"er": (TOKEN,)}]}, id="nested"),
        pytest.param({TOKEN: 1}, id="as-a-key"),
        pytest.param({TOKEN}, id="set"),
        pytest.param(_Careless(), id="repr"),
        pytest.param(ValueError(f"bad header {TOKEN}"), id="exception"),
        pytest.param(TOKEN.encode(), id="bytes"),
    ],
)
def test_a_registered_value_is_written_nowhere(stream: io.StringIO, value: object) -> None:
    structlog.get_logger().warning(f"odd event {TOKEN}", value=value)
    assert TOKEN not in stream.getvalue()
    assert HIDDEN in stream.getvalue()


@pytest.mark.parametrize("key", ["token", "client_secret", "password", "Authorization", "api_key", "apikey", "webhook_url", "cookie", "passwd"])
def test_what_its_key_calls_secret_is_not_written(stream: io.StringIO, key: str) -> None:
    structlog.get_logger().info("x", **{key: "unregistered"}, headers={key: "unregistered"})
    assert "unregistered" not in stream.getvalue()


def test_the_name_of_a_secret_file_and_an_empty_secret_are_written(stream: io.StringIO) -> None:
    structlog.get_logger().info("x", token_file="/run/token", password="", token=None)
    (line,) = lines(stream)
    assert (line["token_file"], line["password"], line["token"]) == ("/run/token", "", None)


def test_a_secret_url_is_hidden_whole_in_part_and_quoted(secrets: Secrets) -> None:
    secrets.add_url("https://user:pa55word@hooks.example.test/services/T00/B00/xyz?k=1")
    secrets.add("a/b+c")
    assert secrets.hide("POST https://user:pa55word@hooks.example.test/services/T00/B00/xyz?k=1 failed") == f"POST {HIDDEN} failed"
    assert secrets.hide("Max retries exceeded with url: /services/T00/B00/xyz?k=1 (refused)").endswith(f"url: {HIDDEN} (refused)")
    assert secrets.hide("basic user:pa55word") == f"basic user:{HIDDEN}"
    assert secrets.hide("?t=a%2Fb%2Bc") == f"?t={HIDDEN}"


def test_of_two_secrets_the_longer_one_leaves_no_rest(secrets: Secrets) -> None:
    secrets.add("abcd")
    secrets.add("abcd-efgh")
    assert secrets.hide("x abcd-efgh y") == f"x {HIDDEN} y"


def test_a_secret_too_short_to_be_one_does_not_blot_out_the_log(secrets: Secrets) -> None:
    secrets.add("on")
    secrets.add("")
    assert secrets.hide("nothing to do on checkout") == "nothing to do on checkout"


# --- exceptions and libraries ----------------------------------------------------------------------------------------------------------


def test_an_exception_is_written_with_its_trace_but_without_local_variables_and_secrets(stream: io.StringIO) -> None:
    password_of_somebody = "local-variable-value"
    try:
        raise ValueError(f"refused {TOKEN} {len(password_of_somebody)}")
    except ValueError:
        structlog.get_logger().exception("policy.failed")
    (line,) = lines(stream)
    assert f"ValueError: refused {HIDDEN} 20" in line["exception"]
    assert "test_logs.py" in line["exception"]
    assert "local-variable-value" not in stream.getvalue()
    assert TOKEN not in stream.getvalue()


@pytest.mark.parametrize("name", ["apscheduler.scheduler", "urllib3.connectionpool", "uvicorn.error", "sqlalchemy.engine"])
def test_libraries_are_heard_from_warning_on_and_in_our_form(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("retrying %s", TOKEN)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["library"], line["text"]) == ("library.logged", "warning", name, f"retrying {HIDDEN}")


def test_a_python_warning_is_a_log_line(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old API", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = lines(stream)
    assert line["library"] == "py.warnings"
    assert "old API" in line["text"]


def test_a_stream_that_takes_no_more_stops_nobody(stream: io.StringIO) -> None:
    stream.close()
    structlog.get_logger().info("still.running")


CRASH = """
import sys, threading
from rollbackd.controller.logs import Secrets, configure
secrets = Secrets(); secrets.add("s3cr3t-t0ken"); configure(secrets)
def die(): raise ValueError("thread s3cr3t-t0ken")
thread = threading.Thread(target=die, name="outbox"); thread.start(); thread.join()
raise ValueError("process s3cr3t-t0ken")
"""


def test_what_ends_a_thread_or_the_process_is_logged_in_the_same_form() -> None:
    run = subprocess.run([sys.executable, "-c", CRASH], capture_output=True, text=True, check=False)
    thread, process = (json.loads(line) for line in run.stderr.splitlines())
    assert (thread["event"], thread["thread"], process["event"]) == ("thread.crashed", "outbox", "process.crashed")
    assert run.returncode == 1
    assert TOKEN not in run.stderr


def test_lines_of_many_threads_stay_whole(stream: io.StringIO) -> None:
    def talk() -> None:
        for number in range(200):
            structlog.get_logger().info("spoken", number=number)

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(stream)) == 800
