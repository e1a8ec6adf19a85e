"""What is asked beside a slot's readings. Each policy says step by step what it wants to know next; what several want alike is asked once for all.

Decides nothing, and knows no clock and no thread: who drives it has those.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, TypeVar

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Answer, Query, RowKey, Source
from rollbackd.controller.observe.questions import is_by_side, with_rows

ROWS_AT_ONCE = 40_000
"""So many rows, counted at every moment, are asked for by one question."""
NAMES_AT_ONCE = 24
"""So many ReplicaSets are named by one question: each stands in it several times, and some servers read no question beyond 16 KiB."""

T = TypeVar("T")
Answers: TypeAlias = Mapping[datetime, Answer]
Reply: TypeAlias = Answers | AdapterError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be known next: ``group`` for these workloads, at these moments. ``is_past``: of the source's history."""

    group: Query
    rows: tuple[RowKey, ...]
    moments: tuple[datetime, ...]
    is_past: bool = False


Asking: TypeAlias = Generator[Wanted, Answers, T]
"""What somebody comes to who asks on the way: ``answered`` and ``answered_together`` run it. An answer may hold rows of others as well."""


def read(group: Query, rows: Iterable[RowKey], at: datetime) -> Asking[Answer]:
    """The answer as of ``at``. Raises Transient or Permanent."""
    return (yield Wanted(group, tuple(rows), (at,)))[at]


def read_past(group: Query, rows: Iterable[RowKey], moments: Iterable[datetime]) -> Asking[Answers]:
    """The answers at these past, evenly spaced moments; empty where the source keeps no history. Raises Transient or Permanent."""
    return (yield Wanted(group, tuple(rows), tuple(moments), is_past=True))


def answered(asking: Asking[T], source: Source) -> T:
    """What it comes to, asked one question after the other on this thread."""
    return answered_together({"": asking}, lambda wants: [ask(source, want) for want in wants])[""]


def answered_together(askings: Mapping[str, Asking[T]], ask_all: Callable[[Sequence[Wanted]], Sequence[Reply]]) -> dict[str, T]:
    """What each comes to, as if it had asked alone. A question that fails is one that each who asked it must bear."""
    found: dict[str, T] = {}
    waiting: dict[str, Wanted] = {}

    def go_on(name: str, step: Callable[[], Wanted]) -> None:
        try:
            waiting[name] = step()
        except StopIteration as end:
            found[name] = end.value

    for name, asking in askings.items():
        go_on(name, lambda asking=asking: next(asking))  # type: ignore[misc]  # the default only binds it
    while waiting:
        merged = list(_merged(waiting))
        waiting.clear()
        for (_, names), reply in zip(merged, ask_all([want for want, _ in merged]), strict=True):
            for name in names:
                go_on(name, lambda asking=askings[name], reply=reply: _told(asking, reply))  # type: ignore[misc]
    return found


def ask(source: Source, want: Wanted) -> Reply:
    """What the source answers."""
    query: Query = with_rows(want.group, want.rows)  # type: ignore[assignment]  # as it came in
    try:
        return source.read_history(query, want.moments) if want.is_past else {at: source.read(query, at) for at in want.moments}
    except AdapterError as fault:
        return fault


def _told(asking: Asking[T], reply: Reply) -> Wanted:
    return asking.throw(reply) if isinstance(reply, AdapterError) else asking.send(reply)


def _merged(wants: Mapping[str, Wanted]) -> Iterator[tuple[Wanted, Sequence[str]]]:
    """Each question, and who asks it."""
    alike: dict[tuple[Query, tuple[datetime, ...], bool], list[str]] = defaultdict(list)
    for name, want in wants.items():
        alike[want.group, want.moments, want.is_past].append(name)
    for names in alike.values():
        size = _askers_at_once(wants[names[0]])
        for start in range(0, len(names), size):
            piece = names[start : start + size]
            rows = dict.fromkeys(row for name in piece for row in wants[name].rows)
            yield replace(wants[piece[0]], rows=tuple(rows)), piece


def _askers_at_once(want: Wanted) -> int:
    most = NAMES_AT_ONCE if is_by_side(want.group) else ROWS_AT_ONCE // max(1, len(want.moments))
    return max(1, most // max(1, len(want.rows)))
