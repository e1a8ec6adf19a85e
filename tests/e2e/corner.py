"""A shop without a platform: a version in a file, a flag in a flagd file, a script that deploys, and a page of metrics that follows from both."""

import json
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.daemon import policy
from tests.exposition import Loopback, Reply, Request, serving

TARGET = "command:shop"
BAD_VERSIONS = ("v2", "v3")
REQUESTS_PER_SECOND = 100.0


@dataclass
class Corner:
    """Runs v1 with its flag off at first. ``flag_hurts``: requests fail while the flag is on; they fail as long as the version is a bad one."""

    folder: Path
    flag_hurts: bool = True
    _ok: float = 0.0
    _failed: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.deploy("v1")
        self.flip("off")

    def deploy(self, version: str) -> None:
        """A person deploys."""
        self._replace("version", f"{version}\n")

    def flip(self, variant: str) -> None:
        """A person sets the flag."""
        flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": variant}
        self._replace("flags.json", json.dumps({"flags": {"new-checkout": flag}}, indent=2))

    @property
    def version(self) -> str:
        """What runs."""
        return (self.folder / "version").read_text().strip()

    @property
    def flag(self) -> str:
        """How the flag stands."""
        return str(json.loads((self.folder / "flags.json").read_text())["flags"]["new-checkout"]["defaultVariant"])

    def deploys(self) -> list[str]:
        """The versions that the deploy script was called with, by whomever."""
        log = self.folder / "deploys"
        return log.read_text().split() if log.exists() else []

    def config(self, page: Loopback, *, takes: float = 0.0, settle: str = "0s", flags_settle: str = "0s") -> dict[str, Any]:
        """The daemon's config for it, without contacts. ``takes``: seconds that a deployment takes."""
        script = self.folder / "deploy.sh"
        script.write_text(f'#!/bin/sh\necho "$1" >> {self.folder}/deploys\nsleep {takes}\necho "$1" > {self.folder}/version\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        describe, apply = ["/bin/cat", str(self.folder / "version")], [str(script), "{revision}"]
        return {
            "sources": {"scrape": {"every": "1s", "targets": [{"labels": {"app": "shop"}, "urls": [f"{page.url}/metrics"]}]}},
            "flags": {"flagd": {"file": str(self.folder / "flags.json"), "settle": flags_settle}},
            "commands": {"shop": {"describe": describe, "apply": apply, "timeout": "20s", "settle": settle}},
        }

    def page(self) -> str:
        """Its counters at this moment."""
        now = time.monotonic()
        requests, self._last = REQUESTS_PER_SECOND * (now - self._last), now
        is_bad = self.version in BAD_VERSIONS or (self.flag_hurts and self.flag == "on")
        failed = 0.3 * requests if is_bad else 0.0
        self._failed, self._ok = self._failed + failed, self._ok + requests - failed
        return f'http_requests_total{{code="200"}} {self._ok:.0f}\nhttp_requests_total{{code="500"}} {self._failed:.0f}\n'

    def _replace(self, name: str, text: str) -> None:
        draft = self.folder / f".{name}"
        draft.write_text(text)
        draft.replace(self.folder / name)


def shop_policy(name: str = "shop", **spec: Any) -> str:
    """First the flags that changed, then the version, on more than 5 % of failed requests."""
    ladder = [{"flags": {"provider": "flagd", "all": True, "only": "changed"}}, {"revert": {"to": "known-good"}}]
    errors = {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}
    return policy(name, {"command": {"name": "shop"}}, errors, match={"app": "shop"}, remedy=ladder, **spec)


@contextmanager
def exposed(corner: Corner) -> Iterator[Loopback]:
    """Its page, served."""

    def reply(_: Request) -> Reply:
        return Reply(body=corner.page().encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

    with serving(reply) as server:
        yield server
