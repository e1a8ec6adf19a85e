"""The command line as a user has it: `rollbackd …` as a child process, and whether the daemon is ready."""

import http.client
import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollbackd.controller.demo.children import command, unbroken

ANSWERS_WITHIN = 15.0


@dataclass(frozen=True, slots=True)
class Client:
    """Asks the daemon of one config."""

    config: Path
    api_port: int

    def typed(self, *words: str) -> str:
        """What a person would type."""
        return shlex.join(self.argv(*words))

    def argv(self, *words: str) -> list[str]:
        """The same as a list."""
        return [_as_typed(command()), *words, "--config", str(self.config)]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """It ended; stdout, stderr and exit code as they were. Raises subprocess.TimeoutExpired."""
        argv = self.argv(*words)
        with unbroken():
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            try:
                out, err = process.communicate(timeout=ANSWERS_WITHIN)
            except BaseException:  # interrupted, or out of time: it does not outlive the question
                process.kill()
                raise
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def ask(self, *words: str) -> dict[str, Any]:
        """The answer as JSON; empty if there was none."""
        done = self.run(*words, "-o", "json")
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def is_ready(self) -> bool:
        """What the daemon's /readyz says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _as_typed(path: str) -> str:
    """Relative to where the user stands, where that is shorter."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def in_shell(argv: Sequence[str]) -> str:
    """A command line that can be pasted."""
    return shlex.join([_as_typed(argv[0]), *argv[1:]])
