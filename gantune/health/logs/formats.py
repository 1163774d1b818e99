"""The formats of logs: tables (CSV, TSV), JSON lines and printed lines, read line by line."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import IO, Any, Protocol

from gantune.health.logs.columns import JUDGED, PLACES
from gantune.health.logs.printed import heading, pairs
from gantune.health.logs.records import Record, Recorder

_DELIMITERS = ",\t;|"
_CHUNK = 65_536  # bytes
_END = re.compile(rb"(\r?\n|\r)")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LONGEST = 1_000_000  # bytes of a line
_MOST_SPANNED = 20  # lines of one quoted cell


class ByteStream(Protocol):
    """What ``Lines`` needs of a stream of bytes."""

    def read1(self, size: int, /) -> bytes:
        """Bytes as soon as there are some, at most ``size``; none at the end."""


class Lines(Iterator[str]):
    """Lines of a byte stream as text without line ends, never read ahead of the line asked for.

    A carriage return ends a line too, as a progress bar writes it. ``number`` counts lines from 1,
    without those. ``is_complete``: whether the last line had an end. Colours are left out.
    """

    def __init__(self, stream: IO[bytes] | ByteStream) -> None:
        self._raw = _pieces(stream)
        self._again: deque[str] = deque()
        self._begins = True
        self.number = 0
        self.is_complete = True
        self.on_line: tuple[int, Callable[[], None]] | None = None
        """A line number, and the function that is called once that line was read."""

    def __next__(self) -> str:
        if self._again:
            return self._again.popleft()
        raw = next(self._raw)
        if self._begins:
            self.number += 1
            if self.on_line is not None and self.number == self.on_line[0]:
                self.on_line[1]()
        self._begins = raw.endswith(b"\n")
        self.is_complete = raw.endswith((b"\n", b"\r"))
        # Undecodable bytes are in columns that are not read, or are reported as no number.
        text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8", errors="replace")
        return _COLOUR.sub("", text.rstrip("\r\n"))

    def give_back(self, lines: Iterable[str]) -> None:
        """Lines that are read again."""
        self._again.extendleft(reversed([*lines]))


def _pieces(stream: IO[bytes] | ByteStream) -> Iterator[bytes]:
    """What a stream has, each piece with the end of its line, as soon as it is there. Of a line of
    megabytes only the first one is kept."""
    parts: list[bytes] = []
    kept = 0
    while chunk := stream.read1(_CHUNK):  # type: ignore[union-attr]
        *whole, rest = _END.split(chunk)
        for text, end in zip(whole[::2], whole[1::2], strict=True):
            yield b"".join([*parts, text, end])
            parts, kept = [], 0
        if rest and kept < _LONGEST:
            parts.append(rest)
            kept += len(rest)
    if parts:
        yield b"".join(parts)


def parse_object(line: str) -> dict[str, Any] | None:
    """Parses a line as a JSON object; ``None`` where it is none. Accepts ``NaN``, ``Infinity``."""
    text = line.strip()
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # also for more digits than Python reads
        return None
    return value if isinstance(value, dict) else None


def flattened(tree: Mapping[str, Any]) -> dict[str, Any]:
    """An object's values, those of objects inside it as ``outer/inner``; StyleGAN's moments stay
    whole, and its snapshot's name gives a ``kimg``."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and "mean" not in value:
            found |= {f"{name}/{inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    snapshot = re.search(r"(\d+)\.pkl$", str(tree.get("snapshot_pkl")))
    if snapshot and "kimg" not in found:
        found["kimg"] = snapshot[1]
    return found


class Reader:
    """Reads the lines of one format; counts those of another and an incomplete last one."""

    what = ""
    """The lines of this format, for a message; empty where other lines are expected."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.skipped = 0
        self.is_torn = False

    def skip(self, lines: Lines) -> None:
        """Counts the last line as skipped, or as incomplete."""
        if lines.is_complete:
            self.skipped += 1
        else:
            self.is_torn = True

    def read(self, lines: Lines) -> Iterator[Record]:
        """Yields the records, each as soon as its line was read."""
        raise NotImplementedError


class ObjectReader(Reader):
    """Reads JSON lines, between other lines that a trainer prints."""

    what = "JSON objects"

    def read(self, lines: Lines) -> Iterator[Record]:
        for line in lines:
            tree = parse_object(line)
            if tree is not None:
                yield from self.records(tree, lines.number)
            elif line.strip():
                self.skip(lines)

    def records(self, tree: Mapping[str, Any], line: int) -> Iterator[Record]:
        """The records of one object."""
        flat = flattened(tree)
        return self.recorder.records(tuple(flat), list(flat.values()), line)


class PrintedReader(Reader):
    """Reads printed lines with names and values. A place that is printed on a line of its own
    belongs to the lines below it, and so does that of the losses to a score below them."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._places: dict[str, str] = {}
        self._is_validation = False
        self._validated = -1.0  # epoch of the last heading

    def read(self, lines: Lines) -> Iterator[Record]:
        for line in lines:
            yield from self.records(line, lines)

    def records(self, line: str, lines: Lines) -> Iterator[Record]:
        """The records of one line."""
        if (is_validation := heading(line)) is not None:
            self._is_validation = is_validation
            self._validated = _epoch(self._places)
        found = pairs(line, is_validation=self._is_validation)
        places = {name: found[name] for name in PLACES if name in found}
        if self._is_validation and _epoch(places) > self._validated:
            self._is_validation = False  # the next epoch begins with training
            found = pairs(line)
        self._places = {**self._places, **places} if "epoch" not in places else places
        if not found or not self.recorder.columns.find(tuple(found)).names & set(JUDGED):
            return
        if not lines.is_complete:
            self.is_torn = True
            return
        earlier = self._places if not places else {"epoch": self._places.get("epoch", "")}
        found |= {name: at for name, at in earlier.items() if at and name not in found}
        yield from self.recorder.records(tuple(found), list(found.values()), lines.number)


def _epoch(places: Mapping[str, str]) -> float:
    """The epoch of a place; -1 without one."""
    try:
        return float(places.get("epoch", -1))
    except ValueError:
        return -1.0


def split_header(line: str) -> tuple[tuple[str, ...], str]:
    """The column names of a table's header, and the delimiter that gives the most names."""
    rows = {}
    for delimiter in _DELIMITERS:
        rows[delimiter] = tuple(name.strip() for name in split_row(line, delimiter) or ())
    delimiter = max(rows, key=lambda known: len(rows[known]))
    if len(rows[delimiter]) < 2 and "  " in line and not re.search(r"[\"':={}]", line):  # of spaces
        return tuple(line.split()), " "
    return rows[delimiter], delimiter


def split_row(line: str, delimiter: str) -> list[str] | None:
    """The cells of a row; ``None`` where a quote is open at its end, or it is no row. A table of
    Markdown has a bar at both ends."""
    if delimiter == " ":
        return line.split()
    if delimiter == "|":
        line = line.strip().removeprefix("|").removesuffix("|")
    try:
        rows = [*csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)]
    except csv.Error:
        return None
    return rows[0] if rows else []


