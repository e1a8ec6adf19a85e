"""Secrets in files, read anew for each message, so that they can be rotated while the daemon runs. No error shows what a file holds."""

from collections.abc import Callable
from pathlib import Path

from rollbackd.adapters.base.errors import Permanent


def secret_lines(contact: str, file: Path) -> list[str]:
    """The lines of the file that are not empty. Raises Permanent if it cannot be read."""
    try:
        return [line.strip() for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise Permanent(f"contact {contact}: {file} cannot be read ({why}); nothing was sent; check the mount and its rights") from error


def only_secret(contact: str, file: Path, what: str) -> str:
    """The one line of the file, which holds ``what``. Raises Permanent if it is not exactly one, or no plain ASCII."""
    lines = secret_lines(contact, file)
    if len(lines) != 1:
        raise Permanent(f"contact {contact}: {file} must hold {what} on one line; nothing was sent; correct the file")
    if not lines[0].isascii() or not lines[0].isprintable():
        raise Permanent(f"contact {contact}: {file} must hold {what} in plain ASCII; nothing was sent; correct the file")
    return lines[0]


def spoiled(*readings: Callable[[], object]) -> tuple[str, ...]:
    """Why each of these readings of secrets would keep a message from being sent, in a line of its own. Nothing is sent, and no secret is shown."""
    lines = []
    for read in readings:
        try:
            read()
        except Permanent as fault:
            lines.append(str(fault))
    return tuple(lines)
