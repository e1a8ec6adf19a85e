"""What an adapter does with an answer that is not what the other side documents."""

import contextlib
from collections.abc import Iterator

from rollbackd.adapters.base.errors import Transient


@contextlib.contextmanager
def shaped(where: str) -> Iterator[None]:
    """For the length of the block an answer without what is taken out of it is Transient: an upgrade or a proxy may be half done."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise Transient(
            f"{where} answered in an unknown shape ({type(error).__name__}); nothing was changed; see whether the address is that of its API"
        ) from error
