"""Real servers for the tests: found on this machine, started on a free loopback port in a folder of their own, killed at the end."""

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

READY_WITHIN = 20.0
PORTS_TRIED = 3


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``folder`` holds its config, its data and ``log``."""

    url: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]


def binary(*names: str) -> str:
    """The path of the first of ``names`` that is installed; otherwise the test is skipped, or fails where skips are forbidden (CI=true)."""
    for name in names:
        if path := shutil.which(name):
            return path
    return missing(f"{' / '.join(names)} is not installed (as root on Debian: make servers)")


def missing(reason: str) -> NoReturn:
    """The test is skipped for this reason, or fails where skips are forbidden (CI=true)."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A loopback port that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def prometheus(*targets: str, interval: str = "1s", data: Path | None = None, flags: Sequence[str] = ()) -> Iterator[Server]:
    """A Prometheus that scrapes ``targets`` ("127.0.0.1:8000") as job "test"; ``data``: a TSDB folder to start from."""
    path = binary("prometheus")
    with _folder() as folder:
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\n"
            f"scrape_configs: [{{job_name: test, static_configs: [{{targets: {list(targets)}}}]}}]\n"
        )

        def argv(port: int) -> list[str]:
            storage = f"--storage.tsdb.path={data or folder / 'data'}"
            return [path, f"--config.file={config}", storage, f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y", *flags]

        with running(argv, folder) as server:
            yield server


@contextlib.contextmanager
def prometheus_with_history(openmetrics: str, *targets: str, interval: str = "1s", blocks: str = "2h") -> Iterator[Server]:
    """A Prometheus whose past is ``openmetrics``: samples with timestamps in seconds, `# EOF` as the last line.

    ``blocks``: how long one block is at most; promtool reads the whole text once for each of them.
    """
    promtool = binary("promtool")
    with _folder() as folder:
        text, data = folder / "history.om", folder / "data"
        text.write_text(openmetrics)
        command = [promtool, "tsdb", "create-blocks-from", f"--max-block-duration={blocks}", "openmetrics", "--quiet", str(text), str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"promtool refused the history: {done.stderr.strip()}")
        with prometheus(*targets, interval=interval, data=data) as server:
            yield server


@contextlib.contextmanager
def alertmanager(config: str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n") -> Iterator[Server]:
    """An Alertmanager without peers, with ``config`` as its alertmanager.yml."""
    path = binary("prometheus-alertmanager", "alertmanager")
    with _folder() as folder:
        file = folder / "alertmanager.yml"
        file.write_text(config)

        def argv(port: int) -> list[str]:
            listen = [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
            return [path, f"--config.file={file}", f"--storage.path={folder / 'data'}", *listen]

        with running(argv, folder) as server:
            yield server


def poll(claim: Callable[[], object], *, within: float = 15.0, every: float = 0.05) -> None:
    """Returns once ``claim`` holds; fails the test if it does not hold ``within`` seconds."""
    deadline = time.monotonic() + within
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {within:g} s: {getattr(claim, '__doc__', None) or claim}")
        time.sleep(every)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rollbackd-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _is_ready(port: int) -> bool:
    return answers(port, "/-/ready")


@contextlib.contextmanager
def running(
    argv: Callable[[int], list[str]], folder: Path, *, is_ready: Callable[[int], bool] = _is_ready, within: float = READY_WITHIN
) -> Iterator[Server]:
    """The server of ``argv(port)`` in ``folder``, once ``is_ready(port)``; killed at the end."""
    server = _start(argv, folder, is_ready, within)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _start(argv: Callable[[int], list[str]], folder: Path, is_ready: Callable[[int], bool], within: float) -> Server:
    log = folder / "log"
    for _ in range(PORTS_TRIED):
        port = free_port()
        with log.open("wb") as out:
            process = subprocess.Popen(argv(port), stdout=out, stderr=subprocess.STDOUT, cwd=folder)
        if _becomes_ready(process, port, is_ready, within):
            return Server(f"http://127.0.0.1:{port}", port, folder, process)
        process.kill()
        process.wait()
        # Another process may have taken the port between our look and the server's bind; anything else is final.
        if b"address already in use" not in log.read_bytes():
            break
    raise AssertionError(f"{argv(0)[0]} did not become ready within {within:g} s:\n{log.read_text()[-3000:]}")


def _becomes_ready(process: subprocess.Popen[bytes], port: int, is_ready: Callable[[int], bool], within: float) -> bool:
    deadline = time.monotonic() + within
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready(port):
            return True
        time.sleep(0.05)
    return False


def answers(port: int, path: str, *, trusting: ssl.SSLContext | None = None) -> bool:
    """Whether the loopback port answers a GET of ``path`` by 200; over TLS if a certificate is trusted."""
    connection: http.client.HTTPConnection
    if trusting is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=trusting)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
