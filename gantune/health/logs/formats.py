"""Records of a log, and the readers that take them from tables (CSV, TSV) and JSON lines."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, SupportsFloat

from gantune.errors import LogError
from gantune.health.history import Unit, as_float
from gantune.health.logs.columns import Columns

_DELIMITERS = ",\t;"
_MOST_NAMES = 1000  # remembered for a message


class Record(NamedTuple):
    """The values of one line of a log and their place. Signals not measured are absent."""

    at: float
    unit: Unit
    values: Mapping[str, float]


class Reader:
    """Makes the records of one log, all in one unit, and counts what it skips.

    ``name``: the name of the log in messages; ``skipped``: number of lines of another format;
    ``unplaced``: number of lines without a place; ``is_torn``: whether the last line is incomplete.
    """

    def __init__(self, name: str, columns: Columns) -> None:
        self.name, self.columns = name, columns
        self.unit: Unit | None = None
        self.skipped = 0
        self.unplaced = 0
        self.is_torn = False

    def skip(self, lines: Lines) -> None:
        """Counts the last line as skipped, or as incomplete."""
        if lines.is_complete:
            self.skipped += 1
        else:
            self.is_torn = True

    def make(self, cells: Iterable[tuple[str, str, object]], line: int) -> Record | None:
        """Makes a record from cells (signal, column, value); ``None`` for a line without a place.

        Raises ``LogError`` for text where a number belongs, for a place that is negative or not
        finite, and for one in another unit than in earlier lines.
        """
        values = {}
        for signal, column, cell in cells:
            try:
                value = number(cell)
            except ValueError:
                text = repr(cell) if len(repr(cell)) <= 60 else repr(cell)[:57] + "..."
                of = f"{column} ({signal})" if column != signal else signal
                raise LogError(
                    f"{self.name}:{line}: {of}: {text} stands where a number belongs; leave the "
                    "cell empty if nothing was measured, or skip the column with --columns "
                    f"{signal}="
                ) from None
            if value is not None:
                values[signal] = value
        kimg, step = values.pop("kimg", None), values.pop("step", None)
        at, unit = self._place(kimg, step, line)
        if at is None:
            self.unplaced += 1
            return None
        if not 0 <= at < math.inf:
            message = f"{unit} must be a finite number from 0 up, not {at:g}"
            raise LogError(f"{self.name}:{line}: {message}; remove the line or correct it")
        if unit == "kimg" and step is not None:
            values["step"] = step
        return Record(at, unit, values)

    def _place(
        self, kimg: float | None, step: float | None, line: int
    ) -> tuple[float | None, Unit]:
        if self.unit is None:
            if kimg is not None or step is not None:
                self.unit = "step" if kimg is None else "kimg"
            else:
                return None, "step"
        at, other = (kimg, step) if self.unit == "kimg" else (step, kimg)
        if at is None and other is not None:
            wrong = "step" if self.unit == "kimg" else "kimg"
            raise LogError(
                f"{self.name}:{line}: this line has only a {wrong}, earlier ones have {self.unit}; "
                "the whole log needs one unit: write one in all lines, or choose one that all "
                f"lines have, with --columns {wrong}=NAME"
            )
        return at, self.unit


def number(cell: object) -> float | None:
    """The number in a cell; ``None`` for an empty cell. Raises ``ValueError`` for anything else.

    A mapping with a ``mean``, as StyleGAN writes it, gives that mean, or ``None`` where ``num`` is
    0.
    """
    if cell is None or isinstance(cell, float):
        return cell
    if isinstance(cell, str):
        text = cell.strip()
        return float(text) if text else None
    if isinstance(cell, Mapping) and "mean" in cell:
        return None if cell.get("num") == 0 else number(cell["mean"])
    if isinstance(cell, bool) or not isinstance(cell, SupportsFloat):
        raise ValueError(cell)
    try:
        return as_float(cell)  # an integer, a NumPy number or a tensor
    except TypeError:
        raise ValueError(cell) from None


class Lines(Iterator[str]):
    """Lines of a byte stream as text without line ends, never read ahead of the line asked for.

    ``number`` counts lines from 1. ``is_complete``: whether the last line had a line end. Text that
    a progress bar overwrote after a carriage return is dropped.
    """

    def __init__(self, raw: Iterable[bytes]) -> None:
        self._raw = iter(raw)
        self.number = 0
        self.is_complete = True
        self.on_line: tuple[int, Callable[[], None]] | None = None
        """A line number, and the function that is called once that line was read."""

    def __next__(self) -> str:
        raw = next(self._raw)
        self.number += 1
        if self.on_line is not None and self.number == self.on_line[0]:
            self.on_line[1]()
        self.is_complete = raw.endswith(b"\n")
        # Undecodable bytes are in columns that are not read, or are reported as no number.
        text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8", errors="replace")
        return text.rstrip("\r\n").rpartition("\r")[2]


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


class ObjectReader(Reader):
    """Reads JSON lines, between other lines that a trainer prints.

    ``found``: the signals found; ``names``: the keys of the objects.
    """

    def __init__(self, name: str, columns: Columns) -> None:
        super().__init__(name, columns)
        self._known: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self.found: set[str] = set()
        self.names: dict[str, None] = {}

    def read(self, first: str, lines: Lines) -> Iterator[Record]:
        """Yields the records from the line ``first`` on, each as soon as its line was read."""
        for line in chain([first], lines):
            tree = parse_object(line)
            if tree is not None:
                record = self.record(tree, lines.number)
                if record is not None:
                    yield record
            elif line.strip() or not lines.is_complete:
                self.skip(lines)

    def record(self, tree: dict[str, Any], line: int) -> Record | None:
        """Makes a record of one object; ``None`` where it has no place. Raises ``LogError``."""
        cells = ((signal, name, tree[name]) for signal, name in self._signals(tuple(tree)))
        return self.make(cells, line)

    def _signals(self, names: tuple[str, ...]) -> list[tuple[str, str]]:
        """The signals and their keys among ``names``, cached for objects with equal keys."""
        if names not in self._known:
            if len(self._known) > _MOST_NAMES:  # keys that change with every line
                self._known.clear()
            found = self.columns.find(names)
            self._known[names] = [(signal, names[index]) for signal, index in found.items()]
            self.found |= found.keys()
            if len(self.names) < _MOST_NAMES:
                self.names |= dict.fromkeys(names)
        return self._known[names]


def split_header(line: str) -> tuple[tuple[str, ...], str]:
    """The column names of a table's header, and the delimiter that gives the most names."""
    rows = {}
    for delimiter in _DELIMITERS:
        try:
            found = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:
            found = []
        rows[delimiter] = tuple(name.strip() for name in found)
    delimiter = max(rows, key=lambda known: len(rows[known]))
    return rows[delimiter], delimiter


