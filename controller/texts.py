"""Which files hold policies, and their text: the same for the daemon and for `rollbackd check`. Imports nothing heavy."""

import errno
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rollbackd.policies.text.faults import Unreadable

SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 10_000_000
"""No file that a person writes is larger; a device would be read without end."""


class Texts(Mapping[str, str]):
    """The text of every policy file below ``places``, by path, read when it is asked for; ``on_read`` is told how many were.

    A file that cannot be read is Unreadable: a fault of that file, which says why.
    """

    def __init__(self, places: Sequence[Path], on_read: Callable[[int], None] = lambda number: None) -> None:
        self._files = {str(file): file for place in places for file in policy_files(place)}
        self._read: dict[str, str] = {}
        self._on_read = on_read

    def __getitem__(self, name: str) -> str:
        if name not in self._read:
            self._read[name] = _text(self._files[name])
            self._on_read(len(self._read))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def policy_files(place: Path) -> list[Path]:
    """The policy files of a folder, not of those below it; a file is itself, and so is a folder that cannot be listed: reading it says why."""
    try:
        # Dot entries are a ConfigMap mount's own bookkeeping (..data); its files are links beside them.
        return sorted(f for f in place.iterdir() if f.suffix in SUFFIXES and not f.name.startswith("."))
    except OSError:
        return [place]


def bounded_text(file: Path) -> str:
    """What the file holds, its line ends as in Python. Raises OSError, for more than MOST_BYTES too, or UnicodeDecodeError."""
    with file.open("rb") as opened:
        held = opened.read(MOST_BYTES + 1)
    if len(held) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"more than {MOST_BYTES // 1_000_000} MB, of which YAML may have 1 MiB", str(file))
    return io.StringIO(held.decode("utf-8"), newline=None).read()


def _text(file: Path) -> str:
    try:
        if file.is_fifo():
            return Unreadable("a pipe, which would be waited for")
        if file.is_char_device() or file.is_block_device():
            return Unreadable("a device")
        if file.is_dir():
            next(file.iterdir(), None)
        return bounded_text(file)
    except OSError as fault:
        return Unreadable(fault.strerror or str(fault))
    except UnicodeDecodeError as fault:
        return Unreadable(f"what is no UTF-8 (byte {fault.start + 1})")
