"""CSV, TSV and their like: a header, and a row a record."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gantune.errors import LogError
from gantune.health.logs.columns import Columns
from gantune.health.logs.records import Record, Records

_DELIMITERS = ",\t;"


@dataclass(frozen=True)
class Header:
    """A table's names, and what parts them."""

    names: tuple[str, ...]
    delimiter: str


def find_header(line: str, columns: Columns | None) -> Header | None:
    """The header that ``line`` is, if its names suffice; with ``columns`` ``None`` whatever it is.

    The delimiter is the one that parts it into most names.
    """
    rows = {delimiter: _split(line, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(rows, key=lambda known: len(rows[known]))
    header = Header(tuple(name.strip() for name in rows[delimiter]), delimiter)
    suffices = columns is None or columns.suffice(columns.find(header.names))
    return header if suffices else None


class TableReader:
    """Reads the rows below a header. ``left_out``: how many lines were no rows of it;
    ``unplaced``: how many had no place; ``torn``: whether the last one is still being written."""

    def __init__(self, header: Header, columns: Columns, records: Records) -> None:
        self._header, self._records = header, records
        found = columns.find(header.names)
        self._cells = [(signal, header.names[index], index) for signal, index in found.items()]
        self.left_out = 0
        self.unplaced = 0
        self.torn = False

    def read(self, lines: Lines) -> Iterator[Record]:
        """Their records, each as soon as its line is there."""
        ends = (line + "\n" for line in lines)  # so that a quoted cell may hold several lines
        rows = csv.reader(ends, delimiter=self._header.delimiter, skipinitialspace=True)
        width = len(self._header.names)
        try:
            for row in rows:
                if not row or (len(row) == 1 and not row[0].strip() and width > 1):
                    continue
                if len(row) != width and not self._fits(row, width):
                    self._leave_out(lines)
                    continue
                record = self._record(row, lines)
                if record is not None:
                    yield record
        except csv.Error as error:
            place = f"{self._records.name}:{lines.number}"
            raise LogError(f"{place}: no row of a table ({error}); correct the line") from None

    @staticmethod
    def _fits(row: list[str], width: int) -> bool:
        """Whether all that is too much is empty, as after a delimiter at the line's end."""
        return len(row) > width and not any(cell.strip() for cell in row[width:])

    def _record(self, row: list[str], lines: Lines) -> Record | None:
        cells = [(signal, name, row[index]) for signal, name, index in self._cells]
        try:
            record = self._records.make(cells, lines.number)
        except LogError:
            if all(name == cell.strip() for _, name, cell in cells):
                return None  # the header again, as a resumed trainer writes it
            if lines.is_whole:
                raise
            self.torn = True
            return None
        if record is None:
            self.unplaced += 1
        return record

    def _leave_out(self, lines: Lines) -> None:
        if lines.is_whole:
            self.left_out += 1
        else:
            self.torn = True


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


# JSON lines: an object a record, between whatever else a trainer prints.


_MOST_NAMES = 1000  # kept for a message


def parse_object(line: str) -> dict[str, Any] | None:
    """The JSON object that ``line`` is, or ``None``. ``NaN`` and ``Infinity`` are read as such."""
    text = line.strip()
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # also a number of more digits than Python reads
        return None
    return value if isinstance(value, dict) else None


class ObjectReader:
    """Reads JSON lines. ``left_out``: how many lines were no objects; ``unplaced``: how many
    objects had no place; ``found``: the signals seen; ``names``: the objects' own names."""

    def __init__(self, columns: Columns, records: Records) -> None:
        self._columns, self._records = columns, records
        self._known: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self.left_out = 0
        self.unplaced = 0
        self.torn = False
        self.found: set[str] = set()
        self.names: dict[str, None] = {}

    def read(self, line: str, lines: Lines) -> Iterator[Record]:
        """The records from ``line`` on, each as soon as its line is there."""
        yield from self._read(line, lines)
        for line in lines:
            yield from self._read(line, lines)

    def _read(self, line: str, lines: Lines) -> Iterator[Record]:
        tree = parse_object(line)
        if tree is not None:
            record = self.record(tree, lines.number)
            if record is not None:
                yield record
        elif not lines.is_whole:
            self.torn = True
        elif line.strip():
            self.left_out += 1

    def record(self, tree: dict[str, Any], line: int) -> Record | None:
        """The record of one object; ``None`` of one without a place. Raises ``LogError``."""
        cells = ((signal, name, tree[name]) for signal, name in self._signals(tuple(tree)))
        record = self._records.make(cells, line)
        if record is None:
            self.unplaced += 1
        return record

    def _signals(self, names: tuple[str, ...]) -> list[tuple[str, str]]:
        """Which name is which signal; lines of one kind are looked through once."""
        if names not in self._known:
            if len(self._known) > _MOST_NAMES:  # a name that changes with every line
                self._known.clear()
            found = self._columns.find(names)
            self._known[names] = [(signal, names[index]) for signal, index in found.items()]
            self.found |= found.keys()
            if len(self.names) < _MOST_NAMES:
                self.names |= dict.fromkeys(names)
        return self._known[names]


# Lines of a log's bytes as text, one at a time: nothing is read ahead of the line asked for.


class Lines(Iterator[str]):
    """Lines without their ends; ``number`` counts from 1, ``is_whole`` tells whether the last one
    had an end. What a progress bar wrote over with a carriage return is gone."""

    def __init__(self, raw: Iterable[bytes]) -> None:
        self._raw = iter(raw)
        self.number = 0
        self.is_whole = True
        self.looks: tuple[int, Callable[[], None]] | None = None
        """A line's number, and what is called once that line has come."""

    def __next__(self) -> str:
        raw = next(self._raw)
        self.number += 1
        if self.looks is not None and self.number == self.looks[0]:
            self.looks[1]()
        self.is_whole = raw.endswith(b"\n")
        # Foreign bytes stand in columns that nobody reads, or are found to be no number.
        text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8", errors="replace")
        return text.rstrip("\r\n").rpartition("\r")[2]
