"""From the order to switch flags off to applications being served it: a real Unleash, its Admin API and its client API, over loopback."""

import statistics
import tempfile
import time
from pathlib import Path

from rollbackd.adapters.base.target import Plan, PlanRequest, TargetState
from tests.bench.figures import Figure
from tests.servers import poll
from tests.unleash.server import unleash
from tests.unleash.shop import Flag, Shop, open_shop

FLAGS = 10
EVERY = 0.01


def figures(count: int = 20) -> list[Figure]:
    """How long the write took, and how long until the client API said so, of ten flags at once."""
    with tempfile.TemporaryDirectory() as name, unleash() as server:
        shop = open_shop(server, Path(name), *(Flag(f"flag-{n}") for n in range(FLAGS)))
        runs = [_run(shop) for _ in range(count)]
    what, how = f"Unleash: {FLAGS} flags off", f"from the call of apply; {count} times; the client API was asked every {EVERY * 1000:g} ms"
    return [
        Figure(f"{what}: written", statistics.median(written for written, _ in runs), "s", None, f"median, {how}"),
        Figure(f"{what}: served", statistics.median(served for _, served in runs), "s", None, f"median, {how}"),
        Figure(f"{what}: served, slowest", max(served for _, served in runs), "s", None, f"maximum, {how}"),
    ]


def _run(shop: Shop) -> tuple[float, float]:
    target, key = shop.target(), shop.key("tag:checkout")
    shop.server.ask("dana", "POST", "/api/admin/projects/default/bulk_features/environments/production/on", {"features": shop.names()})
    poll(lambda: all(shop.served().values()))
    state = target.survey([key])[key]
    assert isinstance(state, TargetState)
    plan = target.plan(PlanRequest(key, "bench", state.revision))
    assert isinstance(plan, Plan)
    began = time.monotonic()
    target.apply(plan)
    written = time.monotonic() - began
    poll(lambda: not any(shop.served().values()), every=EVERY)
    return written, time.monotonic() - began
