"""Whether the journal is the one that was written: its hash chain, and the heads that somebody kept elsewhere."""

from collections.abc import Iterator, Sequence

from rollbackd.controller.answers.done import Audit
from rollbackd.controller.journal.chain import JournalRow, verify
from rollbackd.controller.journal.store import Store


def audit(store: Store, kept: Sequence[str] = ()) -> Audit:
    """The chain over all rows. ``kept``: hashes of rows noted down earlier, or their beginnings; one that is gone means rows were cut off or written
    anew.
    """
    missing, count = dict.fromkeys(kept), 0
    lengths = {len(head) for head in kept}

    def counted() -> Iterator[JournalRow]:
        nonlocal count
        for row in store.rows():
            count += 1
            for length in lengths:
                missing.pop(row.hash[:length], None)
            yield row

    rows = counted()
    broken = verify(rows)
    for _ in rows:  # behind a break the rows are still counted, and looked through for what was kept
        pass
    fault = f"row {broken.seq} of {broken.writer}: {broken.reason}" if broken is not None else None
    return Audit(count, store.heads(), fault, tuple(missing))
