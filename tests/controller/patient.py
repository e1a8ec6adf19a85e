"""A folder with a config and policies for the doctor to look at."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from rollbackd.controller.clock import now
from rollbackd.controller.config.load import Config, load_config, names
from rollbackd.controller.doctor.checks import CHECKS, examine
from rollbackd.controller.doctor.findings import Finding
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.logs import Secrets
from rollbackd.controller.texts import Texts
from rollbackd.controller.wiring.doctor import surroundings
from rollbackd.policies.load import load_policies
from tests.e2e.daemon import policy
from tests.servers import free_port

Line = tuple[str, str, str]
"""Check, subject, grade."""


@dataclass
class Patient:
    """``config`` is what differs from a sound config of a shop behind two commands, whose Prometheus is not there."""

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    clock: Callable[[], datetime] = now

    def __post_init__(self) -> None:
        (self.folder / "version").write_text("v1\n")
        (self.folder / "data").mkdir()
        (self.folder / "secret").write_text("whsec_c2VjcmV0\n")
        (self.folder / "secret").chmod(0o600)

    @property
    def file(self) -> Path:
        """The config, written anew."""
        hook = {"webhook": {"url": f"http://127.0.0.1:{free_port()}/hook-4711", "secret_file": "secret"}}
        sound = {
            "apiVersion": "rollbackd/v1",
            "kind": "Config",
            "sources": {"prometheus": {"url": f"http://127.0.0.1:{free_port()}"}},
            "commands": {"shop": {"describe": ["/bin/cat", str(self.folder / "version")], "apply": ["/bin/true", "{revision}"]}},
            "contacts": {"oncall": [hook]},
            "policies": ["policies.d"],
            "data_dir": "data",
        }
        (self.folder / "policies.d").mkdir(exist_ok=True)
        for name, text in (self.policies or {"shop": shop_policy()}).items():
            (self.folder / "policies.d" / f"{name}.yaml").write_text(text)
        file = self.folder / "rollbackd.yaml"
        file.write_text(yaml.safe_dump({**sound, **self.config}))
        return file

    def around(self) -> Surroundings:
        file = self.file
        config = load_config(file.read_text(), str(file), self.folder)
        assert isinstance(config, Config), config
        made = surroundings(str(file), config, load_policies(Texts(config.policies), names(config)), Secrets())
        return Surroundings(made.file, config, made.sources, made.targets, made.contacts, made.loaded, self.clock, made.enter)

    def findings(self, *checks: str) -> tuple[Finding, ...]:
        """Of these checks, or of all."""
        chosen = {name: check for name, check in CHECKS.items() if name in checks or not checks}
        return examine(self.around(), within=timedelta(seconds=60), checks=chosen)

    def lines(self, *checks: str) -> list[Line]:
        """The findings without their words, subjects relative to the folder."""
        return [(f.check, f.subject.replace(f"{self.folder}/", ""), f.grade.value) for f in self.findings(*checks)]

    def only(self, check: str) -> Finding:
        """The one finding of this check."""
        (finding,) = self.findings(check)
        return finding


def shop_policy(name: str = "shop", **spec: Any) -> str:
    """Of the shop behind two commands, with what differs."""
    return policy(name, {"command": {"name": "shop"}}, {"use": "error-rate"}, **{"match": {"app": "shop"}, "every": "15s", "timing": {}, **spec})


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below the folder. In SQLite's index of its open log (-shm) a reader notes that it reads: of that, only that it is there."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): b"" if file.name.endswith("-shm") else file.read_bytes() for file in files}


def report(text: str) -> list[Line]:
    """The lines of a report in JSON."""
    return [(line["check"], line["subject"], line["grade"]) for line in json.loads(text)["findings"]]
