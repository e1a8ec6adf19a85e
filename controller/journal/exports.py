"""The files that removed rows lie in: JSON lines, gzip where the name ends in ``.gz``. First the heads that the rows follow on, then the rows."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from rollbackd.controller.journal.chain import JournalRow, verify
from rollbackd.controller.journal.errors import StoreError

HEADER = "rollbackd/journal-export/v1"


class NoExport(StoreError):
    """The file is something else than an export of the journal."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a file holds, whose chain was verified. ``after``: each writer's hash before its first row here; ``heads``: its newest here."""

    rows: int
    first: int
    last: int
    after: Mapping[str, str]
    heads: Mapping[str, str]
    hashes: frozenset[str]


def write(file: IO[bytes], name: str, after: Mapping[str, str], rows: Iterable[JournalRow]) -> None:
    """The rows are in ``file``, which will have this ``name``."""
    with _packed(file, name, "wb") as out:
        out.write(_line({"export": HEADER, "after": dict(after)}))
        for row in rows:
            out.write(_line(asdict(row)))


def prove(path: Path) -> Proven:
    """What the file holds. Raises NoExport for another kind of file; StoreError where it cannot be read, or is not what was written."""
    hashes: list[str] = []
    heads: dict[str, str] = {}
    seqs: list[int] = []

    def passing(rows: Iterable[JournalRow]) -> Iterator[JournalRow]:
        for row in rows:
            hashes.append(row.hash)
            seqs.append(row.seq)
            heads[row.writer] = row.hash
            yield row

    try:
        with path.open("rb") as raw, _packed(raw, path.name, "rb") as lines:
            after = _header(path, lines)
            broken = verify(passing(JournalRow(**json.loads(line)) for line in lines), after)
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as fault:
        raise StoreError(f"{path} cannot be read as an export of the journal: {fault}") from fault
    if broken is not None:
        raise StoreError(f"{path}: row {broken.seq} of {broken.writer}: {broken.reason}")
    if not seqs:
        raise StoreError(f"{path} holds no row")
    return Proven(len(seqs), seqs[0], seqs[-1], after, {**after, **heads}, frozenset(hashes))


@dataclass(frozen=True, slots=True)
class Joined:
    """Files in their order, and whether they are all that was exported. ``gaps``: what is in no file."""

    files: tuple[tuple[Path, Proven], ...]
    gaps: tuple[str, ...]
    hashes: frozenset[str]

    def holds(self, head: str) -> bool:
        """Is this hash, or the row whose hash begins so, in one of the files?"""
        return any(each.startswith(head) for each in self.hashes)


def join(paths: Sequence[Path], exported: Mapping[str, str]) -> Joined:
    """The files together. ``exported``: each writer's head of what was removed, by the journal. Raises StoreError for a file that does not hold."""
    files = sorted(((path, prove(path)) for path in paths), key=lambda file: file[1].first)
    hashes = frozenset().union(*(proven.hashes for _, proven in files))
    former = [f"{path} follows on row {head[:16]} of {w}" for path, proven in files for w, head in proven.after.items() if head not in hashes]
    newest = [f"the rows of {writer} in the journal follow on row {head[:16]}" for writer, head in exported.items() if head not in hashes]
    return Joined(tuple(files), (*former, *newest), hashes)


def _header(path: Path, lines: IO[bytes]) -> dict[str, str]:
    try:
        said = json.loads(lines.readline() or b"null")
    except (gzip.BadGzipFile, ValueError):
        said = None
    if not isinstance(said, dict) or said.get("export") != HEADER or not isinstance(said.get("after"), dict):
        raise NoExport(f"{path} is no export of the journal: its first line is not that of `rollbackd compact`")
    return {str(writer): str(head) for writer, head in said["after"].items()}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


@contextmanager
def _packed(file: IO[bytes], name: str, mode: str) -> Iterator[IO[bytes]]:
    if not name.endswith(".gz"):
        yield file
        return
    with gzip.GzipFile(filename="", fileobj=file, mode=mode, mtime=0) as packed:
        yield packed  # type: ignore[misc]  # all of IO that is used here
