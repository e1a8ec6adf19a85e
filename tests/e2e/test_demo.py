"""The demo as `make run` plays it, and the parts that it is made of: real processes, real HTTP."""

import contextlib
import http.client
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.webhook import Webhook
from rollbackd.controller.demo import files
from rollbackd.controller.demo.children import Children, command
from rollbackd.controller.demo.daemon_log import DaemonLog, words
from rollbackd.controller.demo.files import Folder, Ports
from rollbackd.controller.demo.meter import Meter
from rollbackd.controller.demo.receiver import Receiver
from tests.servers import poll

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTICE = Notice("incident-1:started", "incident-1", "started", "STARTED something", ("why: 20 %",), "notice", False, datetime(2026, 1, 1, tzinfo=UTC))


# --- the shop --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = Folder(tmp_path / "demo")
    files.prepare(place)
    return place


@pytest.fixture
def ports(folder: Folder) -> Iterator[Ports]:
    """A shop at v1 without customers."""
    found = files.free_ports()
    argv = [sys.executable, "-m", "rollbackd.controller.demo.supervisor", str(folder.version), str(found.shop), str(folder.flags)]
    with Children() as children:
        children.start("shop", argv, folder.log("shop"))
        poll(lambda: described(folder, found)["ready"])
        yield found
    assert "Traceback" not in folder.log("shop").read_text()


def described(folder: Folder, ports: Ports) -> dict[str, str | None]:
    said: dict[str, str | None] = json.loads(subprocess.check_output(files.deploy_argv("describe", folder, ports)))
    return said


def deploy(folder: Folder, ports: Ports, version: str) -> None:
    subprocess.run(files.deploy_argv("apply", folder, ports, version), check=True)


def failures(ports: Ports, method: str, path: str) -> int:
    """How many of 200 requests the shop answers with a 5xx, asked on ten connections at once."""

    def asked(_: int) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", ports.shop, timeout=5)) as connection:
            return sum(_status(connection, method, path) >= 500 for _ in range(20))

    with ThreadPoolExecutor(10) as customers:
        return sum(customers.map(asked, range(10)))


