"""CSV, TSV and their like: a header, and a row a record."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from gantune.errors import LogError
from gantune.health.logs.columns import Columns
from gantune.health.logs.records import Record, Records
from gantune.health.logs.text import Lines

__all__ = ["Header", "TableReader", "find_header"]

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
