"""Which policy watches over an incident whose own is gone."""

from dataclasses import replace

import pytest

from rollbackd.controller.engine.orphans import adopted
from rollbackd.policies.known.fold import fold
from tests.policies.literals import OPENED

OPEN = fold((OPENED,))
BOTH = replace(OPEN, joined=(("checkout", "error-rate"), ("checkout", "latency"), ("other", "memory")))


@pytest.mark.parametrize(
    ("loaded", "joined"),
    [
        pytest.param({"heir"}, (("heir", "error-rate"),), id="what-the-heir-has-too"),
        pytest.param({"heir", "other"}, (("other", "memory"), ("heir", "error-rate")), id="what-is-still-loaded-stays"),
    ],
)
def test_an_heir_watches_over_what_it_knows(loaded, joined):
    found = adopted(BOTH, "heir", ("error-rate", "other-one"), loaded)
    assert (found.policy, found.joined) == ("heir", joined)


def test_an_heir_that_knows_none_of_it_watches_over_all_of_its_own():
    assert adopted(OPEN, "heir", ("a", "b"), {"heir"}).joined == (("heir", "a"), ("heir", "b"))
