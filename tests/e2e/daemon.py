"""A rollbackd in a process of its own: the files that a user writes, the command that a user types, and what its journal says afterwards."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rollbackd.controller.api.client import Client
from rollbackd.controller.cli.show import as_yaml
from tests.servers import free_port, poll

SECONDS: Mapping[str, str] = {"warmup": "0s", "settle": "0s", "recover_for": "1s", "give_up": "60s", "cooldown": "0s"}
"""The timing of a policy in a test."""
NOTHING: Mapping[str, str] = MappingProxyType({})
Entry = dict[str, Any]


def policy(name: str, target: Mapping[str, Any], *when: Mapping[str, Any], timing: Mapping[str, str] = SECONDS, **spec: Any) -> str:
    """A policy file: judged every second, acting by itself, telling ``oncall``."""
    spec = {"mode": "auto", "target": target, "every": "1s", "timing": timing, "rollback_when": list(when), "notify": ["oncall"], **spec}
    spec.setdefault("remedy", [{"revert": {"to": "known-good"}}])
    return as_yaml({"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": name}, "spec": spec}, 200)


class Daemon:
    """One rollbackd over ``folder``. Its config and policies lie there; ``data`` is its data_dir. Not running until ``start``.

    ``environment``: what is set for it beside what is set here.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], policies: Mapping[str, str], environment: Mapping[str, str] = NOTHING) -> None:
        self.folder = folder
        self._beside = environment
        self._under: Sequence[str] = ()
        self.port = free_port()
        self.data = folder / "data"
        self.config = folder / "rollbackd.yaml"
        self.policies = folder / "policies.d"
        self.policies.mkdir(parents=True, exist_ok=True)
        api = {"listen": f"127.0.0.1:{self.port}", **config.get("api", {})}
        written = {"apiVersion": "rollbackd/v1", "kind": "Config", "data_dir": "data", "policies": ["policies.d/"], **config, "api": api}
        self.config.write_text(as_yaml(written, 200))
        for name, text in policies.items():
            self.write_policy(name, text)
        self._process: subprocess.Popen[bytes] | None = None

    # --- its life ---------------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """`rollbackd run` has been typed, and /readyz says yes."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._argv("run"), stdout=out, stderr=out, env=self._environment(), start_new_session=True)
        poll(self._is_ready_or_ended, within=30)
        assert self._process.poll() is None, f"rollbackd ended with {self._process.returncode}:\n{self.log[-3000:]}"

    def begin(self, under: Sequence[str] = ()) -> None:
        """`rollbackd run` has been typed, behind this command, and its API answers, well or not; from now on every command is behind it."""
        self._under = under
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._argv("run"), stdout=out, stderr=out, env=self._environment(), start_new_session=True)
        poll(lambda: self.get("/healthz")[0] == 200, within=30)

    def end(self) -> int:
        """SIGTERM was sent; the exit code."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        return self._process.wait(30)

    def stop(self) -> None:
        """It ended as it should: on SIGTERM, with exit code 0, leaving no process behind, and nothing in it ever crashed."""
        assert (self.end(), self.leftovers()) == (0, []), self.log[-3000:]
        assert self.crashes() == [], self.crashes()[0]

    def kill(self) -> None:
        """It is gone, with all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """The daemon got this signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    def crashes(self) -> list[str]:
        """Lines of its log that tell of a fault in rollbackd itself."""
        return [line for line in self.log.splitlines() if "Traceback" in line or ".crashed" in line or "policy.failed" in line]

    def leftovers(self) -> list[str]:
        """Command lines of processes that it started and that still run."""
        return [cmdline for environ, cmdline in _processes() if f"ROLLBACKD_TEST_MARK={self.folder}\0" in environ]

    # --- what a user does -------------------------------------------------------------------------------------------------------------------

    def write_policy(self, name: str, text: str) -> None:
        """The policy file is there as a whole."""
        draft = self.policies / f".{name}.draft"
        draft.write_text(text)
        draft.rename(self.policies / f"{name}.yaml")

    def reload(self) -> None:
        """SIGHUP was sent."""
        self.signal(signal.SIGHUP)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`rollbackd WORDS --config …` in another terminal."""
        return subprocess.run(self._argv(*words), capture_output=True, text=True, timeout=30, check=False, env=self._environment())

    def ask(self, *words: str) -> dict[str, Any]:
        """The JSON that `rollbackd WORDS -o json` printed."""
        done = self.run(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    # --- what it says -----------------------------------------------------------------------------------------------------------------------

    @property
    def api(self) -> Client:
        """Its API: what the command asks, without the cost of a process for each question."""
        return Client(f"http://127.0.0.1:{self.port}", (self.data / "api.token").read_text().strip())

    def policy(self, name: str) -> dict[str, Any]:
        """The policy's line in `status`; empty if it is not loaded."""
        return next((line for line in self.api.get("status")["policies"] if line["name"] == name), {})

    def explained(self, name: str) -> dict[str, Any]:
        """What `explain` says of the policy."""
        explained: dict[str, Any] = self.api.get("explain", of=name)["items"][0]
        return explained

    def history(self, of: str | None = None) -> list[Entry]:
        """The journal's rows [of this target or incident], oldest first."""
        return list(reversed(self.api.get("history", of=of, limit="10000")["items"]))

    def rows(self, of: str, *kinds: str) -> list[Entry]:
        """The target's rows of these kinds, oldest first."""
        return [row for row in self.history(of) if row["kind"] in kinds]

    def wait_for(self, of: str, kind: str, holds: Callable[[Entry], bool] = lambda row: True, *, within: float = 30.0) -> Entry:
        """The target's first row of this kind that ``holds``, once the journal has it."""
        found: list[Entry] = []

        def has_come() -> bool:
            found[:] = [row for row in self.rows(of, kind) if holds(row)]
            return bool(found)

        has_come.__doc__ = f"{kind} of {of} is in the journal"
        self.wait_until(of, has_come, within=within)
        return found[0]

    def wait_until(self, of: str, claim: Callable[[], object], *, within: float = 30.0) -> None:
        """The claim holds; where it does not come true, what the target's journal has instead is said."""
        try:
            poll(claim, within=within, every=0.1)
        except AssertionError as fault:
            rows = "\n".join(f"  {row['at']} {row['kind']}: {row['text']}" for row in self.history(of))
            raise AssertionError(f"{fault}; it has\n{rows}\nand the log ends with\n{self.log[-1500:]}") from fault

    # --- parts ------------------------------------------------------------------------------------------------------------------------------

    @property
    def _log(self) -> Path:
        return self.folder / "daemon.log"

    def _argv(self, *words: str) -> list[str]:
        return [*self._under, sys.executable, "-c", "from rollbackd.controller.cli.main import main; main()", *words, "--config", str(self.config)]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self._beside, "ROLLBACKD_TEST_MARK": str(self.folder)}

    def _is_ready_or_ended(self) -> bool:
        """/readyz answers 200"""
        assert self._process is not None
        return self._process.poll() is not None or self.get("/readyz")[0] == 200

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page that needs no token; 0 if nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


@contextlib.contextmanager
def running(folder: Path, config: Mapping[str, Any], policies: Mapping[str, str]) -> Iterator[Daemon]:
    """A daemon that runs for the length of the block, and ends well."""
    daemon = Daemon(folder, config, policies)
    try:
        daemon.start()
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()


def _processes() -> Iterator[tuple[str, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours
            yield (process / "environ").read_text(errors="replace"), (process / "cmdline").read_text().replace("\0", " ")


def kinds(rows: Sequence[Entry]) -> list[str]:
    """What happened, in order."""
    return [row["kind"] for row in rows]
