"""What is broken and put back in the crash tests: a command, a flag file, a Deployment. Each counts the writes it got, from outside the daemon."""

import ctypes
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import requests

from tests.doubles.kube import KubeDouble
from tests.doubles.kube.stage import Stage

SHOP = "command:shop"
ON_SHOP: Mapping[str, Any] = {"target": {"command": {"name": "shop"}}}
REVERT: Mapping[str, Any] = {"remedy": [{"revert": {"to": "known-good"}}]}


class Place(Protocol):
    """A service that can be broken by one change, and whose rung puts it back."""

    @property
    def target(self) -> str:
        """What the policy watches."""

    @property
    def acts_on(self) -> str:
        """What the rung puts back."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its part of the daemon's config."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its part of the policy."""

    def break_it(self) -> None:
        """Somebody ships the bad change."""

    def is_broken(self) -> bool:
        """The bad change is live."""

    def writes(self) -> int:
        """How many writes the target ever accepted from rollbackd."""


class Command:
    """A version file behind two commands. What runs is not ready while a file ``slow`` lies there; ``apply`` waits while ``stuck`` lies there."""

    target = acts_on = SHOP
    spec: Mapping[str, Any] = {**ON_SHOP, **REVERT}

    _DESCRIBE = (
        "if [ -e slow ]; then ready=null; else ready=$(date -u -r version '+\"%Y-%m-%dT%H:%M:%SZ\"'); fi;"
        """ printf '{"revision":"%s","ready":%s}' "$(cat version)" "$ready\""""
    )
    _APPLY = 'echo "$1" >> applied; while [ -e stuck ]; do sleep 0.1; done; echo "$1" > new; mv new version'

    def __init__(self, folder: Path, timeout: str = "4s") -> None:
        self._folder = folder
        describe, apply = (f'cd "$0" && {{ {script}; }}' for script in (self._DESCRIBE, self._APPLY))
        shell = ["/bin/sh", "-c"]
        command = {"describe": [*shell, describe, str(folder)], "apply": [*shell, apply, str(folder), "{revision}"], "timeout": timeout}
        self.config = {"commands": {"shop": {**command, "settle": "0s"}}}
        self.deploy("v1")

    def deploy(self, version: str) -> None:
        """Somebody ships this version."""
        new = self._folder / "shipped"
        new.write_text(f"{version}\n")
        new.replace(self._folder / "version")

    def break_it(self) -> None:
        self.deploy("v2")

    def obstacle(self, name: str) -> Path:
        """The file that makes it ``slow`` or ``stuck``."""
        return self._folder / name

    def version(self) -> str:
        """What runs."""
        return (self._folder / "version").read_text().strip()

    def is_broken(self) -> bool:
        return self.version() == "v2"

    def writes(self) -> int:
        applied = self._folder / "applied"
        return len(applied.read_text().splitlines()) if applied.exists() else 0


class Flag:
    """One flag in a flagd file; the service itself never changes."""

    target, acts_on = SHOP, "flagd:flagd/all"
    spec: Mapping[str, Any] = {**ON_SHOP, "remedy": [{"flags": {"provider": "flagd", "all": True}}]}

    def __init__(self, folder: Path) -> None:
        self._shop = Command(folder)
        (folder / "flags").mkdir()
        self._file = folder / "flags" / "flags.json"
        self._serve("off")
        self._arrivals = Arrivals(self._file)
        self.config = {**self._shop.config, "flags": {"flagd": {"file": str(self._file), "settle": "0s"}}}

    def _serve(self, variant: str) -> None:
        # Written in place: only rollbackd moves a new file here.
        flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": variant}
        self._file.write_text(json.dumps({"flags": {"new-checkout": flag}}))

    def break_it(self) -> None:
        self._serve("on")

    def is_broken(self) -> bool:
        return '"defaultVariant": "on"' in self._file.read_text()

    def writes(self) -> int:
        return self._arrivals.count() + self._shop.writes()

    def close(self) -> None:
        self._arrivals.close()


class Arrivals:
    """How many files the kernel saw being moved to this name (inotify): a replacement by equal content counts too."""

    _MOVED_TO = 0x80

    def __init__(self, file: Path) -> None:
        self._name = file.name.encode()
        self._seen = 0
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK)
        if self._handle < 0 or libc.inotify_add_watch(self._handle, os.fsencode(file.parent), self._MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), "the folder cannot be watched")

    def count(self) -> int:
        """So far."""
        try:
            events = os.read(self._handle, 1 << 16)
        except BlockingIOError:
            return self._seen
        while events:
            (length,) = struct.unpack_from("I", events, 12)
            self._seen += events[16 : 16 + length].rstrip(b"\0") == self._name
            events = events[16 + length :]
        return self._seen

    def close(self) -> None:
        os.close(self._handle)


class Deployment:
    """A Deployment in a namespace of its own of the double."""

    def __init__(self, double: KubeDouble, session: requests.Session, namespace: str) -> None:
        self.world = replace(double, session=session)
        # Only others' means are used here: the daemon has a target of its own.
        self.stage = Stage(self.world, None, namespace)  # type: ignore[arg-type]
        self.world.make_namespace(namespace)
        self.stage.deploy("shop:1")
        self.target = self.acts_on = self.stage.key
        self.config = {"clusters": {"test": {"kubeconfig": str(double.kubeconfig)}}}
        self.spec = {"target": {"kubernetes": {"namespace": namespace, "deployment": "checkout"}}, **REVERT}

    def break_it(self) -> None:
        self.stage.release("shop:2")

    def image(self) -> str:
        """What is to run."""
        return str(self.stage.deployment()["spec"]["template"]["spec"]["containers"][0]["image"])

    def is_broken(self) -> bool:
        return self.image() == "shop:2"

    def patches(self, *, dry_run: bool) -> list[Any]:
        """The status of each patch of this namespace that rollbackd sent; None where it got no answer."""
        return [sent["status"] for sent in self.world.requests("patch", dry_run=dry_run) if sent["namespace"] == self.stage.namespace]

    def writes(self) -> int:
        return len(self.patches(dry_run=False))


@contextmanager
def command(folder: Path, timeout: str = "4s") -> Iterator[Command]:
    """A version behind two commands."""
    yield Command(folder, timeout)


@contextmanager
def flag(folder: Path) -> Iterator[Flag]:
    """A flag behind which the bad code lies."""
    made = Flag(folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def deployment(double: KubeDouble, folder: Path) -> Iterator[Deployment]:
    """A Deployment of the double, in a namespace named after the folder."""
    with requests.Session() as session:
        session.trust_env = False  # the environment may name a proxy, which is not for loopback
        yield Deployment(double, session, folder.name)
