"""What breaks around the daemon, one fault after the other: each begins with its round and ends with it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.exposition import Reply
from tests.soak.town import Front, Town

HANGS = 30.0
"""Seconds without an answer: longer than anybody waits."""


@dataclass(frozen=True)
class Fault:
    """``holds_up``: it may cost slots, because the daemon waits for an answer."""

    name: str
    begin: Callable[[Town, str], None]
    end: Callable[[Town], None] = lambda town: None
    holds_up: bool = False


def spoils(front: Callable[[Town], Front], spoil: Callable[[Reply], Reply]) -> Mapping[str, Callable[..., None]]:
    """The begin and the end of a front's fault."""

    def begin(town: Town, _: str) -> None:
        front(town).spoil = spoil

    def end(town: Town) -> None:
        front(town).spoil = None

    return {"begin": begin, "end": end}


def refuses(_: Reply) -> Reply:
    return Reply(status=503, body=b"no healthy upstream")


def is_slow(answer: Reply) -> Reply:
    return replace(answer, wait=1.0)


def hangs(answer: Reply) -> Reply:
    return replace(answer, wait=HANGS)


def breaks_off(answer: Reply) -> Reply:
    assert isinstance(answer.body, bytes)
    return replace(answer, body=answer.body[: len(answer.body) // 2], promise=len(answer.body))


def next_patch(kind: str, **how: object) -> Callable[[Town, str], None]:
    """The next write in the namespace meets this fault of the API server."""
    return lambda town, namespace: town.double.fault(kind, method="PATCH", namespace=namespace, dry_run=False, **how)  # type: ignore[arg-type]


def reads_are_slow(town: Town, _: str) -> None:
    town.double.fault("wait_before", method="GET", resource="deployments", seconds=1.0, times=5)


def fair_again(town: Town) -> None:
    town.double.clear_faults()


def source(town: Town) -> Front:
    return town.source


def pager(town: Town) -> Front:
    return town.pager


FAULTS = (
    Fault("source down", **spoils(source, refuses)),
    Fault("write conflicts", next_patch("status", status=409, message="the object has been modified"), fair_again),
    Fault("source slow", **spoils(source, is_slow), holds_up=True),
    Fault("notifier down", **spoils(pager, refuses)),
    Fault("policies reloaded", lambda town, _: town.reload(), lambda town: town.reload()),
    Fault("source hangs", **spoils(source, hangs), holds_up=True),
    Fault("write's answer lost", next_patch("drop_after"), fair_again),
    Fault("notifier hangs", **spoils(pager, hangs)),
    Fault("source breaks off", **spoils(source, breaks_off)),
    Fault("policies broken", lambda town, _: town.reload(sound=False), lambda town: town.reload()),
    Fault("API server slow", reads_are_slow, fair_again, holds_up=True),
)


@contextmanager
def blowing(fault: Fault, town: Town, namespace: str) -> Iterator[None]:
    """The fault is on for the length of the block."""
    fault.begin(town, namespace)
    try:
        yield
    finally:
        fault.end(town)
