"""How long a start takes, and how much memory a daemon holds that has nothing to do."""

import contextlib
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, resident
from tests.doubles.kube import running_double
from tests.doubles.kube.stage import Stage
from tests.e2e.daemon import NOTHING, Daemon, policy
from tests.exposition import exposing
from tests.servers import poll, prometheus

STARTS = 5
SETTLED = 10
"""Slots after which a daemon is idle: everything that a slot imports has been imported."""
PAGE = 'http_requests_total{app="shop",code="200"} 1000\nhttp_requests_total{app="shop",code="500"} 1\n'
ERRORS = {
    "name": "errors",
    "ratio": {"bad": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"},
    "above": "5%",
}
NOBODY = {"oncall": [{"webhook": {"url": "http://127.0.0.1:9/"}}]}
HOW_START = "exec to daemon.started, plus the first slot's moment to slot.finished: without the wait for the grid; bytecode there; median of five"
HOW_IDLE = "VmRSS after ten slots of one policy"


def figures() -> list[Figure]:
    """Start to first evaluation; idle memory of the core, and with the Kubernetes SDK."""
    with exposing(PAGE) as page, prometheus(page.address) as server, tempfile.TemporaryDirectory() as name:
        folder, source = Path(name), {"prometheus": {"url": server.url, "scrape_interval": "1s"}}
        # The first start compiles 340 modules, as pip does when it installs, and the image when it is built.
        _, *starts = (_start(folder / f"start-{i}", source, _compiled(folder)) for i in range(1 + STARTS))
        return [
            Figure("start to first evaluation", statistics.median(starts), "s", 1.0, HOW_START),
            Figure("idle RSS, core", _idle_core(folder / "core", source), "MiB", 100, HOW_IDLE),
            Figure("idle RSS, with kubernetes", _idle_kubernetes(folder / "kubernetes", source), "MiB", 150, f"{HOW_IDLE} on the double"),
        ]


def _compiled(folder: Path) -> dict[str, str]:
    """The environment of a daemon that finds its bytecode, whatever the environment of the benchmark forbids."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _start(folder: Path, source: Mapping[str, Any], environment: Mapping[str, str]) -> float:
    began = datetime.now(UTC)
    with _on_command(folder, source, environment) as daemon:
        poll(lambda: "slot.finished" in daemon.log)
        events = [json.loads(line) for line in daemon.log.splitlines()]
    started = next(_time(event["time"]) for event in events if event["event"] == "daemon.started")
    slot = next(event for event in events if event["event"] == "slot.finished")
    due = _time(slot["at"])
    # A slot that lies before the start was due at once.
    return ((started - began) + max(_time(slot["time"]) - max(due, started), timedelta(0))).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _idle_core(folder: Path, source: Mapping[str, Any]) -> float:
    with _on_command(folder, source) as daemon:
        return idle(daemon)


def _idle_kubernetes(folder: Path, source: Mapping[str, Any]) -> float:
    folder.mkdir()
    with running_double(folder) as double:
        stage = Stage(double, None, "shop")  # type: ignore[arg-type]  # only others act here
        double.make_namespace("shop")
        stage.deploy()
        config = {"sources": source, "clusters": {"prod": {"kubeconfig": str(double.kubeconfig)}}, "contacts": NOBODY}
        target = {"kubernetes": {"namespace": "shop", "deployment": "checkout"}}
        with running(folder, config, policy("shop", target, ERRORS, metrics="custom", match={"app": "shop"})) as daemon:
            return idle(daemon)


def idle(daemon: Daemon) -> float:
    """The memory of a daemon that has settled, in MiB."""
    poll(lambda: daemon.log.count("slot.finished") >= SETTLED, within=60)
    return resident(daemon.pid)


@contextlib.contextmanager
def _on_command(folder: Path, source: Mapping[str, Any], environment: Mapping[str, str] = NOTHING) -> Iterator[Daemon]:
    """A daemon whose one target is a command: nothing of an SDK is imported."""
    folder.mkdir()
    version = folder / "version"
    version.write_text("v1\n")
    commands = {"shop": {"describe": ["/bin/cat", str(version)], "apply": ["/bin/false", "{revision}"]}}
    written = policy("shop", {"command": {"name": "shop"}}, ERRORS, metrics="custom", match={"app": "shop"}, watch="always")
    with running(folder, {"sources": source, "commands": commands, "contacts": NOBODY}, written, environment) as daemon:
        yield daemon


@contextlib.contextmanager
def running(folder: Path, config: Mapping[str, Any], written: str, environment: Mapping[str, str] = NOTHING) -> Iterator[Daemon]:
    """A daemon with this config and one policy, named ``shop``."""
    daemon = Daemon(folder, config, {"shop": written}, environment)
    try:
        daemon.start()
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()
