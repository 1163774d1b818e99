"""``Record``: one line of a log as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, SupportsFloat

from gantune.errors import LogError
from gantune.health.verdict import Unit


class Record(NamedTuple):
    """What was measured at one place; what was not is absent, what is no number is non-finite."""

    at: float
    unit: Unit
    values: Mapping[str, float]


class Records:
    """Makes the records of one log, all in one unit. ``name``: the log's, for messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.unit: Unit | None = None

    def make(self, cells: Iterable[tuple[str, str, object]], line: int) -> Record | None:
        """The record of cells (signal, column, value); ``None`` of a line without a place.

        Raises ``LogError`` for a text where a number belongs, a place that cannot be, and one in
        another unit than the lines before.
        """
        values = {}
        for signal, column, cell in cells:
            try:
                value = number(cell)
            except ValueError:
                raise self._wrong(signal, column, cell, line) from None
            if value is not None:
                values[signal] = value
        kimg, step = values.pop("kimg", None), values.pop("step", None)
        at, unit = self._place(kimg, step, line)
        if at is None:
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
                f"{self.name}:{line}: this line has only a {wrong}, those before have {self.unit}; "
                f"one unit for the whole log is needed: give one to all lines, and where all have "
                f"it choose it with --columns {wrong}=NAME"
            )
        return at, self.unit

    def _wrong(self, signal: str, column: str, cell: object, line: int) -> LogError:
        text = repr(cell) if len(repr(cell)) <= 60 else repr(cell)[:57] + "..."
        of = f"{column} ({signal})" if column != signal else signal
        return LogError(
            f"{self.name}:{line}: {of}: {text} stands where a number belongs; an empty cell is not "
            f"measured, and --columns {signal}= leaves the column out"
        )


def number(cell: object) -> float | None:
    """A cell's number; ``None`` of an empty one. Raises ``ValueError`` for anything else.

    A mapping with a ``mean``, as StyleGAN writes it, is its mean, and empty if it is of nothing.
    """
    if isinstance(cell, float):
        return cell
    if isinstance(cell, str):
        text = cell.strip()
        return float(text) if text else None
    if cell is None:
        return None
    if isinstance(cell, int) and not isinstance(cell, bool):
        return _whole(cell)
    if isinstance(cell, Mapping) and "mean" in cell:
        return None if cell.get("num") == 0 else number(cell["mean"])
    if isinstance(cell, bool) or not isinstance(cell, SupportsFloat):
        raise ValueError(cell)
    try:
        return float(cell)  # a number of NumPy or a tensor, from Python
    except TypeError:
        raise ValueError(cell) from None


def _whole(cell: int) -> float:
    try:
        return float(cell)
    except OverflowError:  # beyond the floats
        return math.inf if cell > 0 else -math.inf
