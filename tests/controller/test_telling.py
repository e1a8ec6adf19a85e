"""What the history says of a row."""

import pytest

from rollbackd.controller.notify.telling import row_text

SEEN = {"policy": "checkout", "condition": "error-rate", "onset": "2026-11-27T16:35:01.643000Z", "reason": "7.1 % > 5 % for 5m0s"}
RUNG = {"rung": 1, "reason": "v1 runs"}
TAKEN = {"rung": 1, "from": "vm-a", "to": "vm-b", "deadline": "2026-11-27T16:35:01.643000Z", "attempts": 2}


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("rung.settled", RUNG, "rung 2: v1 runs"),
        ("claim.taken_over", TAKEN, "rung 2: by vm-b from vm-a, attempt 2, until 2026-11-27T16:35:01.643000Z"),
        ("journal.exported", {"first": 1, "last": 9, "file": "old.gz", "heads": {}}, "first 1, last 9, file old.gz"),
    ],
)
def test_people_count_rungs_from_one_whoever_writes_the_row(kind, body, text):
    assert row_text(kind, body) == text


@pytest.mark.parametrize(
    ("onset", "since"), [("2026-11-27T16:35:01.643000Z", " since 2026-11-27 16:35:01"), (None, "")], ids=["known-onset", "unknown-onset"]
)
def test_what_was_only_observed_says_which_condition_since_when_and_why(onset, since):
    said = f"policy checkout would have begun, but for its mode observe: error-rate in breach{since}: 7.1 % > 5 % for 5m0s"
    assert row_text("observed", SEEN | {"onset": onset}) == said
