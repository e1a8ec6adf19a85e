"""Whether the journal is the one that was written: its hash chain, and the heads that somebody kept elsewhere."""

from collections.abc import Iterator, Sequence

from rollbackd.controller.answers.done import Audit, Removed
from rollbackd.controller.journal.chain import JournalRow
from rollbackd.controller.journal.proof import fault_in
from rollbackd.controller.journal.store import Store


def audit(store: Store, kept: Sequence[str] = ()) -> Audit:
    """The chain over all rows, from the heads of those that were exported. ``kept``: hashes of rows noted down earlier, or their beginnings; one
    that is gone means rows were cut off or written anew, or lies in an export.
    """
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

    with store.snapshot() as reading:
        removed, heads = reading.exported(), reading.heads()
        for each in removed.values():
            found(each.hash)
        fault = fault_in(counted(), removed)
    return Audit(count, heads, fault, tuple(missing), {writer: Removed(each.rows, each.seq, each.hash) for writer, each in removed.items()})
