"""JSON lines: an object a record, between whatever else a trainer prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gantune.health.logs.columns import Columns
from gantune.health.logs.records import Record, Records
from gantune.health.logs.text import Lines

__all__ = ["ObjectReader", "parse_object"]

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
