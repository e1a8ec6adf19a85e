"""Closed incidents that are read once, and one that cannot be read."""

import pytest

from rollbackd.controller.journal.errors import RowUnreadable, StoreError
from rollbackd.controller.journal.folding import Ended
from rollbackd.policies.known.fold import fold
from tests.controller.journal_samples import APPLIED, CLOSED, INTENDED, OPENED

INCIDENT = fold([OPENED, INTENDED, APPLIED, CLOSED])
DONE = (INCIDENT.target, INCIDENT.mended)


def test_a_closed_incident_is_read_once_and_one_that_a_newer_version_wrote_is_left_out():
    asked = []

    def read(name):
        asked.append(name)
        if name == "newer":
            raise RowUnreadable("journal row 11: unknown key")
        return INCIDENT

    ended = Ended()
    assert [ended.of(["inc-1", "newer"], read) for _ in range(3)] == [(DONE,)] * 3
    assert asked == ["inc-1", "newer"]


def test_what_a_store_could_not_tell_is_asked_for_again():
    def broken(name):
        raise StoreError("locked")

    ended = Ended()
    with pytest.raises(StoreError, match="locked"):
        ended.of(["inc-1"], broken)
    assert ended.of(["inc-1"], lambda name: INCIDENT) == (DONE,)