class TableReader(Reader):
    """Reads the rows below a header with these column names.

    A quoted cell may span lines. Where its end does not come, one line is skipped. A header with
    other names, as a trainer writes it that was changed before it resumed, is that of the rows
    below it.
    """

    what = "rows of the table"

    def __init__(self, recorder: Recorder, names: tuple[str, ...], delimiter: str) -> None:
        super().__init__(recorder)
        self._names, self._delimiter = names, delimiter
        recorder.signals(names)

    def read(self, lines: Lines) -> Iterator[Record]:
        for line in lines:
            row = split_row(line, self._delimiter)
            if row and self._delimiter == " " and len(row) == len(self._names) + 1:
                row = row[1:]  # pandas prints an index before them
            if row is None:
                row = self._spanning(line, lines)
            elif not row or (len(row) == 1 and not row[0].strip() and len(self._names) > 1):
                continue
            if row is None or not (self._fits(row) or self._is_header(row)):
                self.skip(lines)
            elif self._is_header(row):
                self._names = tuple(name.strip() for name in row)
            else:
                yield from self._records(row, lines)

    def _records(self, row: list[str], lines: Lines) -> Iterator[Record]:
        before = self.recorder.unread
        yield from self.recorder.records(self._names, row, lines.number)
        if self.recorder.unread > before and not lines.is_complete:
            self.recorder.unread, self.is_torn = before, True

    def _fits(self, row: list[str]) -> bool:
        """Whether a row has all cells; surplus ones are empty, after a delimiter at its end."""
        width = len(self._names)
        return len(row) >= width and not any(cell.strip() for cell in row[width:])

    def _is_header(self, row: list[str]) -> bool:
        """Whether a row repeats the header, or is one that says a place and something to judge."""
        names = tuple(name.strip() for name in row)
        if names == self._names:
            return True
        if any(re.match(r"[-+.]?\d", name) for name in names):
            return False
        found = self.recorder.columns.find(names).names
        return bool(found & set(PLACES) and found & set(JUDGED))

    def _spanning(self, line: str, lines: Lines) -> list[str] | None:
        """The row of a line whose last cell goes on below; ``None`` where its end does not come,
        and then the lines below are read again."""
        below: list[str] = []
        for more in lines:
            below.append(more)
            text = "\n".join(chain([line], below))
            row = split_row(text, self._delimiter)
            if row is not None and self._fits(row):
                return row
            if len(below) == _MOST_SPANNED or not lines.is_complete:
                break
        lines.give_back(below)
        return None
