"""The secret that tells the people of this daemon from everyone else who reaches its port."""

import os
import secrets
from pathlib import Path


def ensure_token(file: Path) -> str:
    """The token in ``file``, made there, readable by its owner only, if the file is not there. Raises OSError; ValueError where it is empty."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_token(file)
    token = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(token + "\n")
    return token


def read_token(file: Path) -> str:
    """The token in ``file``. Raises OSError; ValueError where it is empty or no line of plain text."""
    token = file.read_text(encoding="ascii").strip()
    if not token or not token.isprintable() or " " in token:
        raise ValueError(f"{file} holds no token: expected one line of plain text; remove the file and restart the daemon to have one made")
    return token
