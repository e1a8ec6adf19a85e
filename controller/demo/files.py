"""The demo's work folder: the files that a user would write, and the two that the story changes."""

import base64
import json
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from rollbackd.controller.demo.shop import FLAG

LIMIT = 0.05
"""The share of failed requests that the policy allows."""
TARGET = "command:shop"
"""What the policy watches, by its key."""

_CONFIG = """\
# What the daemon may reach: where it reads, what it can put back, whom it tells. Policies name these things and hold no address and no secret.
apiVersion: rollbackd/v1
kind: Config
data_dir: data # the journal is data/rollbackd.db, an SQLite file
policies: [policies.d/]
api: {{listen: "127.0.0.1:{api_port}"}}
sources:
  scrape:
    every: 1s
    targets:
      - labels: {{app: shop}}
        urls: ["http://127.0.0.1:{shop_port}/metrics"]
flags:
  flagd: {{file: shop/flags.json, settle: 1s}}
commands:
  shop:
    describe: {describe}
    apply: {apply}
    timeout: 20s
    settle: 1s
contacts:
  oncall:
    - webhook: {{url: {webhook}, secret_file: secrets/webhook}}
"""

_POLICY = """\
# A demo's policy: waiting times in seconds. The defaults are minutes.
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  mode: auto
  target: {command: {name: shop}}
  metrics: prometheus-client
  match: {app: shop}
  every: 1s
  watch: 1h
  timing: {warmup: 2s, settle: 1s, recover_for: 6s, give_up: 30s, cooldown: 0s}
  rollback_when:
    - use: error-rate
      with: {above: 5%, over: 10s, for: 0s}
    - use: p95-latency
      with: {above: 2000ms, over: 10s, for: 0s}
  remedy:
    - flags: {provider: flagd, all: true, only: changed}
    - revert: {to: known-good}
  notify: [oncall]
"""
POLICY_IN_WORDS = "errors above 5 % or p95 above 2 s, after a change: first the changed flags off, then back to the known good version"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where everything of one demo lies."""

    path: Path

    @property
    def config(self) -> Path:
        """The daemon's config."""
        return self.path / "rollbackd.yaml"

    @property
    def policy(self) -> Path:
        """The only policy."""
        return self.path / "policies.d" / "shop.yaml"

    @property
    def journal(self) -> Path:
        """The daemon's SQLite file."""
        return self.path / "data" / "rollbackd.db"

    @property
    def flags(self) -> Path:
        """The flagd flag file that the shop reads."""
        return self.path / "shop" / "flags.json"

    @property
    def version(self) -> Path:
        """The version that the shop is to run."""
        return self.path / "shop" / "version"

    @property
    def secret(self) -> Path:
        """What signs the messages to on-call."""
        return self.path / "secrets" / "webhook"

    def log(self, name: str) -> Path:
        """What a child process printed."""
        return self.path / f"{name}.log"


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports."""

    shop: int
    api: int


def free_ports() -> Ports:
    """Ports that nobody used a moment ago."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return Ports(one.getsockname()[1], other.getsockname()[1])


def prepare(folder: Folder) -> str:
    """The folders, the shop at version v1 with its flag off, and a new secret, which is returned. Raises OSError if something lies there already."""
    folder.path.mkdir(parents=True, exist_ok=True)
    if any(folder.path.iterdir()):
        # An old journal's budgets and quarantine would rightly hold the second demo back.
        raise FileExistsError(f"{folder.path} is not empty; the demo begins in a new folder")
    for file in (folder.policy, folder.journal, folder.flags, folder.secret):
        file.parent.mkdir(mode=0o700)
    folder.version.write_text("v1\n")
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    folder.flags.write_text(json.dumps({"flags": {FLAG: flag}}, indent=2) + "\n")
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    folder.secret.touch(mode=0o600)
    folder.secret.write_text(f"{secret}\n")
    return secret


def write_config(folder: Folder, ports: Ports, webhook: str) -> None:
    """The daemon's config and the policy."""
    quoted = json.dumps  # JSON strings and lists are YAML
    config = _CONFIG.format(
        api_port=ports.api,
        shop_port=ports.shop,
        describe=quoted(deploy_argv("describe", folder, ports)),
        apply=quoted(deploy_argv("apply", folder, ports, "{revision}")),
        webhook=quoted(webhook),
    )
    folder.config.write_text(config)
    folder.policy.write_text(_POLICY)


def deploy_argv(verb: str, folder: Folder, ports: Ports, *rest: str) -> list[str]:
    """The command line of the shop's deploy tool."""
    return [sys.executable, "-m", "rollbackd.controller.demo.deploy", verb, str(folder.version), str(ports.shop), *rest]


def edit_flag(folder: Folder, variant: str) -> None:
    """The flag serves this variant: one edit of the file, as a person would make it."""
    document = json.loads(folder.flags.read_text())
    document["flags"][FLAG]["defaultVariant"] = variant
    folder.flags.write_text(json.dumps(document, indent=2) + "\n")


def flag_variant(folder: Folder) -> str:
    """The variant that the flag serves."""
    return str(json.loads(folder.flags.read_text())["flags"][FLAG]["defaultVariant"])
