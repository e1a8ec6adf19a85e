"""Whether rows are those that were written, those that were exported and removed included: their chain, and the row that tells of the removal."""

import json
from collections.abc import Iterable, Iterator, Mapping

from rollbackd.controller.journal.chain import JournalRow, verify
from rollbackd.controller.journal.values import Exported

KIND = "journal.exported"
"""The row that tells of rows which were removed, with the heads that they left."""


def heads_of(removed: Mapping[str, Exported]) -> dict[str, str]:
    """The hash that each writer's rows follow on."""
    return {writer: each.hash for writer, each in removed.items()}


def fault_in(rows: Iterable[JournalRow], removed: Mapping[str, Exported]) -> str | None:
    """Where the rows are not what was written, None if they are. ``removed``: what went before them. All rows are read, whatever is found."""
    told: JournalRow | None = None

    def passing() -> Iterator[JournalRow]:
        nonlocal told
        for row in rows:
            told = row if row.kind == KIND else told
            yield row

    passed = passing()
    broken = verify(passed, heads_of(removed))
    for _ in passed:
        pass
    return f"row {broken.seq} of {broken.writer}: {broken.reason}" if broken is not None else _untold(removed, told)


def _untold(removed: Mapping[str, Exported], told: JournalRow | None) -> str | None:
    """What is wrong with the account of the removed rows: the newest row about them has to give the same heads."""
    if not removed:
        return None
    said = json.loads(told.body).get("heads") if told is not None else None
    return None if said == heads_of(removed) else "rows were removed, and no row of the journal tells of it"
