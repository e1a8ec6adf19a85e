"""Several flags written one at a time: which of them fail, and with which word."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flag_each import Throttled, write_each
from rollbackd.adapters.base.flags import State

AFTER: dict[str, State] = {"b": {"on": False}, "a": {"on": False}, "c": {"on": False}}


def put(put_in_order: list[str], **errors: AdapterError) -> Callable[[str, State], None]:
    def one(name: str, _: State) -> None:
        put_in_order.append(name)
        if name in errors:
            raise errors[name]

    return one


def write(after: Mapping[str, State], put: Callable[[str, State], None], seconds: float = 12.0, **how: Any) -> None:
    """All of it within so many seconds."""
    write_each(after, put, ends=time.monotonic() + seconds, **how)


def test_each_flag_is_written_once_in_the_order_of_names() -> None:
    order: list[str] = []
    write(AFTER, put(order))
    assert order == ["a", "b", "c"]


def test_a_flag_that_fails_does_not_stop_the_others_and_the_whole_is_unknown() -> None:
    order: list[str] = []
    with pytest.raises(Transient, match="flags 'b', 'c' written, flag 'a' not: needs an approval"):
        write(AFTER, put(order, a=Refused("needs an approval")))
    assert order == ["a", "b", "c"]


def test_where_nothing_was_written_the_first_refusal_speaks_for_all() -> None:
    refused = Refused("needs an approval", advice="ask ann")
    with pytest.raises(Refused, match="needs an approval") as raised:
        write(AFTER, put([], a=refused, b=Permanent("no right"), c=Refused("needs an approval")))
    assert raised.value is refused


def test_one_flag_fails_with_its_own_word() -> None:
    for error in (Refused("changed"), Permanent("no right"), Transient("no answer")):
        with pytest.raises(type(error)) as raised:
            write({"a": {}}, put([], a=error))
        assert raised.value is error


def test_a_throttled_flag_is_put_once_more_after_the_wait_that_was_asked_for() -> None:
    order: list[str] = []
    waits: list[float] = []
    replies: dict[str, list[AdapterError]] = {"b": [Throttled("slow down", retry_after=7.0)]}

    def put_later(name: str, _: State) -> None:
        order.append(name)
        if replies.get(name):
            raise replies[name].pop()

    write(AFTER, put_later, pause=waits.append)
    assert (order, waits) == (["a", "b", "b", "c"], [7.0])


@pytest.mark.parametrize("wait", [None, 7.1])
def test_a_wait_that_is_unknown_or_too_long_is_not_waited_for(wait: float | None) -> None:
    order: list[str] = []
    with pytest.raises(Transient, match="slow down"):
        write(AFTER, put(order, a=Throttled("slow down", retry_after=wait)), patience=timedelta(seconds=7), pause=pytest.fail)
    assert order == ["a"]


def test_a_wait_beyond_what_is_left_of_the_time_is_not_waited_for() -> None:
    with pytest.raises(Throttled):
        write({"a": {}}, put([], a=Throttled("slow down", retry_after=7.0)), seconds=6.0, pause=pytest.fail)


def test_only_what_was_not_begun_is_put_again() -> None:
    order: list[str] = []
    with pytest.raises(Transient, match="HTTP 503"):
        write({"a": {}}, put(order, a=Transient("HTTP 503", retry_after=1.0)), pause=pytest.fail)
    assert order == ["a"]


def test_after_a_rate_limit_nothing_more_is_begun_and_the_longest_wait_is_kept() -> None:
    order: list[str] = []
    with pytest.raises(Transient, match="flag 'a' written, flags 'b', 'c' not: slow down") as raised:
        write(AFTER, put(order, b=Throttled("slow down", retry_after=60.0)))
    assert (order, raised.value.retry_after) == (["a", "b"], 60.0)


def test_after_its_time_nothing_more_is_begun() -> None:
    order: list[str] = []
    with pytest.raises(Transient, match="flag 'a' was not begun, as everything before it took too long"):
        write(AFTER, put(order), seconds=-1.0)
    assert order == []
