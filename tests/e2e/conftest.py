"""What several stories of a whole daemon begin with: a shop in a corner, its metrics, and on-call's end of a webhook."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.controller.demo.receiver import Receiver
from tests.e2e.corner import Corner, exposed
from tests.exposition import Loopback

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def corner(tmp_path: Path) -> Corner:
    """A shop at v1, its flag off."""
    return Corner(tmp_path / "shop")


@pytest.fixture
def metrics(corner: Corner) -> Iterator[Loopback]:
    """What it counts, served."""
    with exposed(corner) as page:
        yield page


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """On-call's end of the webhook."""
    with Receiver(SECRET) as receiver:
        yield receiver
