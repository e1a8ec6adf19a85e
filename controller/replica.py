"""The name of this replica among those that share a database."""

import os
import secrets
from pathlib import Path
from tempfile import NamedTemporaryFile


def replica_name(file: Path, host: str) -> str:
    """Unlike any other replica's, even on one machine, and the same after every restart: the host's name and what ``file`` keeps.

    The file is made if it is not there. Raises OSError.
    """
    if not file.exists():
        with NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False, encoding="utf-8") as draft:
            draft.write(f"{secrets.token_hex(3)}\n")
            draft.flush()
            os.fsync(draft.fileno())
        os.replace(draft.name, file)
    mark = file.read_text(encoding="utf-8").strip()
    if not mark:
        raise OSError(f"{file} is empty; nothing was started; remove it: it is made anew, and this replica then counts as another one")
    return f"{host}-{mark}"
