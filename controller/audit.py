"""Whether the journal is the one that was written: its hash chain, and the heads that somebody kept elsewhere."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rollbackd.controller.answers.done import Audit, Removed
from rollbackd.controller.journal.chain import JournalRow
from rollbackd.controller.journal.database import in_file
from rollbackd.controller.journal.errors import StoreDamaged, StoreUnfit
from rollbackd.controller.journal.inspection import inspected
from rollbackd.controller.journal.proof import fault_in
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.store import Store


def audit(store: Store, kept: Sequence[str] = ()) -> Audit:
    """The chain over all rows, from the heads of those that were exported. ``kept``: hashes of rows noted down earlier, or their beginnings; one
    that is gone means rows were cut off or written anew, or lies in an export.
    """
    with store.snapshot() as reading:
        return _audited(reading, kept)


def audit_file(file: Path, kept: Sequence[str] = ()) -> Audit:
    """As ``audit``, of a journal in SQLite that no daemon has to be running on, such as a backup; nothing is written.

    Raises StoreUnfit for the database of something else, or of another version; StoreError where it cannot be read.
    """
    try:
        with inspected(in_file(file)) as look:
            if not look.is_current:
                other = f"of the version {look.version}, which another rollbackd writes" if look.version else "an empty database"
                raise StoreUnfit(f"store {file}: it is {other}; nothing was verified")
            return _audited(look.reading, kept)
    except StoreDamaged as fault:
        return Audit(0, {}, str(fault), tuple(dict.fromkeys(kept)))


def _audited(reading: Reading, kept: Sequence[str]) -> Audit:
    missing, count = dict.fromkeys(kept), 0
    lengths = {len(head) for head in kept}

    def found(digest: str) -> None:
        for length in lengths:
            missing.pop(digest[:length], None)

    def counted() -> Iterator[JournalRow]:
        nonlocal count
        for row in reading.rows():
            count += 1
            found(row.hash)
            yield row

    removed, heads = reading.exported(), reading.heads()
    for each in removed.values():
        found(each.hash)
    fault = fault_in(counted(), removed)
    return Audit(count, heads, fault, tuple(missing), {writer: Removed(each.rows, each.seq, each.hash) for writer, each in removed.items()})