class TableReader(Reader):
    """Reads the rows below a header with these column names."""

    def __init__(self, name: str, columns: Columns, names: tuple[str, ...], delimiter: str) -> None:
        super().__init__(name, columns)
        self._width, self._delimiter = len(names), delimiter
        self._cells = [
            (signal, names[index], index) for signal, index in columns.find(names).items()
        ]

    def read(self, lines: Lines) -> Iterator[Record]:
        """Yields the records, each as soon as its line was read."""
        ended = (line + "\n" for line in lines)  # so that a quoted cell may span several lines
        rows = csv.reader(ended, delimiter=self._delimiter, skipinitialspace=True)
        try:
            for row in rows:
                if not row or (len(row) == 1 and not row[0].strip() and self._width > 1):
                    continue
                # Surplus cells are empty after a delimiter at the end of the line.
                if len(row) < self._width or any(cell.strip() for cell in row[self._width :]):
                    self.skip(lines)
                    continue
                record = self._record(row, lines)
                if record is not None:
                    yield record
        except csv.Error as error:
            place = f"{self.name}:{lines.number}"
            raise LogError(f"{place}: no row of a table ({error}); correct the line") from None

    def _record(self, row: list[str], lines: Lines) -> Record | None:
        cells = [(signal, name, row[index]) for signal, name, index in self._cells]
        try:
            return self.make(cells, lines.number)
        except LogError:
            if all(name == cell.strip() for _, name, cell in cells):
                return None  # the header again, as a resumed trainer writes it
            if lines.is_complete:
                raise
            self.is_torn = True
            return None
