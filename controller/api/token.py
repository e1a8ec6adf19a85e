"""The secrets that tell the people of this daemon from everyone else who reaches its port. Beyond the reading only their hashes are kept."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import structlog

log = structlog.get_logger()

SHARED = ""
"""The name of whoever has the shared token: it proves nobody's."""
_BEARER = b"Bearer "


def hash_of(token: bytes) -> str:
    """How a token is written in a config: it cannot be guessed back, as tokens are made of chance and not of words."""
    return f"sha256:{hashlib.sha256(token).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who may use the API: each name's hash; SHARED's is the shared token's, all others prove the name."""

    hashes: Mapping[str, str] = field(repr=False)

    def speaker(self, authorization: bytes) -> str | None:
        """The person whose token the header holds, SHARED for the shared one, None for no token of ours. Takes the same time for every wrong one."""
        found, given = None, hash_of(authorization.removeprefix(_BEARER))
        is_bearer = authorization.startswith(_BEARER)
        for name, known in self.hashes.items():
            if hmac.compare_digest(given, known) and is_bearer:
                found = name
        return found


def ensure_token(file: Path) -> str:
    """The token in ``file``, made there, readable by its owner only, if the file is not there. Raises OSError; ValueError where it is empty."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _held_token(file)
    token = new_token()
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(token + "\n")
    return token


def _held_token(file: Path) -> str:
    try:
        return read_token(file)
    except ValueError as fault:
        raise ValueError(f"{fault}; remove the file and restart the daemon to have one made") from fault


def new_token() -> str:
    """256 bits of chance."""
    return secrets.token_urlsafe(32)


def read_token(file: Path) -> str:
    """The token in ``file``. Raises OSError; ValueError where it is empty or no line of plain text."""
    token = file.read_text(encoding="ascii", errors="replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{file} holds no token: expected one line of plain text")
    return token


class TokenBook:
    """The tokens in files, read anew when a file changes, and those that the config knows by their hash. Safe to use from several threads.

    ``people``: each person's file, or hash. ``learned`` is told every token that was read, so that no log shows it.
    Raises OSError; ValueError where a file holds no token or two names share one: at the start. Later such a name may not speak until it is mended.
    """

    def __init__(self, shared: Path, people: Mapping[str, Path | str], learned: Callable[[str], None] = lambda _: None) -> None:
        ensure_token(shared)
        self._files = {SHARED: shared, **{name: place for name, place in people.items() if isinstance(place, Path)}}
        self._hashes = {name: place for name, place in people.items() if isinstance(place, str)}
        self._learned = learned
        self._lock = Lock()
        self._seen = self._state()
        tokens, faults = self._read()
        if faults:
            raise faults[0]
        self._tokens = tokens

    @property
    def has_people(self) -> bool:
        """Somebody can prove a name."""
        return len(self._files) + len(self._hashes) > 1

    def speaker(self, authorization: bytes) -> str | None:
        """See Tokens.speaker, by what the files hold now."""
        with self._lock:
            state = self._state()
            if state != self._seen:
                self._seen = state
                self._tokens, faults = self._read()
                log.info("tokens.read", refused=[str(fault) for fault in faults])
        return self._tokens.speaker(authorization)

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(file) for file in self._files.values())

    def _read(self) -> tuple[Tokens, list[OSError | ValueError]]:
        """The tokens of those who have one, and what is wrong with the others."""
        hashes, faults = dict(self._hashes), list[OSError | ValueError]()
        for name, file in self._files.items():
            try:
                token = read_token(file)
            except (OSError, ValueError) as fault:
                faults.append(fault)
            else:
                self._learned(token)
                hashes[name] = hash_of(token.encode())
        return _distinct(hashes, faults)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _distinct(hashes: Mapping[str, str], faults: list[OSError | ValueError]) -> tuple[Tokens, list[OSError | ValueError]]:
    owners: dict[str, str] = {}
    for name, known in sorted(hashes.items()):  # the shared one first
        if known in owners:
            owner = f"the token of {owners[known]}" if owners[known] else "the shared token"
            faults.append(ValueError(f"the token of {name} is also {owner}: it proves nobody's name; give {name} one of their own"))
        else:
            owners[known] = name
    return Tokens({name: known for known, name in owners.items()}), faults
