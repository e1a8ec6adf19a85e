"""What is broken and put back in the crash tests: a command, a flag file, a Deployment, a service of ECS.

Each counts the writes it got, from outside the daemon.
"""

import ctypes
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import requests

from tests.aws.ecs_double import EcsDouble, ecs_double
from tests.aws.ecs_state import REGISTRY
from tests.aws.servers import ACCOUNT, REGION
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
        """How many writes the target ever got from rollbackd."""

    def refused(self) -> int:
        """How many of them it refused, as their precondition did not hold."""


class Command:
    """A version file behind two commands. What runs is not ready while a file ``slow`` lies there; ``apply`` waits while ``stuck`` lies there."""

    _DESCRIBE = (
        "if [ -e slow ]; then ready=null; else ready=$(date -u -r version '+\"%Y-%m-%dT%H:%M:%SZ\"'); fi;"
        """ printf '{"revision":"%s","ready":%s}' "$(cat version)" "$ready\""""
    )
    _APPLY = 'echo "$1" >> applied; while [ -e stuck ]; do sleep 0.1; done; echo "$1" > new; mv new version'

    def __init__(self, folder: Path, timeout: str = "4s", name: str = "shop") -> None:
        self._folder = folder
        self.target = self.acts_on = f"command:{name}"
        self.spec = {"target": {"command": {"name": name}}, **REVERT}
        describe, apply = (f'cd "$0" && {{ {script}; }}' for script in (self._DESCRIBE, self._APPLY))
        shell = ["/bin/sh", "-c"]
        command = {"describe": [*shell, describe, str(folder)], "apply": [*shell, apply, str(folder), "{revision}"], "timeout": timeout}
        self.config = {"commands": {name: {**command, "complete_within": timeout, "settle": "0s"}}}
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

    def refused(self) -> int:
        return 0


class Flag:
    """One flag in a flagd file; the service itself never changes."""

    target, acts_on = SHOP, "flagd:flagd/all"
    spec: Mapping[str, Any] = {**ON_SHOP, "remedy": [{"flags": {"provider": "flagd", "all": True}}]}

    def __init__(self, folder: Path, *, is_left: bool = False) -> None:
        """``is_left``: the config says that it is never touched."""
        self._shop = Command(folder)
        (folder / "flags").mkdir()
        self._file = folder / "flags" / "flags.json"
        self._serve("off")
        self._arrivals = Arrivals(self._file)
        flags = {"file": str(self._file), "settle": "0s", **({"safe_states": {"new-checkout": "leave"}} if is_left else {})}
        self.config = {**self._shop.config, "flags": {"flagd": flags}}

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

    def refused(self) -> int:
        return 0

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


REFUSED = (409, 422)
"""What the API server answers where a precondition does not hold."""


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
        return [sent["status"] for sent in self.world.requests("patch", dry_run=dry_run, namespace=self.stage.namespace)]

    def writes(self) -> int:
        return len(self.patches(dry_run=False))

    def refused(self) -> int:
        return sum(status in REFUSED for status in self.patches(dry_run=False))


class Service:
    """A service of a double of ECS that is its own."""

    target = acts_on = f"ecs:prod/{REGION}/main/api"
    spec: Mapping[str, Any] = {"target": {"ecs": {"cluster": "main", "service": "api"}}, **REVERT}

    def __init__(self, double: EcsDouble) -> None:
        self._double = double
        self.config = {"accounts": {"prod": {"id": ACCOUNT, "regions": [REGION], "endpoint": double.url}}}
        self._turn_back(AGO)
        double.cloud.create("api", self._release("v1"))

    def _turn_back(self, ago: timedelta) -> None:
        # Each change moves the double's clock by a second: what happens now must not have happened later than now.
        self._double.cloud.clock = datetime.now(UTC) - ago

    def _release(self, content: str) -> str:
        cloud = self._double.cloud
        return cloud.register("api", image=f"{REGISTRY}/api@{cloud.push('api', content)}")

    def break_it(self) -> None:
        self._turn_back(timedelta(seconds=5))
        self._double.cloud.deploy("api", self._release("v2"))

    def is_broken(self) -> bool:
        return str(self._double.cloud.services["api"]["taskDefinition"]).endswith("/api:2")

    def writes(self) -> int:
        return len(self._double.writes())

    def refused(self) -> int:
        return 0


class Both:
    """A flag and another place that are changed at once. It is whole once both are back, and both rungs begin at once."""

    def __init__(self, flag: Flag, other: Place) -> None:
        self._parts = (flag, other)
        self.target, self.acts_on = other.target, flag.acts_on
        self.config = {**flag.config, **other.config}
        together = [rung for part in self._parts for rung in part.spec["remedy"]]
        self.spec = {**other.spec, "remedy": [{"together": together}]}

    def break_it(self) -> None:
        for part in self._parts:
            part.break_it()

    def is_broken(self) -> bool:
        return any(part.is_broken() for part in self._parts)

    def each(self) -> tuple[int, ...]:
        """The writes of the flag, and of the other."""
        return tuple(part.writes() for part in self._parts)

    def writes(self) -> int:
        return sum(self.each())

    def refused(self) -> int:
        return sum(part.refused() for part in self._parts)


AGO = timedelta(minutes=1)
"""So long ago the good release was made."""


@contextmanager
def command(folder: Path, timeout: str = "4s") -> Iterator[Command]:
    """A version behind two commands."""
    yield Command(folder, timeout)


@contextmanager
def flag(folder: Path, *, is_left: bool = False) -> Iterator[Flag]:
    """A flag behind which the bad code lies."""
    made = Flag(folder, is_left=is_left)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def deployment(double: KubeDouble, folder: Path) -> Iterator[Deployment]:
    """A Deployment of the double, in a namespace named after the folder."""
    with requests.Session() as session:
        session.trust_env = False  # the environment may name a proxy, which is not for loopback
        made = Deployment(double, session, folder.name)
        yield made
        made.world.empty_namespace(folder.name)  # its pods cost the double time


@contextmanager
def both(folder: Path, other: AbstractContextManager[Place]) -> Iterator[Both]:
    """A flag, and this besides."""
    (folder / "behind").mkdir()
    with flag(folder / "behind") as behind, other as place:
        yield Both(behind, place)


@contextmanager
def service() -> Iterator[Service]:
    """A service of ECS."""
    with ecs_double(0.5) as double:
        yield Service(double)
