"""The tests of the sample. No test run collects them by itself."""

import pytest

from tests.mutation.sample.clamp import clamped


@pytest.mark.parametrize(("value", "expected"), [(3, 3), (9, 9), (12, 9)])
def test_it_is_clamped(value, expected):
    assert clamped(value) == expected
