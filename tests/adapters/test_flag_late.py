"""No flag is written so late that the claim on it may be somebody else's by then: what takes too long before it is refused, and says so."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters import flagsmith as fs
from rollbackd.adapters import growthbook as gb
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.flag_each import Throttled
from rollbackd.adapters.base.flag_target import BUDGET, FlagTarget
from rollbackd.adapters.base.flags import FlagProvider, Reading, Scope, State
from rollbackd.adapters.base.target import Plan, PlanRequest, TargetState
from rollbackd.adapters.flagd import FlagFile
from tests.adapters.flag_stands import STANDS, Stand

WAITS = 20.0


class Watched(FlagFile):
    """A flag file whose writes are seen to begin, with the time that they may take, and go on when they are let."""

    begun, go_on = threading.Event(), threading.Event()
    left = 0.0

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        Watched.left = ends - time.monotonic()
        self.begun.set()
        assert self.go_on.wait(WAITS)
        super().write(environment, reading, after, mark, ends)


@pytest.fixture
def watched() -> Iterator[type[Watched]]:
    Watched.begun.clear()
    Watched.go_on.clear()
    yield Watched
    Watched.go_on.set()


def file_in(folder: Path, name: str) -> Path:
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"flags": {"cart": flag}}))
    return file


def variant(file: Path) -> str:
    return str(json.loads(file.read_text())["flags"]["cart"]["defaultVariant"])


def flagd(budget: timedelta = BUDGET, **providers: FlagProvider) -> FlagTarget:
    return FlagTarget("flagd", providers, has_environments=False, budget=budget)


def planned(target: FlagTarget, name: str) -> Plan:
    key = f"flagd:{name}/all"
    state = target.survey([key])[key]
    assert isinstance(state, TargetState)
    plan = target.plan(PlanRequest(key, "inc-1", state.revision))
    assert isinstance(plan, Plan)
    return plan


def test_a_write_that_waits_too_long_for_another_is_refused(tmp_path: Path, watched: type[Watched]) -> None:
    one, two = file_in(tmp_path, "one"), file_in(tmp_path, "two")
    target = flagd(timedelta(seconds=2), one=watched("one", one), two=FlagFile("two", two))
    first, second = planned(target, "one"), planned(target, "two")
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(target.apply, first)
        assert watched.begun.wait(WAITS)
        with pytest.raises(Refused, match=r"another write .* takes so long.*; nothing was changed") as raised:
            target.apply(second)
        watched.go_on.set()
        writing.result(WAITS)
    assert (variant(one), variant(two), raised.value.advice) == ("off", "on", "see why it is slow, then plan again")
    target.apply(second)
    assert variant(two) == "off"


def test_where_the_reads_before_a_write_took_too_long_nothing_is_written(tmp_path: Path) -> None:
    file = file_in(tmp_path, "shop")
    target = flagd(timedelta(0), shop=FlagFile("shop", file))
    with pytest.raises(Refused, match=r"answers so slowly that .*; nothing was changed"):
        target.apply(planned(target, "shop"))
    assert variant(file) == "on"


def test_a_process_that_was_stopped_in_the_reads_before_its_write_writes_nothing(tmp_path: Path) -> None:
    """Its claim is somebody else's by then, and what that one wrote may have been taken back: the flags would look as before the intent."""
    file, stopped = file_in(tmp_path, "shop"), iter((0.0, 80.0))
    target = FlagTarget("flagd", {"shop": FlagFile("shop", file)}, has_environments=False, steady=lambda: next(stopped))
    with pytest.raises(Refused, match=r"nothing was changed"):
        target.apply(planned(target, "shop"))
    assert variant(file) == "on"


def test_a_write_may_take_what_is_left_of_the_time(tmp_path: Path, watched: type[Watched]) -> None:
    watched.go_on.set()
    target = flagd(shop=watched("shop", file_in(tmp_path, "shop")))
    target.apply(planned(target, "shop"))
    assert BUDGET.total_seconds() / 2 < watched.left < BUDGET.total_seconds()


def hosted(stand: Stand) -> FlagProvider:
    if stand.kind == "growthbook":
        return gb.Organisation("shop", gb.api(stand.vendor.url, stand.token))
    return fs.Project("shop", fs.api(stand.vendor.url, stand.token), stand.vendor.project)


@pytest.mark.parametrize("kind", ["growthbook", "flagsmith"])
def test_a_flag_that_was_read_too_slowly_right_before_its_write_is_not_begun(kind: str, tmp_path: Path) -> None:
    with STANDS[kind](tmp_path) as stand:
        provider, answer = hosted(stand), stand.vendor.answer
        reading = provider.read("production", Scope("flags", ("cart",)))
        off = provider.safe_state("cart", reading.states["cart"], "off")
        assert off is not None
        ends = time.monotonic() + 1.0

        def slow(call: Any) -> Any:
            threading.Event().wait(max(ends - time.monotonic(), 0))
            return answer(call)

        stand.vendor.answer = slow
        with pytest.raises(Throttled, match="flag 'cart' was not begun, as everything before it took too long"):
            provider.write("production", reading, {"cart": off}, "rollbackd:inc-1", ends)
        assert (stand.vendor.writes, stand.is_on("cart")) == ([], True)
