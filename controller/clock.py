"""The wall clock. Nothing else reads it: everything that needs a time is given this function, or a time."""

from datetime import UTC, datetime


def now() -> datetime:
    """The time on the wall, aware and in UTC."""
    return datetime.now(UTC)
