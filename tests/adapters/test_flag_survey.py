"""Several scopes of flags are read at the same moment: one after the other, ten of them at a distant vendor took longer than a slot."""

import threading
from collections.abc import Sequence

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.base.flags import Reading, Scope


class Meeting:
    """A provider whose reads end when as many have begun as are expected."""

    def __init__(self, expected: int) -> None:
        self.begun = threading.Barrier(expected, timeout=20)

    def read(self, environment: str, scope: Scope, also: Sequence[str] = (), *, fresh: bool = True) -> Reading:
        self.begun.wait()
        raise Transient(f"{scope} was read")


def test_four_scopes_are_read_at_once_and_each_has_its_own_answer() -> None:
    target = FlagTarget("vendor", {"shop": Meeting(4)}, has_environments=False)  # type: ignore[dict-item]  # a provider that is read alone
    keys = [f"vendor:shop/tag:t{n}" for n in range(8)]
    assert {key: str(said) for key, said in target.survey(keys).items()} == {key: f"{key.partition('/')[2]} was read" for key in keys}


class Throttling:
    """A provider that asks to be left alone, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, environment: str, scope: Scope, also: Sequence[str] = (), *, fresh: bool = True) -> Reading:
        self.asked += 1
        raise Transient("slow down", retry_after=7)


def test_a_provider_that_asks_to_be_left_alone_is_left_alone() -> None:
    throttling = Throttling()
    target = FlagTarget("vendor", {"shop": throttling, "other": Meeting(1)}, has_environments=False)  # type: ignore[dict-item]  # read alone
    keys = [*(f"vendor:shop/tag:t{n}" for n in range(40)), "vendor:other/all"]
    assert [str(said) for said in target.survey(keys).values()] == [*["slow down"] * 40, "all was read"]
    assert throttling.asked <= 4


def test_no_scope_is_no_answer() -> None:
    assert FlagTarget("vendor", {}, has_environments=False).survey([]) == {}
