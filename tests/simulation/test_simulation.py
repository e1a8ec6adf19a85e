"""The whole controller in thousands of incidents with everything around it breaking, on virtual time."""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.story import story
from tests.simulation.telling import Teller, teller

INCIDENTS = 2_000 if os.environ.get("CI") == "true" else 100
"""As many as a few minutes of CI allow; ``make simulate N=100000`` for more."""


@pytest.fixture(scope="module")
def at() -> Iterator[Teller]:
    with teller() as at:
        yield at


def test_no_promise_is_broken(at: Teller) -> None:
    incidents = seed = 0
    while incidents < INCIDENTS:
        told = at.tell(story(seed))
        assert not told.broken, f"{told.text}\n{at.shortest(story(seed), told.broken)}"
        incidents, seed = incidents + told.incidents, seed + 1


def test_the_same_seed_tells_the_same_story(at: Teller) -> None:
    assert story(7) == story(7)
    first, again = at.tell(story(7)), at.tell(story(7))
    assert first.heads
    assert first == again  # row for row: the heads of the journal's chains are the same
