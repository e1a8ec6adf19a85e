"""The secret that tells the people of this daemon from everyone else who reaches its port."""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who may use the API: whoever has the ``shared`` token, and everyone of ``people`` (name to token), of whom the name is proven too."""

    shared: str = field(repr=False)
    people: Mapping[str, str] = field(default_factory=dict, repr=False)

    def speaker(self, authorization: bytes) -> str | None:
        """The person whose token the header holds, "" for the shared one, None for no token of ours. Takes the same time for every wrong one."""
        found = None
        for name, token in (("", self.shared), *self.people.items()):
            if hmac.compare_digest(authorization, f"Bearer {token}".encode()):
                found = name
        return found


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


def read_tokens(shared: Path, people: Mapping[str, Path]) -> Tokens:
    """The tokens in these files; the shared one is made if it is not there. Raises OSError; ValueError where two are the same."""
    found = Tokens(ensure_token(shared), {name: read_token(file) for name, file in people.items()})
    owners: dict[str, str] = {found.shared: "the shared token"}
    for name, token in found.people.items():
        if token in owners:
            raise ValueError(f"the token of {name} is also {owners[token]}: it proves nobody's name; give {name} one of their own")
        owners[token] = f"the token of {name}"
    return found
