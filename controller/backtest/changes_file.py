"""A file of changes, CSV or YAML, to values: every fault of it at once, each with its line. No file is opened here."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.policies.model.keys import parse_target
from rollbackd.policies.text.faults import Fault, choices, quoted
from rollbackd.policies.text.yaml_text import Node, parse

T = TypeVar("T")
KEYS = ("target", "at", "ready", "revision", "outcome", "rolled_back_at", "replicaset")
NEEDED = ("target", "at")
TIMES = ("at", "ready", "rolled_back_at")
OUTCOMES = ("good", "bad")
MOST_FAULTS = 100
A_TIME = "a time since 1970 with its zone, such as 2026-07-01T12:00:00Z"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YAML_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Frame:
    """What changes may speak of: these targets, within this span (None: any past). ``now``: later than this nothing has happened."""

    targets: frozenset[str]
    now: datetime
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class _Row:
    trail: str
    line: int
    column: int
    cells: Mapping[str, _Cell]


def read_changes(text: str, file: str, frame: Frame) -> tuple[tuple[GivenChange, ...], tuple[Fault, ...]]:
    """The changes of the file in the order of their times, and everything that is wrong with it. Raises nothing."""
    reading = _Reading(file, frame)
    rows = reading.yaml_rows(text) if file.endswith(YAML_SUFFIXES) else reading.csv_rows(text)
    changes = [change for number, row in enumerate(rows, 1) if (change := reading.change(row, number)) is not None]
    if not changes and not reading.faults:
        reading.fault(1, 1, "file", "at least one change", "none")
    return tuple(sorted(changes, key=lambda change: (change.at, change.number))), tuple(sorted(reading.faults)[:MOST_FAULTS])


@dataclass(slots=True)
class _Reading:
    """One pass over the file. Not re-usable."""

    file: str
    frame: Frame
    faults: list[Fault] = field(default_factory=list)
    first: dict[tuple[str, datetime], _Row] = field(default_factory=dict)

    def fault(self, line: int, column: int, trail: str, expected: str, found: str, hint: str = "") -> None:
        self.faults.append(Fault(self.file, line, column, trail, expected, found, hint))

    # --- to rows --------------------------------------------------------------------------------------------------------------------------

    def csv_rows(self, text: str) -> Iterator[_Row]:
        reader, line = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True, skipinitialspace=True), 1
        head: Sequence[str] | None = None
        try:
            for written in reader:
                here, line, fields = line, reader.line_num + 1, [one.strip() for one in written]
                if not any(fields) or fields[0].startswith("#"):
                    continue
                if head is None:
                    head = fields
                    self._check_keys(dict.fromkeys(head, (here, 1)), (here, 1), "header")
                    for name in sorted({name for name in head if head.count(name) > 1}):
                        self.fault(here, 1, "header", "each column once", f"{quoted(name)} again")
                    continue
                if len(fields) > len(head):
                    self.fault(here, 1, f"line {here}", f"at most {len(head)} fields, as the header has", str(len(fields)))
                    continue
                yield _Row(f"line {here}", here, 1, {name: _Cell(value, here, 1) for name, value in zip(head, fields, strict=False) if value})
        except csv.Error as error:
            self.fault(line, 1, f"line {line}", "CSV", f"a syntax error: {error}")

    def yaml_rows(self, text: str) -> Iterator[_Row]:
        parsed = parse(text, self.file)
        self.faults += parsed.faults
        for document in parsed.documents:
            root = document.root
            if isinstance(root.children, dict) and "changes" in root.children:
                self._check_known(root.keys or {}, "file", ("changes",))
                root = root.children["changes"]
            if not isinstance(root.children, list):
                self.fault(root.line, root.column, "file", "a list of changes", quoted(root.data))
                continue
            for index, node in enumerate(root.children):
                if isinstance(node.children, dict):
                    self._check_keys(node.keys or {}, (node.line, node.column), f"changes[{index}]")
                    yield _Row(f"changes[{index}]", node.line, node.column, dict(self._cells(node.children, index)))
                else:
                    self.fault(node.line, node.column, f"changes[{index}]", "a mapping", quoted(node.data))

    def _cells(self, children: Mapping[str, Node], index: int) -> Iterator[tuple[str, _Cell]]:
        for name, node in children.items():
            if isinstance(node.data, list | dict):
                self.fault(node.line, node.column, f"changes[{index}] › {name}", "a single value", quoted(node.data))
            elif node.data is not None:
                # A number is one only as a time: revision 1.10 is not 1.1, and the commit 84e1234 no number at all.
                yield name, _Cell(str(node.data) if name in TIMES else node.written or str(node.data), node.line, node.column)

    def _check_keys(self, keys: Mapping[str, tuple[int, int]], place: tuple[int, int], trail: str) -> None:
        self._check_known(keys, trail, KEYS)
        for name in NEEDED:
            if name not in keys:
                self.fault(*place, trail, f"the key '{name}'", "nothing", f"the keys are: {', '.join(KEYS)}")

    def _check_known(self, keys: Mapping[str, tuple[int, int]], trail: str, known: Sequence[str]) -> None:
        for name, at in keys.items():
            if name not in known:
                self.fault(*at, trail, "a known key", quoted(name), choices(name, known))

    # --- to changes -----------------------------------------------------------------------------------------------------------------------

    def change(self, row: _Row, number: int) -> GivenChange | None:
        """The change; None after at least one fault."""
        before = len(self.faults)
        for name in NEEDED:
            if name not in row.cells:
                self.fault(row.line, row.column, row.trail, f"a value for '{name}'", "nothing")
        target = self._cell(row, "target", self._target)
        at, ready, back = (self._cell(row, name, self._time) for name in TIMES)
        outcome = self._cell(row, "outcome", self._outcome)
        if at is not None:
            self._check_times(row, at, ready, back)
            if target is not None:
                self._claim(row, target, at)
        if target is not None and "replicaset" in row.cells:
            self._check_replicaset(row, target)
        if target is None or at is None or len(self.faults) > before:
            return None
        revision, replicaset = (row.cells[name].text if name in row.cells else None for name in ("revision", "replicaset"))
        # The outcome is one of OUTCOMES.
        return GivenChange(number, target, at, ready, revision, outcome, back, replicaset)  # type: ignore[arg-type]

    def _cell(self, row: _Row, name: str, read: Callable[[_Cell, str], T | None]) -> T | None:
        cell = row.cells.get(name)
        return None if cell is None else read(cell, f"{row.trail} › {name}")

    def _target(self, cell: _Cell, trail: str) -> str | None:
        clusters = {key.partition(":")[2].split("/")[0] for key in self.frame.targets if key.startswith("kubernetes:")}
        try:
            key = parse_target(cell.text, clusters.pop() if len(clusters) == 1 else None)
        except ValueError as error:
            self.fault(cell.line, cell.column, trail, "a target", quoted(cell.text), str(error))
            return None
        if key not in self.frame.targets:
            self.fault(cell.line, cell.column, trail, "a target of the policies", quoted(cell.text), choices(key, self.frame.targets, "they have"))
            return None
        return key

    def _time(self, cell: _Cell, trail: str) -> datetime | None:
        found = _moment(cell.text)
        if found is None:
            self.fault(cell.line, cell.column, trail, A_TIME, quoted(cell.text))
        return found

    def _outcome(self, cell: _Cell, trail: str) -> str | None:
        if cell.text in OUTCOMES:
            return cell.text
        self.fault(cell.line, cell.column, trail, "good or bad", quoted(cell.text))
        return None

    def _check_times(self, row: _Row, at: datetime, ready: datetime | None, back: datetime | None) -> None:
        cell = row.cells["at"]
        trail, frame = f"{row.trail} › at", self.frame
        if at > frame.now:
            self.fault(cell.line, cell.column, trail, f"a time that has passed (it is {_said(frame.now)})", cell.text)
        elif frame.since is not None and at < frame.since:
            self.fault(cell.line, cell.column, trail, f"a time from {_said(frame.since)} on", cell.text, "see --from")
        elif frame.until is not None and at > frame.until:
            self.fault(cell.line, cell.column, trail, f"a time up to {_said(frame.until)}", cell.text, "see --to")
        for name, later in (("ready", ready), ("rolled_back_at", back)):
            if later is not None and later < at:
                other = row.cells[name]
                self.fault(other.line, other.column, f"{row.trail} › {name}", f"a time not before 'at', {_said(at)}", other.text)
            elif later is not None and later > frame.now:
                other = row.cells[name]
                self.fault(other.line, other.column, f"{row.trail} › {name}", f"a time that has passed (it is {_said(frame.now)})", other.text)

    def _check_replicaset(self, row: _Row, target: str) -> None:
        cell, name = row.cells["replicaset"], target.rpartition("/")[2]
        if "/deployment/" not in target:
            self.fault(cell.line, cell.column, f"{row.trail} › replicaset", f"none of {target}", quoted(cell.text), "only Deployments have some")
        elif re.fullmatch(f"{re.escape(name)}-[a-z0-9]+", cell.text) is None:
            said = f"the name of a ReplicaSet, such as {name}-7c6d9f8b5"
            self.fault(cell.line, cell.column, f"{row.trail} › replicaset", said, quoted(cell.text), "kubectl get replicasets")

    def _claim(self, row: _Row, target: str, at: datetime) -> None:
        first = self.first.setdefault((target, at), row)
        if first is not row:
            where = f"line {first.line}" if first.line != row.line else first.trail
            self.fault(row.line, row.column, row.trail, "each change once", f"{target} at {_said(at)} again", f"first at {where}")


def _moment(text: str) -> datetime | None:
    """A time as RFC 3339 writes it, or in seconds since 1970. Earlier ones are none: what is reckoned back from them would be no date."""
    try:
        if text.replace(".", "", 1).isdigit() and len(text) >= 9:
            return datetime.fromtimestamp(float(text), UTC)
        written = datetime.fromisoformat(text)
        found = None if written.tzinfo is None else written.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None if found is None or found < EPOCH else found


def moment(text: str) -> datetime:
    """The time that ``text`` is. Raises ValueError saying what can be written."""
    found = _moment(text)
    if found is None:
        raise ValueError(f"{text!r} is not {A_TIME}")
    return found


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
