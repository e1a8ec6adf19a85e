"""The hash chain over one writer's journal rows: a changed, removed, inserted or reordered row breaks it.

A chain does not show that its newest rows were cut off: compare the head with one that was kept elsewhere.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rollbackd.controller.journal.codec import canonical

GENESIS = "0" * 64
"""What the first row of a writer has in place of a former hash."""
SHOWN = 16
"""Digits of the former hash that a row repeats, to tell a gap from a changed row; its own hash covers all of them."""


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One row exactly as it is stored: ``at`` and ``body`` are text, so that not even an unreadable row escapes the check.

    ``prev``: the beginning of the former hash; older rows have all of it.
    """

    seq: int
    writer: str
    at: str
    kind: str
    target: str | None
    incident: str | None
    key: str | None
    body: str
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first row of a writer that does not fit the chain, and how it does not."""

    seq: int
    writer: str
    reason: str


def row_hash(prev: str, seq: int, writer: str, at: str, kind: str, target: str | None, incident: str | None, key: str | None, body: str) -> str:
    """SHA-256 over the former hash and the canonical JSON list of the row's columns in this order, ``body`` as its text."""
    content = canonical([seq, writer, at, kind, target, incident, key, body])
    return hashlib.sha256((prev + content).encode()).hexdigest()


def verify(rows: Iterable[JournalRow], heads: Mapping[str, str] | None = None) -> Break | None:
    """Where the chain breaks, None if it holds. ``rows`` in journal order; ``heads``: each writer's hash before the first of these rows."""
    last = dict(heads or {})
    for row in rows:
        former = last.get(row.writer, GENESIS)
        if not former.startswith(row.prev):
            return Break(row.seq, row.writer, "the row before it was removed, inserted or changed")
        if row.hash != row_hash(former, row.seq, row.writer, row.at, row.kind, row.target, row.incident, row.key, row.body):
            return Break(row.seq, row.writer, "its content was changed after it was written")
        last[row.writer] = row.hash
    return None