def _status(connection: http.client.HTTPConnection, method: str, path: str) -> int:
    connection.request(method, path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_deploy_is_a_new_process_of_that_version(folder: Folder, ports: Ports) -> None:
    before = described(folder, ports)
    deploy(folder, ports, "v2")
    after = described(folder, ports)
    assert (before["revision"], after["revision"]) == ("v1", "v2")
    assert str(after["ready"]) > str(before["ready"])


def test_version_2_fails_a_third_of_all_requests_and_version_1_none(folder: Folder, ports: Ports) -> None:
    assert failures(ports, "GET", "/") == 0
    deploy(folder, ports, "v2")
    assert 30 <= failures(ports, "GET", "/") <= 110


def test_the_flag_breaks_checkouts_and_nothing_else(folder: Folder, ports: Ports) -> None:
    files.edit_flag(folder, "on")
    assert failures(ports, "GET", "/") == 0
    assert 40 <= failures(ports, "POST", "/checkout") <= 120


def test_the_flag_takes_effect_and_leaves_again_while_the_shop_runs(folder: Folder, ports: Ports) -> None:
    files.edit_flag(folder, "on")
    assert failures(ports, "POST", "/checkout") > 0
    files.edit_flag(folder, "off")
    assert failures(ports, "POST", "/checkout") == 0


def test_the_meter_counts_on_across_a_restart_of_the_shop(folder: Folder, ports: Ports) -> None:
    meter = Meter(ports.shop)
    meter.start()
    assert failures(ports, "GET", "/") == 0
    poll(lambda: meter.has_seen_traffic)
    deploy(folder, ports, "v2")
    bad = failures(ports, "GET", "/")
    poll(lambda: meter.between(0, math.inf).bad == bad)
    meter.stop()


def test_a_log_that_is_not_there_yet_has_no_end(folder: Folder) -> None:
    assert DaemonLog(folder.log("daemon")).tail() == ""


def test_a_warning_of_a_library_is_shown_with_its_text() -> None:
    said = {"event": "library.logged", "level": "warning", "library": "apscheduler.scheduler", "text": "skipped: maximum number of running instances"}
    assert words(said) == "warning: library.logged skipped: maximum number of running instances"


def test_the_demo_begins_in_an_empty_folder_only(folder: Folder) -> None:
    with pytest.raises(FileExistsError, match="is not empty"):
        files.prepare(folder)


# --- on-call's end of the webhook ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(SECRET) as receiver:
        yield receiver


def webhook(receiver: Receiver, tmp_path: Path, secret: str | None, now: datetime | None = None) -> Webhook:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    return Webhook("oncall", now=lambda: now or datetime.now(UTC), url=receiver.url, secret_file=file if secret else None)


def test_on_call_believes_what_the_daemon_signed(receiver: Receiver, tmp_path: Path) -> None:
    webhook(receiver, tmp_path, SECRET).send(NOTICE)
    (message,) = receiver.messages
    assert (message.id, message.body["data"]["title"], receiver.refused) == ("incident-1:started", "STARTED something", 0)


def test_a_message_that_comes_twice_is_one_message(receiver: Receiver, tmp_path: Path) -> None:
    webhook(receiver, tmp_path, SECRET).send(NOTICE)
    webhook(receiver, tmp_path, SECRET).send(NOTICE)
    assert len(receiver.messages) == 1


@pytest.mark.parametrize(
    ("secret", "now"),
    [
        pytest.param(None, None, id="unsigned"),
        pytest.param("whsec_b3RoZXIgc2VjcmV0IGFsdG9nZXRoZXI=", None, id="signed-with-another-secret"),
        pytest.param(SECRET, datetime(2026, 1, 1, tzinfo=UTC), id="signed-long-ago"),
    ],
)
def test_on_call_refuses_what_it_cannot_believe(receiver: Receiver, tmp_path: Path, secret: str | None, now: datetime | None) -> None:
    with pytest.raises(Permanent):
        webhook(receiver, tmp_path, secret, now).send(NOTICE)
    assert (receiver.messages, receiver.refused) == ([], 1)


# --- the whole story ----------------------------------------------------------------------------------------------------------------------------


class Demo:
    """`rollbackd demo` as its own process; ``mark`` stands in the environment of everything that it starts."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.mark = f"ROLLBACKD_TEST_MARK={folder}"
        # A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C.
        former = signal.signal(signal.SIGINT, signal.default_int_handler)
        self._process = subprocess.Popen(
            [command(), "demo", "--folder", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ROLLBACKD_TEST_MARK": str(folder)},
        )
        signal.signal(signal.SIGINT, former)

    def end(self) -> tuple[int, str]:
        """Exit code and output."""
        said, _ = self._process.communicate(timeout=150)
        return self._process.returncode, said

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def leftovers(self) -> list[str]:
        """Command lines of processes that it started and that still run."""
        return [cmdline for environ, cmdline in _processes() if self.mark in environ]


def _processes() -> Iterator[tuple[str, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours
            yield (process / "environ").read_text(errors="replace"), (process / "cmdline").read_text().replace("\0", " ")


def test_the_demo_rolls_back_the_flag_and_the_version_and_verifies_both(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo")
    code, said = demo.end()
    place = Folder(tmp_path / "demo")
    assert code == 0, said
    assert "Two rollbacks, both verified." in said
    assert "demo --keep" in said
    assert said.count("ROLLED BACK") >= 2
    assert "\x1b" not in said
    assert (files.flag_variant(place), place.version.read_text()) == ("off", "v1\n")
    assert demo.leftovers() == []


def test_a_demo_that_is_paused_fails_and_says_what_is_missing(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo")
    place = Folder(tmp_path / "demo")
    poll(lambda: place.log("daemon").exists() and "daemon.started" in place.log("daemon").read_text(), within=30)
    subprocess.run([command(), "pause", "--reason", "a test", "--config", str(place.config)], check=True, capture_output=True)
    code, said = demo.end()
    assert code == 1, said
    assert "bad flag: the journal does not say that the incident closed as recovered" in said
    assert "bad version: not shipped" in said
    assert files.flag_variant(place) == "on"
    assert demo.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    demo = Demo(tmp_path / "demo")
    log = Folder(tmp_path / "demo").log("daemon")
    poll(lambda: log.exists() and "daemon.started" in log.read_text(), within=30)
    assert len(demo.leftovers()) >= 5  # itself, the supervisor, the shop, its customers, the daemon
    demo.send(number)
    code, said = demo.end()
    assert code == 130, said
    poll(lambda: demo.leftovers() == [])  # what was killed may take a moment to be gone


def test_a_demo_in_a_folder_with_files_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    demo = Demo(tmp_path)
    code, said = demo.end()
    assert code == 1, said
    assert said[10:] == f"demo       FAILED: {tmp_path} is not empty; the demo begins in a new folder\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
