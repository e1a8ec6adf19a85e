"""What the soak stands on: Deployments on the Kubernetes double, a real Prometheus over their pods, on-call's receiver, and one shipped daemon.

Between the daemon and Prometheus, and before the receiver, stands a front that spoils answers when the weather says so.
"""

import contextlib
import itertools
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.kube import KubeDouble
from tests.e2e.daemon import Daemon, policy
from tests.e2e.fleet import CONTENT_TYPE, Fleet, Shop, Symptom, double_in
from tests.exposition import Loopback, Reply, Request, serving
from tests.servers import poll, prometheus_with_history

SHOPS = 4
KEPT = 3
"""ReplicaSets that a Deployment keeps: so many are soon there, and what the daemon reads grows no more."""
EVERY = 5
"""Seconds between two slots."""
GOOD = "shop:1"
PAGE_EVERY = 0.5
"""Seconds between two looks at the pods."""
KNOWN, BREAK = 3 * 3600, 60
"""Seconds that Prometheus knows of from before, and how long before the begin that ended."""
TIMEOUT = "2s"
"""How long Prometheus may take."""
TIMING = {"warmup": "0s", "settle": "0s", "recover_for": "5s", "give_up": "60s", "cooldown": "0s"}
ERRORS = {"use": "error-rate", "with": {"for": "0s"}}
NO_LIMITS = {"in_flight": 100, "per_hour": 100_000, "per_target_per_day": 100_000}
"""A day's incidents come in half an hour."""


@dataclass
class Front:
    """Passes answers on, or spoils them."""

    spoil: Callable[[Reply], Reply] | None = None

    def through(self, answer: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
        """The same answers, spoilt while the weather is bad."""
        return lambda request: self.spoil(answer(request)) if self.spoil else answer(request)


@dataclass
class Town:
    """All of it. ``source`` and ``pager``: the fronts of Prometheus and of the receiver."""

    daemon: Daemon
    double: KubeDouble
    fleet: Fleet
    shops: list[Shop]
    source: Front
    pager: Front
    loopbacks: list[Loopback]
    _version: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def open(self) -> None:
        """Version 1 of every shop runs, the daemon has seen it, and it is declared good."""
        for shop in self.shops:
            shop.deploy(revisionHistoryLimit=KEPT)
        poll(lambda: all(shop.revision for shop in self.shops), within=120)
        for shop in self.shops:
            shop.declare_good()

    def ship(self, shop: Shop) -> None:
        """Somebody releases a version that nobody has seen before; three of ten of its requests fail.

        What the daemon left to people, people put back first: a release into a breach is not blamed for it, so the shop would be left alone for ever.
        """
        if shop.image != GOOD:
            shop.stage.release(GOOD, settled=False)
            return
        image = f"shop:{next(self._version)}"
        self.fleet.symptoms[image] = Symptom(failing=0.3)
        shop.stage.release(image, settled=False)

    def reload(self, sound: bool = True) -> None:
        """The policies are read anew; those of the first shop have changed, or cannot be read."""
        text = policy_of(self.shops[0].namespace, above=f"{5 + next(self._version) % 3}%")
        self.daemon.write_policy(self.shops[0].namespace, text if sound else text.replace("mode: auto", "mode: atuo"))
        self.daemon.reload()

    def forget(self) -> None:
        """What the stand-ins keep of past requests is gone: they are to run as long as the daemon."""
        self.double.forget()
        for loopback in self.loopbacks:
            loopback.asked.clear()


def policy_of(namespace: str, above: str = "5%") -> str:
    """The policy of one shop."""
    target = {"kubernetes": {"namespace": namespace, "deployment": "checkout"}}
    when = {**ERRORS, "with": {**ERRORS["with"], "above": above}}  # type: ignore[dict-item]  # a table inside the table
    return policy(namespace, target, when, every=f"{EVERY}s", watch="2m", timing=TIMING)


@contextmanager
def town_in(folder: Path) -> Iterator[Town]:
    """A town whose daemon runs; everything of it ends with the block, the daemon as it should."""
    source, pager = Front(), Front()
    with ExitStack() as stack:
        double = stack.enter_context(double_in(folder))
        fleet = Fleet(double, symptoms={})
        page = stack.enter_context(exposed(fleet))
        server = stack.enter_context(prometheus_with_history(history(), page.address))
        front = stack.enter_context(serving(source.through(lambda request: asked(server.url, request))))
        receiver = stack.enter_context(serving(pager.through(lambda _: Reply(status=204))))
        names = [f"shop-{number}" for number in range(SHOPS)]
        daemon = Daemon(folder, config_of(double, front.url, receiver.url), {name: policy_of(name) for name in names}, environment())
        stack.callback(daemon.kill)
        daemon.start()
        yield Town(daemon, double, fleet, [Shop(daemon, double, name) for name in names], source, pager, [page, front, receiver])
        daemon.stop()


@contextmanager
def exposed(fleet: Fleet) -> Iterator[Loopback]:
    """The fleet's page as it was a moment ago: on a machine that is too busy to make it in time, scrapes must not pile up behind each other."""
    newest, stopping = [fleet.page()], threading.Event()

    def renew() -> None:
        while not stopping.wait(PAGE_EVERY):
            with contextlib.suppress(OSError):  # the double did not answer in time
                newest[0] = fleet.page()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        with serving(lambda _: Reply(body=newest[0].encode(), headers=CONTENT_TYPE)) as server:
            yield server
    finally:
        stopping.set()
        thread.join()


def history() -> str:
    """What pods served well before, as any Prometheus has it: a policy that changed is told of so much, and takes as much from the first day on."""
    now = int(time.time())
    lines = ["# TYPE http_requests counter"]
    for number in range(SHOPS):
        labels = f'namespace="shop-{number}",pod="checkout-5d4f8c7b9-x2k9p"'
        for code, each in (("200", 99), ("500", 1)):
            lines += [f'http_requests_total{{{labels},code="{code}"}} {each * second} {now - KNOWN + second}' for second in range(KNOWN - BREAK)]
    return "\n".join([*lines, "# EOF", ""])


def environment() -> dict[str, str]:
    """What the image sets for the C library."""
    words = (Path(__file__).parents[2] / "Dockerfile").read_text().split()
    return {name: value for name, _, value in (word.partition("=") for word in words) if name == "GLIBC_TUNABLES"}


def config_of(double: KubeDouble, source: str, receiver: str) -> dict[str, Any]:
    return {
        "sources": {"prometheus": {"url": source, "scrape_interval": "1s", "delay": "2s", "timeout": TIMEOUT}},
        "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
        "contacts": {"oncall": [{"webhook": {"url": f"{receiver}/oncall"}}]},
        "guards": NO_LIMITS,
    }


def asked(url: str, request: Request) -> Reply:
    """What the server at ``url`` answers to the request."""
    kind = request.headers.get("Content-Type", "application/json")
    again = urllib.request.Request(url + request.path, request.body or None, {"Content-Type": kind}, method=request.method)
    try:
        with urllib.request.urlopen(again, timeout=10) as answer:
            return Reply(body=answer.read(), headers={"Content-Type": "application/json"})
    except urllib.error.HTTPError as error:
        return Reply(status=error.code, body=error.read())
    except OSError:
        return Reply(status=502)
